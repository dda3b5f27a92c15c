"""The cloud's own web pages: what a browser asked for, and how an answer is made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from portal.localcloud.standins.faults import Reply

_SHELL = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""


@dataclass(frozen=True)
class Request:
    """What a browser asked for. Of a parameter that comes twice, the first counts."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]

    @classmethod
    def read(cls, method: str, path: str, query_string: bytes, headers: Mapping[str, str], body: bytes) -> "Request":
        return cls(method, path, _fields(query_string), _fields(body), headers)

    def cookie(self, name: str) -> str:
        try:
            return SimpleCookie(self.headers.get("cookie", ""))[name].value
        except (CookieError, KeyError):
            return ""


Page = Callable[[Request], Reply]
# By method and path.
Pages = Mapping[tuple[str, str], Page]


def html(title: str, body: str, *, status: int = 200, **headers: str) -> Reply:
    """Return a page; the title is escaped, the body is HTML. A header's underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = _SHELL.format(title=escape(title), body=body)
    return Reply(
        status, {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", **named}, content.encode()
    )


def redirect(address: str, parameters: Mapping[str, str] | None = None, **headers: str) -> Reply:
    """Send the browser to an address, with parameters added to it; empty ones are left out."""
    query = urlencode({name: value for name, value in (parameters or {}).items() if value})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    location = with_query(address, query)
    return Reply(302, {"Location": location, "Cache-Control": "no-store", **named}, b"")


def with_query(address: str, query: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{query}" if query else address


def form(action: str, *content: str, button: str, **hidden: str) -> str:
    """Return a form with hidden fields, then content (HTML), then a button."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in hidden.items()
    )
    body = "".join(content)
    return (
        f'<form method="post" action="{escape(action)}">{fields}{body}'
        f'<p><button type="submit">{escape(button)}</button></p></form>'
    )


def field(name: str, label: str, **attributes: str) -> str:
    """Return a labelled input."""
    extra = "".join(f' {escape(key)}="{escape(value)}"' for key, value in attributes.items())
    return f'<p><label>{escape(label)}<br><input name="{escape(name)}" required{extra}></label></p>'


def paragraph(text: str, *, role: str = "") -> str:
    """Return a paragraph, or nothing for an empty text."""
    attribute = f' role="{role}"' if role else ""
    return f"<p{attribute}>{escape(text)}</p>" if text else ""


def is_loopback(address: str) -> bool:
    """Return whether an address is on this machine."""
    return re.match(r"https?://(127\.0\.0\.1|localhost)(:\d+)?/", address) is not None


def _fields(content: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, value)
    return fields
