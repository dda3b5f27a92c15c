"""A document as it is stored: Markdown, and lines in front of it that say how it is to be printed.

---
title: Quarterly report
theme: letter
---
Here it begins.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 1_000_000
MAX_FRONT_LINES, MAX_FRONT_BYTES = 64, 8_000
MAX_TITLE_CHARACTERS, MAX_FILE_NAME_CHARACTERS = 200, 120

THEMES = {"limestone": "Limestone", "plain": "Plain", "letter": "Letter"}
PAPERS = {"A4": "A4", "A5": "A5", "Letter": "US Letter"}

_BOM = "\ufeff"
_FENCE = "---"
_ENTRY = re.compile(r"([A-Za-z]+)[ \t]*:(.*)", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_WORDS = {"theme": {name.lower(): name for name in THEMES}, "paper": {name.lower(): name for name in PAPERS}}
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# How YAML begins a value that goes on in the next lines.
_BLOCKS = frozenset({">", ">-", ">+", "|", "|-", "|+"})
# What needs no quotes, in YAML either.
_PLAIN = re.compile(r"\w[^:#]*")


class TooLarge(ValueError):
    """The document is larger than MAX_BYTES, or what is in front of it larger than that may be."""


class NotText(ValueError):
    """The document is not text in UTF-8."""


@dataclass(frozen=True)
class Options:
    """How a document is printed."""

    theme: str = "limestone"
    paper: str = "A4"
    cover: bool = False
    contents: bool = False

    def __post_init__(self) -> None:
        for value, known in ((self.theme, THEMES), (self.paper, PAPERS)):
            if value not in known:
                raise ValueError(f"“{value}” is not known. There is {', '.join(known)}.")


@dataclass(frozen=True)
class Source:
    """A document. `text` is the Markdown after the lines in front, exactly as it was; `others` are those of these lines
    that mean nothing here. Title and author are brought to one line."""

    title: str
    text: str
    options: Options = Options()
    author: str = ""
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", one_line(self.title))
        object.__setattr__(self, "author", one_line(self.author))


def text_of(content: bytes | str) -> str:
    """Return the content as text. Raises TooLarge or NotText."""
    try:
        encoded = content.encode() if isinstance(content, str) else content
        if len(encoded) > MAX_BYTES:
            raise TooLarge(f"A document can have at most {MAX_BYTES:,} bytes, and this one has {len(encoded):,}.")
        text = encoded.decode()
    except UnicodeError as error:
        raise NotText("This is not text in UTF-8.") from error
    if "\0" in text:
        raise NotText("This is not text: it holds a NUL character.")
    return text


def parse(content: bytes | str) -> Source:
    """Read a document. What has no meaning as an option is kept as it is. Raises TooLarge or NotText."""
    text = text_of(content).removeprefix(_BOM)
    front = _front(text)
    if front is None:
        return Source("", text)
    lines, text = front
    known: dict[str, Any] = {}
    others = []
    for line in lines:
        key, value = _entry(line)
        if key:
            known[key] = value
        else:
            others.append(line)
    title, author = known.pop("title", ""), known.pop("author", "")
    return Source(title, text, Options(**known), author, tuple(others))


def write(source: Source) -> str:
    """Return the content, with lines in front only where there is anything to say. Raises TooLarge or NotText."""
    options, default = source.options, Options()
    lines = [f"{key}: {_quoted(value)}" for key in ("title", "author") if (value := getattr(source, key))]
    lines += [
        f"{key}: {getattr(options, key)}"
        for key in ("theme", "paper")
        if getattr(options, key) != getattr(default, key)
    ]
    lines += [f"{key}: true" for key in ("cover", "contents") if getattr(options, key)]
    lines += source.others
    # A text that begins as these lines do would be read as them.
    if lines or source.text.startswith(_BOM) or _front(source.text) is not None:
        content = "\n".join((_FENCE, *lines, _FENCE, source.text))
        if _front(content) is None:
            raise TooLarge(f"At most {MAX_FRONT_LINES} lines can stand between the two {_FENCE} at the beginning.")
    else:
        content = source.text
    return text_of(content)


def _front(text: str) -> tuple[list[str], str] | None:
    """Return the lines in front and the text after them, or None where there are none."""
    lines: list[str] = []
    position, limit = 0, len(text[:MAX_FRONT_BYTES].encode()[:MAX_FRONT_BYTES].decode(errors="ignore"))
    while len(lines) < MAX_FRONT_LINES + 2:
        end = text.find("\n", position, limit)
        line = text[position:] if end < 0 else text[position:end]
        if lines and line.rstrip() == _FENCE:
            return lines[1:], "" if end < 0 else text[end + 1 :]
        if end < 0 or (not lines and line.rstrip() != _FENCE):
            return None
        lines.append(line.rstrip("\r"))
        position = end + 1
    return None


def _entry(line: str) -> tuple[str, Any]:
    """Return an option's name and value, or two empty strings for a line that is none."""
    match = _ENTRY.fullmatch(line)
    key, value = (match[1].lower(), match[2].strip()) if match else ("", "")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    elif value in _BLOCKS:
        return "", ""
    if key in ("title", "author"):
        # A longer one stays where it is, as it is.
        is_title = one_line(value) and len(" ".join(value.split())) <= MAX_TITLE_CHARACTERS
        return (key, value) if is_title else ("", "")
    if key in ("theme", "paper"):
        known: dict[str, Any] = _WORDS[key]
    elif key in ("cover", "contents"):
        known = _FLAGS
    else:
        known = {}
    value = known.get(value.lower())
    return (key, value) if value is not None else ("", "")


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# --- Titles -----------------------------------------------------------------------------------------------------------

