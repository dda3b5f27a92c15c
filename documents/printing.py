"""Documents to PDF: WeasyPrint with our own themes and the document's own pictures, and no way to anything else."""

from __future__ import annotations

import gc
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from urllib.request import OpenerDirector

from weasyprint import HTML
from weasyprint.urls import URLFetcher, URLFetcherResponse

from documents import fonts
from documents.rendered import Pdf

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from documents.rendered import Heading
    from documents.source import Options

CONTENTS_LEVELS = 3

_HERE = Path(__file__).parent
_SHEETS = {path.stem: path.read_text() for path in (_HERE / "themes").glob("*.css")}
_DRAWINGS = {path.name: path.read_bytes() for path in (_HERE / "themes").glob("*.svg")}
_PROGRESS = logging.getLogger("weasyprint.progress")
# WeasyPrint's warnings quote the document, and others than its author read the log.
logging.getLogger("weasyprint").propagate = False


def pdf(
    html: str,
    *,
    title: str,
    options: Options,
    images: Mapping[str, bytes],
    author: str = "",
    headings: Sequence[Heading] = (),
    language: str = "en",
    on_page: Callable[[int], None] | None = None,
) -> Pdf:
    """Return a document as PDF: the same bytes for the same input.

    `html` is what `markup.render` made, and `headings` its headings; `images` are its pictures as `pictures.checked`
    made them, by their paths. `on_page` is told the number of each page that is laid out; what it raises ends the work.
    """
    string = page(html, title=title, author=author, options=options, headings=headings, language=language)
    # Without a base WeasyPrint ends in an error where an address is relative; with this one it is nobody's.
    document = HTML(string=string, base_url="corner:", url_fetcher=OurOwn(images))
    body = document.etree_element.find("body")
    missing = _show_missing(body, images)
    _mark_paragraphs(body)
    _fit_tables(body, _TABLE_CHARACTERS[options.theme] * (0.82 if options.paper == "A5" else 1))
    _break_long_words(body)
    with _collector_paused(), _pages_told(on_page):
        laid_out = document.render(presentational_hints=True)
        return Pdf(laid_out.write_pdf(), len(laid_out.pages), missing)


# --- What is handed to WeasyPrint -------------------------------------------------------------------------------------


class OurOwn(URLFetcher):  # type: ignore[misc]
    """Hands out our fonts and the document's pictures, by name. It knows how to open no address at all."""

    def __init__(self, images: Mapping[str, bytes]) -> None:
        # URLFetcher's own would install what opens http, ftp, file and data.
        OpenerDirector.__init__(self)
        self._fail_on_errors = False
        self._images = images

    def fetch(self, url: str, headers: object = None) -> URLFetcherResponse:
        scheme, _, name = url.partition(":")
        if scheme == "theme" and name in fonts.FILES:
            return URLFetcherResponse(url, fonts.unpacked(name))
        if scheme == "theme" and name in _DRAWINGS:
            return URLFetcherResponse(url, _DRAWINGS[name], {"Content-Type": "image/svg+xml"})
        if scheme == "corner" and (data := _picture(unquote(name), self._images)):
            return URLFetcherResponse(url, data, {"Content-Type": "image/png" if data[:1] == b"\x89" else "image/jpeg"})
        raise ValueError("neither a font of ours nor a picture of the document")


def page(html: str, *, title: str, author: str, options: Options, headings: Sequence[Heading], language: str) -> str:
    """Return the whole page that is laid out: the text in its theme, and what comes before the text."""
    sheet = f"@page {{ size: {options.paper} }}{_SHEETS['base']}{_SHEETS[options.theme]}"
    heading = ""
    if headings and html.startswith("<h1") and _letters(headings[0].text) == _letters(title):
        heading, _, html = html.partition("</h1>")
        headings = headings[1:]
    elif options.cover or _letters(title) not in {
        "untitled",
        *(_letters(one.text) for one in headings if one.level == 1),
    }:
        heading = f"<h1>{escape(title)}"
    front = f"{heading}</h1>" if heading else ""
    if author:
        front += f'<p class="author">{escape(author)}</p>'
    if front:
        front = f'<header class="{"cover" if options.cover else "title"}">{front}</header>'
    if options.contents:
        front += _contents(headings)
    return (
        f'<!DOCTYPE html><html lang="{escape(language)}" class="{options.paper}"><head><title>{escape(title)}</title>'
        f'<meta name="author" content="{escape(author)}"><meta name="generator" content="Portico">'
        f"<style>{fonts.with_fonts(sheet, front + html)}</style></head>"
        f'<body data-title="{escape(title)}">{front}<main>{_without_idle_spans(html, sheet)}</main></body></html>'
    )


