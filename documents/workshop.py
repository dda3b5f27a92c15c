"""Where everything that people wrote is read: in processes that are ended when it takes too long.

Each kind of work has warm processes of its own, made when they are first needed. One that took too long, or died, is
replaced, and the next call works.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping

from documents.rendered import Heading, NotAPicture, Pdf, Picture, Rendered
from documents.source import Source, text_of
from documents.worker import ROOT, Header, Message, pack, unpack

START_SECONDS = 30.0
# How many of each kind work at once.
MOST = {"html": 2, "picture": 1, "pdf": 1}
# After how many answers a process is replaced: WeasyPrint keeps some megabytes of each long document.
MOST_ANSWERS = {"html": 10_000, "picture": 1_000, "pdf": 100}

# Of a PDF, with room. A worker that announces more is out of its mind.
_MOST_BYTES = 500_000_000

# What a worker's environment has of ours: where to find libraries, fonts and a cache, and nothing secret.
_HANDED_ON = (
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "XDG_CACHE_HOME",
)

logger = logging.getLogger(__name__)


class TookTooLong(Exception):
    """It was given up. The message is for people."""


class TooComplex(Exception):
    """It is nested too deeply, or needs too much memory. The message is for people."""


def html(text: str, *, folder: str = "", seconds: float = 5) -> Rendered:
    """Render Markdown as documents.markup does. Raises TookTooLong, TooComplex, TooLarge or NotText."""
    header, blobs = _ask("html", "html", {"folder": folder}, [text_of(text).encode()], seconds=seconds)
    headings = tuple(Heading(*heading) for heading in header["headings"])
    return Rendered(blobs[0].decode(), tuple(header["images"]), headings, header["words"])


def difference(then: str, now: str, *, seconds: float = 5) -> list[tuple[str, str]]:
    """Compare as documents.differences does. Raises TookTooLong or TooComplex."""
    texts = [text.encode(errors="replace") for text in (then, now)]
    header, _ = _ask("html", "difference", {}, texts, seconds=seconds)
    return [(kind, line) for kind, line in header["lines"]]


def picture(data: bytes, *, seconds: float = 10) -> Picture:
    """Check a picture as documents.pictures does. Raises NotAPicture, TookTooLong or TooComplex."""
    header, blobs = _ask("picture", "picture", {}, [data], seconds=seconds)
    return Picture(blobs[0], header["content_type"], header["ending"], header["width"], header["height"])


def pdf(
    rendered: Rendered,
    source: Source,
    *,
    title: str,
    author: str,
    images: Mapping[str, bytes],
    seconds: float,
    on_page: Callable[[int], None] | None = None,
) -> Pdf:
    """Print as documents.printing does; on_page is told of each page. Raises TookTooLong or TooComplex."""
    asked = {
        "title": title,
        "author": author,
        "options": dataclasses.asdict(source.options),
        "headings": [(heading.level, heading.text, heading.id) for heading in rendered.headings],
        "images": list(images),
    }
    blobs = [rendered.html.encode(), *images.values()]
    header, blobs = _ask("pdf", "pdf", asked, blobs, seconds=seconds, on_page=on_page)
    return Pdf(blobs[0], header["pages"], tuple(header["missing"]))


def warm(*kinds: str) -> None:
    """Start a process of each of these kinds, so that the first who asks does not wait for it."""
    for kind in kinds or ("html",):
        _pool(kind).warm()


def _ask(
    kind: str,
    operation: str,
    header: Header,
    blobs: list[bytes],
    *,
    seconds: float,
    on_page: Callable[[int], None] | None = None,
) -> Message:
    try:
        answer, blobs = _pool(kind).ask({"operation": operation, **header}, blobs, seconds=seconds, on_page=on_page)
    except _TooLate as error:
        raise TookTooLong(f"This takes longer than it may, {seconds:.0f} s. {_ADVICE[kind]}") from error
    except _Died as error:
        raise TooComplex(_TOO_COMPLEX) from error
    match answer.get("error"):
        case None:
            return answer, blobs
        case "NotAPicture":
            raise NotAPicture(answer["text"])
        case "TooDeep":
            raise TooComplex(answer["text"])
        case "TooComplex":
            raise TooComplex(_TOO_COMPLEX)
        case name:
            logger.error("%s in a worker:\n%s", name, answer["traceback"])
            raise RuntimeError(f"{name} in a worker; its traceback is in the log.")


_TOO_COMPLEX = "This is nested too deeply, or needs too much memory."
_ADVICE = {
    "html": "Shorten it, or look for something in it that is repeated very often.",
    "picture": "Make it smaller first.",
    "pdf": "Split it into several documents.",
}


# --- Workers ----------------------------------------------------------------------------------------------------------


class _Died(Exception):
    """The worker is gone."""


class _TooLate(Exception):
    """The worker has not answered in time."""


class _Worker:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._folder = tempfile.mkdtemp(prefix="portico-worker-")
        self._socket, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        # Sets in the same order in every process, for PDFs that come out alike.
        environment |= {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "documents.worker", kind, str(theirs.fileno())],
                cwd=ROOT,
                env=environment | {"TMPDIR": self._folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._is_ready = False
        self._answers = 0

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_worn(self) -> bool:
        return self._answers >= MOST_ANSWERS[self._kind]

    def get_ready(self) -> None:
        """Wait until it has started. Raises RuntimeError."""
        if not self._is_ready:
            try:
                self._receive(time.monotonic() + START_SECONDS)
            except (_Died, _TooLate) as error:
                raise RuntimeError(f"The worker for {self._kind} does not start; what it wrote says why.") from error
            self._is_ready = True

    def ask(
        self, header: Header, blobs: list[bytes], *, seconds: float, on_page: Callable[[int], None] | None
    ) -> Message:
        """Return the answer. Raises _TooLate or _Died; it has to be stopped then."""
        give_up_at = time.monotonic() + seconds
        self._send(pack({**header, "seconds": seconds}, blobs), give_up_at)
        while True:
            answer, blobs = self._receive(give_up_at)
            if "page" not in answer:
                self._answers += 1
                return answer, blobs
            if on_page is not None:
                on_page(answer["page"])

    def _send(self, data: bytes, give_up_at: float) -> None:
        try:
            self._wait_until(give_up_at)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise _TooLate from error
        except ConnectionError as error:
            raise _Died from error

    def _receive(self, give_up_at: float) -> Message:
        def read(length: int) -> bytes:
            if length > _MOST_BYTES:
                raise _Died
            data = bytearray(length)
            left = memoryview(data)
            while left:
                self._wait_until(give_up_at)
                count = self._socket.recv_into(left)
                if not count:
                    raise _Died
                left = left[count:]
            return bytes(data)

        try:
            return unpack(read)
        except TimeoutError as error:
            raise _TooLate from error
        except ConnectionError as error:
            raise _Died from error

    def _wait_until(self, moment: float) -> None:
        # 0 would be not to wait at all, and to fail in another way.
        self._socket.settimeout(max(moment - time.monotonic(), 0.001))

    def ending(self) -> str:
        """Say how it ended: by which signal, or with which status."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "it did not end"
        return signal.Signals(-status).name if status < 0 else f"status {status}"

    def stop(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Pool:
    """The workers of one kind."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._idle: list[_Worker] = []
        self._free = threading.BoundedSemaphore(MOST[kind])

    def ask(
        self, header: Header, blobs: list[bytes], *, seconds: float, on_page: Callable[[int], None] | None
    ) -> Message:
        """Return what a worker answers. Raises TookTooLong if none gets free, _TooLate or _Died."""
        give_up_at = time.monotonic() + seconds
        if not self._free.acquire(timeout=seconds):
            raise TookTooLong("There is too much to do at the moment. Try again.")
        try:
            worker = self._take()
            is_sound = False
            try:
                # That a worker had to be started is not the document's fault, that others were first may be.
                left = give_up_at - time.monotonic()
                worker.get_ready()
                answer = worker.ask(header, blobs, seconds=left, on_page=on_page)
                is_sound = answer[0].get("error") in (None, "NotAPicture", "TooDeep") and not worker.is_worn
            except _Died:
                logger.warning("A worker for %s died: %s", self._kind, worker.ending())
                raise
            finally:
                if is_sound:
                    self._idle.append(worker)
                else:
                    worker.stop()
        finally:
            self._free.release()
        return answer

    def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            worker.stop()
        return _Worker(self._kind)

    def warm(self) -> None:
        if not self._idle:
            self._idle.append(_Worker(self._kind))

    def stop(self) -> None:
        while self._idle:
            self._idle.pop().stop()


# By process, too: one that is forked must not speak with its parent's workers.
_pools: dict[tuple[int, str], _Pool] = {}


def _pool(kind: str) -> _Pool:
    return _pools.setdefault((os.getpid(), kind), _Pool(kind))


@atexit.register
def _stop() -> None:
    for (process, _), pool in _pools.items():
        if process == os.getpid():
            pool.stop()