# Control characters, halves of characters, and what turns the direction of writing, which makes "fdp.exe" of "exe.pdf".
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+")
_HEADED_CHARACTERS = 100_000  # in which the first heading is looked for
_FENCED = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_ATX = re.compile(r"(#{1,6})(.*)")
_UNDERLINE = re.compile(r"=+|-+")
_ATTRIBUTES = re.compile(r" +\{[^{}]*\}\s*$")
_MARKUP = re.compile(
    r"""\\(?P<kept>[!-/:-@\[-`{-~])
    | (`+)(?P<code>.+?)\2
    | \[\^[^\]]*\]  # the mark of a footnote
    | !?\[(?P<text>[^\]]*)\](?:\([^)]*\)|\[[^\]]*\])
    | <(?P<address>(?:https?|mailto):[^>]*)>
    | </?[a-zA-Z][^>]*>
    | (?<!\w)_+ | _+(?!\w)
    | (?:\*+|~~|==)(?=\S) | (?<=\S)(?:\*+|~~|==)""",
    re.VERBOSE,
)
# Portico's own say nothing to people.
_OWN_ID = re.compile("[0-9a-f]{16}")


def one_line(text: str) -> str:
    """Return the text as a title can be: without control characters, at most MAX_TITLE_CHARACTERS."""
    return " ".join(_UNSEEN.sub(" ", text).split())[:MAX_TITLE_CHARACTERS].rstrip()


def heading_of(text: str) -> str:
    """Return the first `# heading` without its markup, else the first of any level, else an empty string."""
    first = ""
    for level, heading in _headings(text[:_HEADED_CHARACTERS]):
        if level == 1 and (plain := _without_markup(heading)):
            return plain
        first = first or _without_markup(heading)
    return first


def title_of(source: Source, document_id: str) -> str:
    """Return what the document is called: as it says itself, or by its first heading, or by its name in the bucket."""
    name = document_id.rpartition("/")[2]
    return source.title or heading_of(source.text) or ("" if _OWN_ID.fullmatch(name) else one_line(name)) or "Untitled"


def file_name(title: str, ending: str) -> str:
    """Return a name that any system takes for a file: `Quarterly report.pdf`."""
    name = " ".join(re.sub(r'[/\\:*?"<>|]', " ", one_line(title)).split()).strip(" .-")
    # Windows keeps these for devices, whatever the ending. Other systems count bytes, at most 255.
    if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE):
        name = f"{name[:3]}_{name[3:]}"
    room = MAX_FILE_NAME_CHARACTERS - len(ending) - 1
    name = name[:room].encode()[: 240 - len(ending)].decode(errors="ignore").rstrip(" .-")
    return f"{name or 'Untitled'}.{ending}"


def _headings(text: str) -> Iterator[tuple[int, str]]:
    """Read headings as Python-Markdown does: one that is underlined is the first line of its paragraph."""
    fence, above, begins = "", "", True
    for whole in text.split("\n"):
        line = whole.rstrip()
        opening = _FENCED.match(line)
        if fence:
            if opening and opening[1].startswith(fence) and opening.end() == len(line):
                fence, begins = "", True
        elif opening:
            fence = opening[1]
        elif heading := _ATX.fullmatch(line):
            yield len(heading[1]), heading[2].rstrip("#")
            begins = True
        elif above and _UNDERLINE.fullmatch(line):
            yield 1 if line[0] == "=" else 2, above
            begins = True
        else:
            above = line if begins and not line.startswith(("    ", "\t")) else ""
            begins = not line
            continue
        above = ""


def _without_markup(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        return plainly(match["text"]) if match["text"] else match["kept"] or match["code"] or match["address"] or ""

    def plainly(text: str) -> str:
        return _MARKUP.sub(plain, text)

    # Each of these expressions looks ahead, in what somebody else wrote.
    return one_line(html.unescape(plainly(_ATTRIBUTES.sub("", text[:500]))))
