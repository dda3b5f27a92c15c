"""A worker is locked in, and loads no more than it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from documents import worker


def outcome(script: str, **environment: str) -> str:
    """Return what a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=worker.ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout + done.stderr


LOCKED = """
import ctypes, os, socket, subprocess, sys, urllib.request
from pathlib import Path
from documents.worker import lock_down

Path(os.environ["TMPDIR"], "link").symlink_to("/etc/passwd")
lock_down()
for attempt in ATTEMPTS:
    try:
        exec(attempt)
    except PermissionError as error:
        print("refused" if "refused here" in str(error) else f"otherwise: {error}", attempt)
    except BaseException as error:
        print(f"{error!r}"[:90], attempt)
    else:
        print("done", attempt)
"""
REFUSED = [
    "socket.socket()",
    "socket.socketpair()",
    "socket.getaddrinfo('127.0.0.1', 80)",
    "socket.gethostbyname('localhost')",
    "socket.create_connection(('127.0.0.1', 9))",
    "socket.create_server(('127.0.0.1', 0))",
    "subprocess.run(['true'])",
    "os.system('true')",
    "os.execv('/bin/true', ['true'])",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.fork()",
    "os.kill(os.getppid(), 0)",
    "ctypes.CDLL('libc.so.6')",
    "open('/etc/passwd')",
    "os.open('/etc/passwd', os.O_RDONLY)",
    "Path('/etc/hostname').read_bytes()",
    "open('/proc/self/environ')",
    "open(f'/proc/{os.getppid()}/environ')",
    "open(os.environ['TMPDIR'] + '/link')",
    "open(os.environ['TMPDIR'] + '/../../etc/passwd')",
    "open('documents/../zappa_settings.json')",
    "open('.run/state', 'w')",
    "open('documents/new.py', 'w')",
    "open('documents/markup.py', 'r+')",
    "open('/tmp/elsewhere', 'a')",
    "urllib.request.urlopen('file:///etc/passwd')",
]
DONE = [
    "open(os.environ['TMPDIR'] + '/font', 'wb').write(b'x')",
    "open('documents/markup.py').read()",
    "import colorsys, pygments.lexers.haskell",
]


def test_a_locked_process_reaches_nothing(tmp_path: Path) -> None:
    said = outcome(f"ATTEMPTS = {[*REFUSED, *DONE]!r}\n{LOCKED}", TMPDIR=str(tmp_path)).splitlines()
    assert [line for line in said if not line.startswith("refused")] == [f"done {attempt}" for attempt in DONE]
    assert len(said) == len(REFUSED) + len(DONE)


def test_the_portal_does_not_load_what_workers_work_with() -> None:
    script = "import sys, documents.workshop; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = outcome(script)
    assert not [name for name in ("markdown", "nh3", "pygments", "PIL", "weasyprint") if f"'{name}'" in loaded]


@pytest.mark.parametrize(
    ("kind", "never"), [("html", ["PIL", "weasyprint"]), ("picture", ["markdown", "weasyprint"]), ("pdf", ["markdown"])]
)
def test_a_worker_loads_only_what_its_kind_needs(kind: str, never: list[str]) -> None:
    script = (
        f"import sys; from documents.worker import KINDS; KINDS[{kind!r}]();"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = outcome(script)
    assert not [name for name in ("django", "boto3", "botocore", "portal", *never) if f"'{name}'" in loaded]
