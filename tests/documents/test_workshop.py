"""The workshop: workers that are slow, die, or are asked for what they may not do."""

from __future__ import annotations

import io
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from documents import markup, worker, workshop
from documents.rendered import NotAPicture, Pdf, Rendered
from documents.source import NotText, Options, Source, TooLarge
from documents.workshop import TooComplex, TookTooLong

# Longer than anything honest takes on a busy machine.
SLOW = "[" * 50_000
HONEST = "# Title\n\nText with ![a picture](images/ab.png)."


def workers() -> set[int]:
    """Return the processes that this one has started to work."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"documents.worker" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found


def wait_for_end(process: int, seconds: float = 10) -> bool:
    """Wait until a process, whose ever child it is, has ended."""
    try:
        fd = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ended = bool(poll.poll(seconds * 1000))
    os.close(fd)
    return ended


@pytest.fixture
def no_workers() -> Iterator[None]:
    """Begin without workers, and leave none that the test has changed."""
    workshop._stop()
    yield
    workshop._stop()


@pytest.fixture
def one_worker(no_workers: None) -> int:
    workshop.html("warm")
    (process,) = workers()
    return process


# --- What it gives ----------------------------------------------------------------------------------------------------


def test_html_is_what_markup_makes() -> None:
    assert workshop.html(HONEST, folder="notes") == markup.render(HONEST, folder="notes")


def test_a_worker_is_used_again(one_worker: int) -> None:
    for _ in range(3):
        workshop.html(HONEST)
    workshop.difference("a", "b")
    assert workers() == {one_worker}


def test_what_is_no_text_is_refused_before_anybody_is_asked(no_workers: None) -> None:
    with pytest.raises(TooLarge):
        workshop.html("x" * 1_000_001)
    with pytest.raises(NotText):
        workshop.html("\ud800")
    assert not workers()


def picture(size: tuple[int, int] = (3, 2)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_checked() -> None:
    checked = workshop.picture(picture())
    assert (checked.content_type, checked.ending, checked.width, checked.height) == ("image/png", "png", 3, 2)
    assert checked.data.startswith(b"\x89PNG")


def test_what_is_no_picture_is_refused_and_the_worker_goes_on(no_workers: None) -> None:
    with pytest.raises(NotAPicture, match="not a"):
        workshop.picture(b"<svg/>")
    (process,) = workers()
    workshop.picture(picture())
    assert workers() == {process}


def print_it(rendered: Rendered, on_page: Callable[[int], None] | None = None, seconds: float = 30) -> Pdf:
    return workshop.pdf(
        rendered,
        Source("Title", "", Options(paper="A5", contents=True)),
        title="Title",
        author="Zoë",
        images={"images/ab.png": picture()},
        seconds=seconds,
        on_page=on_page,
    )


def test_a_pdf_is_printed_and_its_pages_are_told() -> None:
    pages: list[int] = []
    rendered = workshop.html(HONEST + "\n\n\\newpage\n\n![gone](images/cd.png)")
    pdf = print_it(rendered, pages.append)
    assert pdf.data.startswith(b"%PDF")
    assert pdf.missing == ("images/cd.png",)
    assert set(range(1, pdf.pages + 1)) <= set(pages)
    assert print_it(rendered) == pdf


def test_a_process_is_replaced_after_many_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.html("one")
    before = workers()
    monkeypatch.setitem(workshop.MOST_ANSWERS, "html", 1)
    assert workshop.html("two").html == "<p>two</p>"
    assert not before & workers()
    assert workshop.html("three").html == "<p>three</p>"


def test_who_is_told_of_pages_may_fail() -> None:
    def fails(page: int) -> None:
        raise TimeoutError("the table is away")

    with pytest.raises(TimeoutError, match="the table is away"):
        print_it(workshop.html(HONEST), fails)
    assert print_it(workshop.html(HONEST)).pages


# --- Time -------------------------------------------------------------------------------------------------------------

REPEATED = {
    "brackets": "[",
    "pictures": "![",
    "links": "[](",
    "open links": "[a](",
    "quotes": "> ",
    "code": "`a``",
    "backticks": "`",
    "emphasis": "*_",
    "elements": "<div>",
    "attributes": "{: .a ",
    "footnotes": "[^1]: x\n\n[^1]",
}
LARGE = {
    "nested quotes": "> " * 10_000 + "x",
    "nested elements": "<div>" * 10_000 + "x",
    "nested lists": "\n".join(" " * 4 * depth + "- x" for depth in range(300)),
    "one wide row": "|" + "a|" * 20_000 + "\n|" + "-|" * 20_000 + "\n|" + "a|" * 20_000,
    "front matter": "---\n" + "a: b\n" * 190_000 + "---\n",
    "one word": "x" * 1_000_000,
    "a megabyte of brackets": "[" * 1_000_000,
    "a megabyte of links": "[a](" * 250_000,
    "a megabyte of quotes": ">" * 1_000_000,
    "a megabyte of elements": "<div>" * 200_000,
    "a megabyte of backticks": "`a``" * 250_000,
}


@pytest.mark.parametrize(
    "text", [*(part * (50_000 // len(part)) for part in REPEATED.values()), *LARGE.values()], ids=[*REPEATED, *LARGE]
)
def test_it_ends_in_time_and_the_next_is_served(text: str) -> None:
    workshop.html("warm")
    began = time.monotonic()
    try:
        workshop.html(text, seconds=0.1)
    except (TookTooLong, TooComplex) as error:
        assert str(error)  # noqa: PT017 - both are good answers
    assert time.monotonic() - began < 5
    assert workshop.html("*next*").html == "<p><em>next</em></p>"


def test_a_long_document_says_so_to_people() -> None:
    with pytest.raises(TookTooLong, match="takes longer than it may, 0 s"):
        workshop.html(SLOW, seconds=0.1)
    with pytest.raises(TookTooLong, match="several documents"):
        print_it(Rendered("<p>x</p>" * 20_000, (), (), 1), seconds=0.2)


def test_nesting_has_an_end_and_the_worker_goes_on(one_worker: int) -> None:
    with pytest.raises(TooComplex, match="100 levels"):
        workshop.html("> " * 200 + "x")
    assert workers() == {one_worker}


def test_a_pdf_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(TooComplex, match="nested too deeply"):
        print_it(Rendered("<div>" * 500 + "x", (), (), 1))
    assert print_it(workshop.html(HONEST)).pages


def test_a_worker_that_hangs_is_replaced(one_worker: int) -> None:
    os.kill(one_worker, signal.SIGSTOP)
    # More than the socket holds, so that handing it over hangs, too.
    with pytest.raises(TookTooLong):
        workshop.html("x " * 400_000, seconds=0.2)
    assert wait_for_end(one_worker)
    assert workshop.html("x").words == 1


# --- Death ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_was_killed_meanwhile_is_replaced(one_worker: int) -> None:
    os.kill(one_worker, signal.SIGKILL)
    os.waitid(os.P_PID, one_worker, os.WEXITED | os.WNOWAIT)
    assert workshop.html("x").words == 1
    assert one_worker not in workers()


def test_a_worker_that_is_killed_at_work_is_replaced(one_worker: int) -> None:
    timer = threading.Timer(0.1, os.kill, (one_worker, signal.SIGKILL))
    timer.start()
    with pytest.raises(TooComplex, match="too much memory"):
        workshop.html(SLOW)
    timer.join()
    assert workshop.html("x").words == 1
    assert not Path(f"/proc/{one_worker}").exists()


def test_a_worker_without_memory_is_replaced(one_worker: int) -> None:
    used = int(Path(f"/proc/{one_worker}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(one_worker, resource.RLIMIT_AS, (used, worker.MEMORY_BYTES))
    with pytest.raises(TooComplex, match="too much memory"):
        workshop.html("a *b* c\n\n" * 100_000)
    assert workshop.html("x").words == 1
    assert wait_for_end(one_worker)


def test_a_worker_has_limits_of_its_own(one_worker: int) -> None:
    assert resource.prlimit(one_worker, resource.RLIMIT_AS)[1] == worker.MEMORY_BYTES
    assert resource.prlimit(one_worker, resource.RLIMIT_CORE) == (0, 0)


def test_a_worker_that_does_not_start_is_said(no_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="does not start"):
        workshop.html("x")
    monkeypatch.undo()
    assert workshop.html("x").words == 1


def test_nothing_is_left_of_workers_that_were_killed(
    one_worker: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    killed = {one_worker}
    for _ in range(4):
        with pytest.raises(TookTooLong):
            workshop.html(SLOW, seconds=0.01)
        workshop.warm()
        killed |= workers()
    for _ in range(46):
        os.kill(*workers(), signal.SIGKILL)
        workshop._stop()
        workshop.warm()
        killed |= workers()
    workshop._stop()
    assert len(killed) > 50
    assert not any(Path(f"/proc/{process}").exists() for process in killed)
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1  # that of the first
    assert not list(tmp_path.iterdir())


def parent_of_a_worker(folder: Path, then: str) -> tuple[subprocess.Popen[str], int]:
    """Start a process that starts a worker, and return both."""
    script = f"""
