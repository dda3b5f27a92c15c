"""CBOR, as far as AWS's RPC protocol has it: what a request's body says, and the body of an answer.

Reference: https://www.rfc-editor.org/rfc/rfc8949 and https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

import json
import struct
from datetime import datetime
from typing import Any

from portal.localcloud.standins.faults import Reply

HEADERS = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
DEEPEST = 40
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_EPOCH_SECONDS = 1
_INDEFINITE = 31
_BREAK = 0xFF


class CborMalformed(ValueError):
    """The bytes are no CBOR, or of a kind that no AWS client sends."""


def encode(value: Any) -> bytes:
    """Return a value in CBOR. A time is seconds since 1970, which says nothing of a zone."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case datetime():
            return _head(_TAG, _EPOCH_SECONDS) + encode(value.timestamp())
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            return _head(_TEXT, len(text)) + text
        case dict():
            return _head(_MAP, len(value)) + b"".join(encode(key) + encode(one) for key, one in value.items())
        case list() | tuple():
            return _head(_LIST, len(value)) + b"".join(encode(one) for one in value)
    raise TypeError(f"no CBOR for {type(value).__name__}")


def decode(content: bytes) -> Any:
    """Return the one value in content. Raises CborMalformed."""
    reader = _Reader(content)
    value = reader.value(0)
    if reader.at != len(content):
        raise CborMalformed("more than one value")
    return value


def in_cbor(reply: Reply) -> Reply:
    """Return an answer whose body is JSON with one whose body is CBOR."""
    others = {name: value for name, value in reply.headers.items() if name.lower() != "content-type"}
    return Reply(reply.status, {**others, **HEADERS}, encode(json.loads(reply.body)))


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    for code, size, form in ((24, 1, ">B"), (25, 2, ">H"), (26, 4, ">I"), (27, 8, ">Q")):
        if number < 1 << 8 * size:
            return bytes([kind << 5 | code]) + struct.pack(form, number)
    raise CborMalformed("a number is too large")


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def _take(self, count: int) -> bytes:
        taken = self._content[self.at : self.at + count]
        if len(taken) != count:
            raise CborMalformed("it ends too early")
        self.at += count
        return taken

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise CborMalformed("it is nested too deeply")
        first = self._take(1)[0]
        kind, detail = first >> 5, first & 31
        if kind == _SIMPLE:
            return self._simple(detail)
        if detail == _INDEFINITE:
            return self._indefinite(kind, depth)
        number = self._number(detail)
        match kind:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self._take(number)
            case 3:
                return self._text(self._take(number))
            case 4:
                return [self.value(depth + 1) for _ in range(number)]
            case 5:
                return dict(self._pair(depth) for _ in range(number))
        return self.value(depth + 1)  # a tag says only how its value is meant

    def _number(self, detail: int) -> int:
        if detail < 24:
            return detail
        if detail > 27:
            raise CborMalformed("a reserved length")
        return int.from_bytes(self._take(1 << detail - 24), "big")

    def _simple(self, detail: int) -> Any:
        match detail:
            case 20 | 21:
                return detail == 21
            case 22 | 23:
                return None
            case 25 | 26 | 27:
                form, size = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}[detail]
                return struct.unpack(form, self._take(size))[0]
        raise CborMalformed("an unknown simple value")

    def _indefinite(self, kind: int, depth: int) -> Any:
        if kind not in (_BYTES, _TEXT, _LIST, _MAP):
            raise CborMalformed("this has no indefinite length")
        if kind == _MAP:
            pairs = {}
            while not self._ends():
                key, value = self._pair(depth)
                pairs[key] = value
            return pairs
        parts = []
        while not self._ends():
            parts.append(self.value(depth + 1))
        if kind == _LIST:
            return parts
        wanted: type[str] | type[bytes] = str if kind == _TEXT else bytes
        if not all(isinstance(part, wanted) for part in parts):
            raise CborMalformed("a string has parts of another kind")
        return wanted().join(parts)

    def _ends(self) -> bool:
        if self._content[self.at : self.at + 1] != bytes([_BREAK]):
            return False
        self.at += 1
        return True

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.value(depth + 1)
        if not isinstance(key, str):
            raise CborMalformed("a key that is no text")
        return key, self.value(depth + 1)

    @staticmethod
    def _text(content: bytes) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError as wrong:
            raise CborMalformed("a text that is not UTF-8") from wrong
