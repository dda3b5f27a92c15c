"""Markdown to HTML that is safe to show: whatever comes in, only what is listed here comes out."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import Any
from urllib.parse import quote, unquote

import nh3
from markdown import Markdown
from markdown.extensions import Extension
from markdown.extensions.toc import slugify_unicode
from markdown.preprocessors import Preprocessor
from pygments.token import STANDARD_TYPES

from documents.rendered import Heading, Rendered, TooDeep

# WeasyPrint has room for some 130 in Python's stack.
MAX_DEPTH = 100


def render(text: str, *, folder: str = "") -> Rendered:
    """Render Markdown. Pictures are looked for beside the document, in `folder` of the owner's corner. Raises TooDeep.

    Hostile text can take any time: documents.workshop is where there is a limit to it. Not for two threads at once.
    """
    markdown = _markdown()
    try:
        markdown.reset()
        page = _clean(markdown.convert(text), folder)
        headings = tuple(_headings(markdown.toc_tokens))  # type: ignore[attr-defined]
    except BaseException:
        # It keeps what it was in the middle of, and reset() leaves that.
        _markdown.cache_clear()
        raise
    depths = accumulate(-1 if closing else 1 for closing in _NESTING.findall(page))
    if max(depths, default=0) > MAX_DEPTH:
        raise TooDeep(
            f"This is nested too deeply: quotations, lists and elements can be {MAX_DEPTH} levels deep in all."
        )
    images: dict[str, None] = {}

    def picture(match: re.Match[str]) -> str:
        source = _SOURCE.search(match[0])
        if source:
            images[unquote(source[1])] = None
            return match[0]
        alt = _ALT.search(match[0])
        what = f": {html.escape(html.unescape(alt[1]))}" if alt and alt[1] else ""
        return f'<span class="missing">This picture is elsewhere{what}. Upload it to show it.</span>'

    page = _IMAGE.sub(picture, page)
    return Rendered(page, tuple(images), headings, len(_TAG.sub("", page).split()))


# --- The dialect ------------------------------------------------------------------------------------------------------

_EXTENSIONS: dict[str, dict[str, Any]] = {
    "markdown.extensions.abbr": {},
    "markdown.extensions.admonition": {},
    "markdown.extensions.attr_list": {},
    "markdown.extensions.def_list": {},
    "markdown.extensions.footnotes": {},
    "markdown.extensions.sane_lists": {},
    "markdown.extensions.tables": {"use_align_attribute": True},
    "markdown.extensions.toc": {"slugify": slugify_unicode},
    "pymdownx.caret": {},
    "pymdownx.highlight": {"linenums_style": "inline"},
    "pymdownx.mark": {},
    "pymdownx.superfences": {},
    "pymdownx.tasklist": {},
    "pymdownx.tilde": {},
}


class _PageBreaks(Preprocessor):
    _LINE = re.compile(r" {0,3}(\\newpage|<!-- *pagebreak *-->) *", re.IGNORECASE)

    def run(self, lines: list[str]) -> list[str]:
        return [
            self._LINE.sub('\n<div class="page-break"></div>\n', line) if self._LINE.fullmatch(line) else line
            for line in lines
        ]


class _Dialect(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        # After fenced code (25) is taken out, and before HTML (20).
        md.preprocessors.register(_PageBreaks(md), "page_breaks", 22)


@cache
def _markdown() -> Markdown:
    # By its name Markdown would look for an extension in every package that is installed, for 20 ms.
    extensions = [import_module(name).makeExtension(**options) for name, options in _EXTENSIONS.items()]
    return Markdown(extensions=[*extensions, _Dialect()], output_format="html")


def _headings(tokens: Iterable[dict[str, Any]]) -> Iterator[Heading]:
    for token in tokens:
        yield Heading(token["level"], html.unescape(token["name"]), _PREFIX + token["id"])
        yield from _headings(token["children"])


# --- What is let through ----------------------------------------------------------------------------------------------


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _names(
    "a abbr b bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2"
    " h3 h4 h5 h6 hr i img input ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub summary sup table"
    " tbody td tfoot th thead tr u ul var wbr"
)
_NUMBER, _SMALL_NUMBER = re.compile("[0-9]{1,6}"), re.compile("[1-9][0-9]?")
_ANYTHING, _FLAG = re.compile(".*", re.DOTALL), re.compile("[a-z]*")
_CELL = {"align": re.compile("left|center|right"), "colspan": _SMALL_NUMBER, "rowspan": _SMALL_NUMBER}
_SIZE = re.compile("[0-9]{1,4}%?")
# Tag ("*" is any) → attribute → what its value must be as a whole. What id, class, href and src can be is further down.
ATTRIBUTES: dict[str, dict[str, re.Pattern[str]]] = {
    "*": {
        "class": _ANYTHING,
        "dir": re.compile("ltr|rtl|auto"),
        "id": re.compile(r"\S+"),
        "lang": re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}"),
    },
    "a": {"href": re.compile(r"(https?://|mailto:|tel:|#)[^\x00-\x1f\x7f]+", re.IGNORECASE), "title": _ANYTHING},
    "abbr": {"title": _ANYTHING},
    "details": {"open": _FLAG},
    "img": {"alt": _ANYTHING, "height": _SIZE, "src": _ANYTHING, "title": _ANYTHING, "width": _SIZE},
    "input": {"checked": _FLAG, "disabled": _FLAG},
    "li": {"value": _NUMBER},
    "ol": {"start": _NUMBER},
    "td": _CELL,
    "th": _CELL,
}
CLASSES = {
    "a": _names("footnote-backref footnote-ref"),
    "div": _names(
        "abstract admonition attention bug caution danger error example footnote highlight hint important info note"
        " page-break question quote success tip toc warning"
    ),
    "li": _names("task-list-item"),
    "p": _names("admonition-title"),
    # Pygments' own are short: k, s1, nf.
    "span": _names("filename hll linenos") | frozenset(filter(None, STANDARD_TYPES.values())),
    "ul": _names("task-list"),
}
PICTURE_ENDINGS = _names("gif jpeg jpg png webp")
_PREFIX = "doc-"

# What is neither a listed element nor a comment. It is shown as it was written, because a browser would read what comes
# after it in another way, or not at all: who writes about <script>, or means "your name" by <name>, loses no word.
# The commonest are first: there are thousands in a document.
_OTHER_TAG = re.compile(rf"<(?!/?(?:span|p|li|td|{'|'.join(sorted(TAGS))})[\s/>]|!--)", re.IGNORECASE)
# In nh3's own HTML: it writes < and > in a value as entities, and so each of these is a tag.
_IMAGE = re.compile("<img[^>]*>")
_TAG = re.compile("<[^>]*>")
_NESTING = re.compile("<(?!(?:br|col|hr|img|input|wbr)[ >])(/?)")
_SOURCE, _ALT = re.compile(' src="corner:([^"]*)"'), re.compile(' alt="([^"]*)"')


def _clean(page: str, folder: str) -> str:
    opened = page.rfind("<!--")
    if opened > page.rfind("-->"):
        page = f"{page[:opened]}&lt;{page[opened + 1 :]}"

    def attribute(tag: str, name: str, value: str) -> str | None:
        if name == "class":
            return _classes(tag, value)
        # What nh3 has set itself, below.
        if name == "rel" or (tag, name) == ("input", "type"):
            return value
        wanted = ATTRIBUTES.get(tag, {}).get(name) or ATTRIBUTES["*"].get(name)
        if wanted is None or not wanted.fullmatch(value):
            return None
        if name == "id":
            return _PREFIX + value
        if name == "href":
            return f"#{_PREFIX}{value[1:]}" if value[0] == "#" else value
        if name == "src":
            path = _path_in_corner(value, folder)
            return f"corner:{quote(path)}" if path else None
        return value

    return nh3.clean(
        _OTHER_TAG.sub("&lt;", page),
        tags=TAGS,
        clean_content_tags=set(),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=attribute,
        set_tag_attribute_values={"input": {"type": "checkbox"}},
        url_schemes={"http", "https", "mailto", "tel"},
        url_relative="pass_through",
        link_rel="noopener noreferrer",
    )


def _classes(tag: str, value: str) -> str | None:
    known = CLASSES.get(tag, frozenset())
    # Most elements have one: in highlighted code, thousands.
    return value if value in known else " ".join(name for name in value.split() if name in known) or None


def _path_in_corner(address: str, folder: str) -> str:
    """Return the path in the owner's corner that a picture's address means, or an empty string."""
    address = address.strip(" \t\n\r\f")
    path = unquote(address)
    if re.match(r"[a-z][a-z0-9+.-]*:", address, re.IGNORECASE) or re.search(r"[?#]", address):
        return ""
    if path.startswith("/") or re.search(r"[\x00-\x1f\x7f\\]", path):
        return ""
    path = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith(("../", "/")) or posixpath.splitext(path)[1][1:].lower() not in PICTURE_ENDINGS:
        return ""
    return path