import sys
from documents import workshop
workshop.html("x")
(pool,) = workshop._pools.values()
print(pool._idle[0]._process.pid, flush=True)
{then}
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    return parent, int(parent.stdout.readline())


def test_workers_end_with_whoever_started_them(tmp_path: Path) -> None:
    parent, process = parent_of_a_worker(tmp_path, "sys.stdin.read()")
    with parent:
        assert list(tmp_path.iterdir())
        parent.kill()
    assert wait_for_end(process)
    assert not list(tmp_path.iterdir())


def test_a_worker_at_work_ends_with_whoever_started_it(tmp_path: Path) -> None:
    parent, process = parent_of_a_worker(tmp_path, "workshop.html('[' * 50_000, seconds=0.1)")
    with parent:
        parent.kill()
    # Nobody is left who would end it; its time on the processor does.
    assert wait_for_end(process, 30)


# --- At once ----------------------------------------------------------------------------------------------------------


def test_two_are_served_at_once(no_workers: None) -> None:
    texts = [f"# Title {n}\n\n" + f"word{n} " * 2000 for n in range(8)]
    with ThreadPoolExecutor(4) as executor:
        done = list(executor.map(lambda text: workshop.html(text), texts))
    assert [one.headings[0].text for one in done] == [f"Title {n}" for n in range(8)]
    assert 1 <= len(workers()) <= 2