def _contents(headings: Sequence[Heading]) -> str:
    levels = {one.level for one in headings}
    highest = min(levels, default=1)
    entries = "".join(
        f'<li class="level-{one.level - highest + 1}"><a href="#{escape(one.id)}">{escape(one.text)}</a></li>'
        for one in headings
        if one.level < highest + CONTENTS_LEVELS
    )
    kind = "contents deep" if len(levels) > 1 else "contents"
    return entries and f'<nav class="{kind}"><h2>Contents</h2><ol>{entries}</ol></nav>'


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


_SPAN = re.compile(r'<span class="(\w{1,3})">([^<]*)</span>|<span></span>')


def _without_idle_spans(html: str, sheet: str) -> str:
    """Leave out the marks of highlighted code that have no style: each is a box to lay out."""
    styled = set(re.findall(r"\.highlight \.(\w+)", sheet))
    return _SPAN.sub(lambda match: match[0] if match[1] in styled else match[2] or "", html)


# --- What would not fit, or is not there ------------------------------------------------------------------------------

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_TABLE_CHARACTERS = {"limestone": 88, "plain": 95, "letter": 74}  # that stand beside each other in a table's row on A4
_LONG_IN_TABLE = 24
_LONG, _LONG_IN_CODE = re.compile(r"\S{40}"), re.compile(r"\S{48}")


def _picture(path: str, images: Mapping[str, bytes]) -> bytes | None:
    """Return a picture's data. Whatever else was given under its path is none."""
    data = images.get(path, b"")
    return data if data.startswith(_SIGNATURES) else None


def _mark_paragraphs(body: Element) -> None:
    """Mark the paragraphs that are a picture and nothing else, and those that introduce what follows."""
    for paragraph in body.iter("p"):
        text = "".join(paragraph.itertext()).rstrip()
        if text.endswith((":", "：")):
            _add_class(paragraph, "leads")
        elif not text and len(paragraph) == 1 and paragraph[0].tag == "img":
            _add_class(paragraph, "picture")


def _show_missing(body: Element, images: Mapping[str, bytes]) -> tuple[str, ...]:
    """Put a note in the place of each picture that is not there, and return their paths."""
    missing: dict[str, None] = {}
    for image in body.iter("img"):
        scheme, _, path = image.get("src", "").partition(":")
        path = unquote(path) if scheme == "corner" else ""
        if _picture(path, images):
            continue
        if path:
            missing[path] = None
        tail, what = image.tail, image.get("alt") or path
        image.clear()
        image.tag, image.tail = "span", tail
        image.set("class", "missing")
        image.text = f"This picture is missing: {what}" if what else "A picture is missing here."
    return tuple(missing)


def _fit_tables(body: Element, room: float) -> None:
    """Set a table smaller whose longest words do not stand beside each other in `room` characters."""
    for table in body.iter("table"):
        longest: dict[int, int] = {}
        for row in table.iter("tr"):
            for column, cell in enumerate(row):
                length = max(map(len, "".join(cell.itertext()).split()), default=0)
                if length > _LONG_IN_TABLE:
                    _add_class(cell, "long-apart")
                longest[column] = max(longest.get(column, 0), min(length, _LONG_IN_TABLE))
        needed = sum(longest.values()) + 3 * len(longest)
        for least, name in ((1, "small"), (1.3, "smaller"), (1.5, "long")):
            if needed > least * room:
                _add_class(table, name)


def _break_long_words(body: Element) -> None:
    """Let words break that may not fit into a line, and only those: WeasyPrint would break others with them."""
    for element in body.iter():
        if element.tag == "pre" and _LONG_IN_CODE.search("".join(element.itertext())):
            _add_class(element, "long")
        before = element.text
        for child in element:
            if child.text and _LONG.search(child.text):
                # After a space it begins a line of its own, and breaks there.
                _add_class(child, "long" if before and not before[-1].isspace() else "long-apart")
            if child.tail and _LONG.search(child.tail):
                _add_class(element, "long")
            before = child.tail


def _add_class(element: Element, name: str) -> None:
    element.set("class", f"{element.get('class', '')} {name}".strip())


# --- Around the layout ------------------------------------------------------------------------------------------------


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: it goes through all boxes again and again, and takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Pages(logging.Filter):
    """Hears from the log which page is laid out; a page that comes again for its references counts once."""

    def __init__(self, on_page: Callable[[int], None]) -> None:
        super().__init__()
        self._on_page = on_page
        self._thread = threading.get_ident()
        self._furthest = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread == self._thread and "Page %d" in record.msg and isinstance(record.args, tuple):
            number = record.args[0]
            if isinstance(number, int) and number > self._furthest:
                self._furthest = number
                self._on_page(number)
        return False


@contextmanager
def _pages_told(on_page: Callable[[int], None] | None) -> Iterator[None]:
    if on_page is None:
        yield
        return
    pages, level = _Pages(on_page), _PROGRESS.level
    _PROGRESS.addFilter(pages)
    _PROGRESS.setLevel(logging.INFO)
    try:
        yield
    finally:
        _PROGRESS.setLevel(level)
        _PROGRESS.removeFilter(pages)
