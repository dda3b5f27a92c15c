"""A process that reads what people wrote, so that it can be ended: `python -m documents.worker KIND FD`.

It knows neither Django nor AWS. It loads what its kind of work needs, locks itself, and then answers on the socket FD
until that is closed. A message is the length of a JSON object, the object, and the blobs that it announces.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEMORY_BYTES = 1_500_000_000
MAX_FILES = 128

Header = dict[str, Any]
Message = tuple[Header, list[bytes]]
Operation = Callable[[Header, list[bytes], Callable[[Header], None]], Message]


# --- Messages ---------------------------------------------------------------------------------------------------------

_LENGTH = struct.Struct(">I")


def pack(header: Header, blobs: list[bytes]) -> bytes:
    """Return a message."""
    encoded = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((_LENGTH.pack(len(encoded)), encoded, *blobs))


def unpack(read: Callable[[int], bytes]) -> Message:
    """Read a message with a function that returns so many bytes or raises."""
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    header = json.loads(read(length))
    return header, [read(length) for length in header.pop("blobs")]


# --- Work -------------------------------------------------------------------------------------------------------------


def _load_html() -> dict[str, Operation]:
    from documents import differences, markup

    # What Markdown loads when it is first used.
    markup.render("```python\n```")

    def html(header: Header, blobs: list[bytes], tell: Callable[[Header], None]) -> Message:
        done = markup.render(blobs[0].decode(), folder=header["folder"])
        headings = [(heading.level, heading.text, heading.id) for heading in done.headings]
        return {"images": done.images, "headings": headings, "words": done.words}, [done.html.encode()]

    def difference(header: Header, blobs: list[bytes], tell: Callable[[Header], None]) -> Message:
        return {"lines": differences.difference(blobs[0].decode(), blobs[1].decode())}, []

    return {"html": html, "difference": difference}


def _load_picture() -> dict[str, Operation]:
    from documents import pictures

    def picture(header: Header, blobs: list[bytes], tell: Callable[[Header], None]) -> Message:
        done = pictures.checked(blobs[0])
        about = {"content_type": done.content_type, "ending": done.ending, "width": done.width, "height": done.height}
        return about, [done.data]

    return {"picture": picture}


def _load_pdf() -> dict[str, Operation]:
    from documents import printing
    from documents.rendered import Heading
    from documents.source import Options

    def pdf(header: Header, blobs: list[bytes], tell: Callable[[Header], None]) -> Message:
        done = printing.pdf(
            blobs[0].decode(),
            title=header["title"],
            author=header["author"],
            options=Options(**header["options"]),
            headings=[Heading(*heading) for heading in header["headings"]],
            images=dict(zip(header["images"], blobs[1:], strict=True)),
            on_page=lambda page: tell({"page": page}),
        )
        return {"pages": done.pages, "missing": done.missing}, [done.data]

    return {"pdf": pdf}


KINDS = {"html": _load_html, "picture": _load_picture, "pdf": _load_pdf}


def answer(operations: dict[str, Operation], message: Message, tell: Callable[[Header], None]) -> Message:
    """Do what a message asks for, or say what went wrong. The text of what went wrong is for people only where it is
    one of the errors that are: any other could repeat what is in the document."""
    from documents.rendered import NotAPicture, TooDeep

    header, blobs = message
    try:
        return operations[header["operation"]](header, blobs, tell)
    except (NotAPicture, TooDeep) as error:
        return {"error": type(error).__name__, "text": str(error)}, []
    except (MemoryError, RecursionError):
        return {"error": "TooComplex"}, []
    except Exception as error:  # whatever a renderer stumbles over
        return {"error": type(error).__name__, "traceback": "".join(traceback.format_tb(error.__traceback__))}, []


# --- The lock ---------------------------------------------------------------------------------------------------------

# Reference: https://docs.python.org/3/library/audit_events.html
_REFUSED = (
    "ctypes.dlopen",
    "ftplib.",
    "http.",
    "imaplib.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "poplib.",
    "pty.",
    "smtplib.",
    "socket.",
    "subprocess.",
    "telnetlib.",
    "urllib.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def lock_down() -> None:
    """From here on refuse network and other processes, and files but those of the program, fonts, and a folder for what
    is temporary. For good: an audit hook cannot be taken away.

    A second line: what reads documents has no way to these things of its own. A library's C code does not ask.
    """
    temporary = _folders(tempfile.gettempdir())
    readable = (*_program(), *temporary)

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError(f"{event} is refused here.")
        if event == "open" and not isinstance(arguments[0], int):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith(temporary if arguments[2] & _WRITING else readable):
                raise PermissionError("This file is refused here.")

    sys.addaudithook(look)


def _program() -> tuple[str, ...]:
    """Return where the program and its fonts are: of the project its folders, but nothing that lies beside them."""
    root = str(ROOT)
    libraries = [path for path in sys.path if path and os.path.realpath(path) != root]
    own = [str(path) for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    paths = sysconfig.get_paths()
    return _folders(
        paths["stdlib"], paths["platstdlib"], *libraries, *own, "/usr/share/fonts", "/usr/local/share/fonts"
    )


def _folders(*paths: str) -> tuple[str, ...]:
    return tuple(f"{os.path.realpath(path)}{os.sep}" for path in paths)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _end_after(seconds: float) -> None:
    """Have the kernel end this process if it works for much longer, even if nobody is left who would end it.

    Not by RLIMIT_CPU: that counts from the process's start, in ticks, which are seconds off after a minute's work.
    """
    signal.setitimer(signal.ITIMER_PROF, 2 * seconds + 1)


# --- The process ------------------------------------------------------------------------------------------------------


def main(kind: str, fd: int) -> None:
    """Answer until the other end is closed."""
    # Ctrl-C reaches every process of the terminal; this one ends when the socket does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_FILES)
    channel = open(fd, "r+b", buffering=0)  # noqa: SIM115
    operations = KINDS[kind]()
    # What libraries print could repeat what is in the document.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    lock_down()

    def read(length: int) -> bytes:
        parts = []
        while length:
            part = channel.read(min(length, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def write(header: Header, blobs: list[bytes]) -> None:
        left = memoryview(pack(header, blobs))
        while left:
            left = left[channel.write(left) :]

    # The other end closes without notice.
    with suppress(EOFError, ConnectionError):
        write({"ready": kind}, [])
        while True:
            message = unpack(read)
            _end_after(message[0]["seconds"])
            write(*answer(operations, message, lambda header: write(header, [])))
    # Whoever started it removes this, too, but may have been ended.
    with suppress(OSError):
        os.rmdir(tempfile.gettempdir())  # noqa: PTH106


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