def test_who_comes_when_all_are_at_work_waits_no_longer_than_that(no_workers: None) -> None:
    with ThreadPoolExecutor(2) as executor:
        slow = [executor.submit(workshop.html, SLOW, seconds=1.5) for _ in range(2)]
        while len(workers()) < 2:
            time.sleep(0.01)
        with pytest.raises(TookTooLong, match="too much to do"):
            workshop.html("x", seconds=0.1)
        assert [type(one.exception()) for one in slow] == [TookTooLong] * 2
    assert workshop.html("x").words == 1


def test_a_process_that_is_forked_has_workers_of_its_own(one_worker: int) -> None:
    child = os.fork()
    if not child:
        try:
            ok = workshop.html("child").words == 1 and one_worker not in workers()
            workshop._stop()
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert workshop.html("x").words == 1
    assert workers() == {one_worker}


# --- What a worker may not do -----------------------------------------------------------------------------------------


def test_a_worker_knows_no_secrets(no_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never")
    monkeypatch.setenv("PORTICO_SECRET_KEY", "never")
    monkeypatch.setenv("SOMETHING_ELSE", "never")
    workshop.html("x")
    (process,) = workers()
    environment = Path(f"/proc/{process}/environ").read_text()
    names = {line.partition("=")[0] for line in environment.split("\0") if line}
    assert names <= {*workshop._HANDED_ON, "PYTHONHASHSEED", "PYTHONPATH", "TMPDIR"}
    assert not any(name.startswith(("AWS_", "PORTICO_")) for name in names)
    assert "never" not in environment


# --- Errors of our own ------------------------------------------------------------------------------------------------


def test_an_error_of_ours_is_logged_without_the_text_of_the_document(caplog: pytest.LogCaptureFixture) -> None:
    def fails(header: worker.Header, blobs: list[bytes], tell: Callable[[worker.Header], None]) -> worker.Message:
        raise KeyError(blobs[0].decode())

    answer, _ = worker.answer({"html": fails}, ({"operation": "html"}, [b"what I wrote"]), lambda header: None)
    assert answer["error"] == "KeyError"
    assert "in fails" in answer["traceback"]
    assert "what I wrote" not in str(answer)
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="KeyError in a worker"):
        workshop._ask("html", "nothing of the kind", {}, [], seconds=5)
    assert "documents/worker.py" in caplog.text
    assert workshop.html("x").words == 1
