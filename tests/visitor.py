"""A person's browser on the local cloud's own pages: Cognito's hosted sign-in and the sample company's.

visitor = Visitor()
page = visitor.get(f"{cloud.endpoint}/oauth2/authorize?…")     follows redirects within the cloud
page = visitor.submit(page, username="rider", password=…)      fills in the page's form (or the one with `button`)
page.location                                                  where the cloud sends the browser outside of itself
page.parameters["code"]                                        what is in that address
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import urllib3


@dataclass
class Form:
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._link = ""
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append(Form(action=given.get("action") or ""))
        elif tag == "input" and given.get("name") and given.get("type") != "radio":
            self.forms[-1].fields[given["name"] or ""] = given.get("value") or ""
        self._link = given.get("href") or "" if tag == "a" else ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.forms:
            self.forms[-1].text += data
        if self._link:
            self.links[data] = self._link


@dataclass(frozen=True)
class Page:
    status: int
    url: str
    text: str
    forms: list[Form]
    links: dict[str, str]
    location: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.location).query))


class Visitor:
    """Keeps cookies by host and port, and follows redirects until one leaves the host it is on."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(retries=False)
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, **query: str) -> Page:
        return self._open("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url)

    def post(self, url: str, **fields: str) -> Page:
        return self._open("POST", url, fields)

    def submit(self, page: Page, *, button: str = "", **fields: str) -> Page:
        """Fill in a form of the page: the only one, or the one that has the button's text in it."""
        form = next(form for form in page.forms if button in form.text)
        return self._open("POST", urljoin(page.url, form.action), {**form.fields, **fields})

    def follow(self, page: Page, link: str) -> Page:
        return self.get(urljoin(page.url, page.links[link]))

    def _open(self, method: str, url: str, fields: dict[str, str] | None = None) -> Page:
        host = urlsplit(url).netloc
        known = self.cookies.setdefault(host, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in known.items())} if known else {}
        options: dict[str, Any] = {"fields": fields, "encode_multipart": False} if fields is not None else {}
        answer = self._http.request(method, url, headers=headers, redirect=False, **options)
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            known[name] = value
        location = urljoin(url, answer.headers["Location"]) if "Location" in answer.headers else ""
        if location and urlsplit(location).netloc == host:
            return self._open("GET", location)
        parser = _Forms()
        parser.feed(answer.data.decode())
        return Page(answer.status, url, parser.text, parser.forms, parser.links, location)
