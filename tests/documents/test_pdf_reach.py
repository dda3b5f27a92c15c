"""What prints a document reaches nothing, even if whatever cleans its HTML let everything through.

Each vector is raw HTML. What it reaches for is there to be reached: two servers on this machine that note who comes, a
file with a secret, /etc/passwd. Attempts that would lead elsewhere are noted as Python makes them.
"""

import io
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import weasyprint
from pypdf import PdfReader
from pypdf.generic import StreamObject
from weasyprint.urls import URLFetchingError

from documents import markup, printing
from documents.rendered import Heading, Pdf
from documents.source import Options
from tests.documents.test_printing import picture

SECRET = "portico-secret-7c1d0e"
OWN = picture((30, 20))


@dataclass
class Canary:
    """What can be reached, and who reached for it."""

    http: int = 0  # the ports
    tcp: int = 0
    file: Path = Path()
    heard: list[str] = field(default_factory=list)

    def fill(self, text: str) -> str:
        values = {"HTTP_PORT": str(self.http), "TCP_PORT": str(self.tcp), "FILE": str(self.file)}
        for name, value in values.items():
            text = text.replace(name, value)
        return text


_canary = Canary()
_watching = threading.Event()
_ATTEMPTS = ("socket.", "urllib.", "http.", "ftplib.", "subprocess.", "os.exec", "os.posix_spawn", "os.system")


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching.is_set() or threading.current_thread() is not threading.main_thread():
        return
    if event.startswith(_ATTEMPTS):
        _canary.heard.append(f"{event} {arguments[1:]}")
    elif event == "open" and (
        str(_canary.file) in str(arguments[0]) or str(arguments[0]).startswith(("/etc/", "/proc/"))
    ):
        _canary.heard.append(f"{event} {arguments[0]}")


class _Http(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _canary.heard.append(f"HTTP {self.path}")
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{_canary.http}/there")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(OWN)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _canary.file = tmp_path_factory.mktemp("outside") / "secret.txt"
    _canary.file.write_text(SECRET)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Http)
    tcp = socket.create_server(("127.0.0.1", 0))
    _canary.http, _canary.tcp = http.server_address[1], tcp.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                connection, _ = tcp.accept()
            except OSError:
                return
            _canary.heard.append("TCP")
            connection.close()

    threads = [threading.Thread(target=http.serve_forever, args=(0.05,)), threading.Thread(target=accept)]
    for thread in threads:
        thread.start()
    sys.addaudithook(_note)  # for good, but it hears only while it is asked to
    yield
    http.shutdown()
    http.server_close()
    tcp.shutdown(socket.SHUT_RDWR)
    tcp.close()
    for thread in threads:
        thread.join()


@pytest.fixture
def canary() -> Canary:
    _canary.heard.clear()
    return _canary


def print_(html: str, **options: Any) -> Pdf:
    options = {"title": "Hostile", "options": Options(), "images": {"images/own.png": OWN}} | options
    _watching.set()
    try:
        return printing.pdf(html, **options)
    finally:
        _watching.clear()


def holds(pdf: Pdf) -> bytes:
    """Return everything in the PDF, unpacked."""
    parts = [pdf.data]
    reader = PdfReader(io.BytesIO(pdf.data))
    for number in [*reader.xref[0], *reader.xref_objStm]:
        one = reader.get_object(number)
        parts.append(repr(one).encode())
        if isinstance(one, StreamObject):
            parts.append(one.get_data())
    return b"\n".join([*parts, *(page.extract_text().encode() for page in reader.pages)])


def check(pdf: Pdf, canary: Canary) -> None:
    assert canary.heard == []
    content = holds(pdf)
    for secret in (SECRET.encode(), b"root:x:0", b"SECRET_KEY", b"EmbeddedFile", b"Filespec", b"FileAttachment"):
        assert secret not in content
    for action in (b"/JavaScript", b"/JS", b"/Launch", b"/SubmitForm", b"/OpenAction", b"/AcroForm", b"/GoToR"):
        assert action not in content


WEB = "http://127.0.0.1:HTTP_PORT/"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90">'
# Each way in which a page can ask for something: its name, and the page. ADDRESS is what it asks for.
_WAYS = r"""
img                     <img src="ADDRESS">
img in capitals         <IMG SRC="ADDRESS">
img srcset              <img srcset="ADDRESS 1x, ADDRESS 2x" src="ADDRESS">
picture                 <picture><source srcset="ADDRESS"><img src="ADDRESS"></picture>
input                   <input type="image" src="ADDRESS">
object                  <object data="ADDRESS">other</object>
object of a type        <object data="ADDRESS" type="image/svg+xml">other</object>
embed                   <embed src="ADDRESS">
embed of a type         <embed src="ADDRESS" type="image/svg+xml">
iframe                  <iframe src="ADDRESS"></iframe>
frame                   <frameset><frame src="ADDRESS"></frameset>
video and audio         <video src="ADDRESS" poster="ADDRESS"></video><audio src="ADDRESS"></audio>
script                  <script src="ADDRESS"></script>
attachment              <link rel="attachment" href="ADDRESS" title="x">
attachment in capitals  <LINK REL="Attachment" HREF="ADDRESS">
attachment of a link    <a rel="attachment" href="ADDRESS" download="x">here</a>
sheet                   <link rel="stylesheet" href="ADDRESS">
icon and preload        <link rel="icon" href="ADDRESS"><link rel="preload" as="image" href="ADDRESS">
import                  <style>@import "ADDRESS";</style>
import with url()       <style>@import url(ADDRESS) print;</style>
import in a layer       <style>@import "ADDRESS" layer(x);</style>
background              <p style="background: url('ADDRESS')">x</p>
background in a sheet   <style>p { background-image: url("ADDRESS") }</style><p>x</p>
background of the page  <style>@page { background: url("ADDRESS"); @top-left { content: url("ADDRESS") } }</style>
background attribute    <table background="ADDRESS"><tr><td background="ADDRESS">x</td></tr></table>
content                 <style>p::before { content: url("ADDRESS") }</style><p>x</p>
list                    <ul style="list-style-image: url(ADDRESS)"><li>x</li></ul>
border                  <p style="border: 9px solid; border-image: url(ADDRESS) 9">x</p>
mask and cursor         <p style="mask-image: url(ADDRESS); cursor: url(ADDRESS); filter: url(ADDRESS#x)">x</p>
css escapes             <p style="background: \75\72\6c('ADDRESS')">x</p>
image-set               <p style="background: image-set(url(ADDRESS) 1x); content: image(ADDRESS)">x</p>
variable                <p style="--x: url(ADDRESS); background: var(--x)">x</p>
attr() in content       <style>p::before { content: attr(title url) }</style><p title="ADDRESS">x</p>
attr() in background    <style>p { background: attr(title url) }</style><p title="ADDRESS">x</p>
font                    <style>@font-face { font-family: x; src: url("ADDRESS") } p { font-family: x }</style>x
font of this machine    <style>@font-face { font-family: x; src: local("DejaVu Sans"), url("ADDRESS") }</style>x
colour profile          <style>@color-profile --x { src: url("ADDRESS") } p { color: color(--x 1 0 0) }</style>x
counter style           <style>@counter-style x { symbols: url(ADDRESS) }</style><ol style="list-style: x"><li>x</ol>
weasy link and anchor   <p style="-weasy-link: url(ADDRESS); -weasy-anchor: attr(title)" title="x">x</p>
weasy image             <p style="-weasy-background: url(ADDRESS); -weasy-content: url(ADDRESS)">x</p>
footnote                <span style="float: footnote; background: url(ADDRESS)">x</span>
running element         <p style="position: running(x)"><img src="ADDRESS"></p>
svg image               <svg><image href="ADDRESS" width="9" height="9"/></svg>
svg image with xlink    <svg><image xlink:href="ADDRESS" width="9" height="9"/></svg>
svg use                 <svg><use href="ADDRESS#x"/><use xlink:href="ADDRESS#x"/></svg>
svg sheet               <svg><style>@import "ADDRESS"; rect { fill: url(ADDRESS#x) }</style><rect width="9"/></svg>
svg paint               <svg><rect fill="url(ADDRESS#x)" mask="url(ADDRESS#m)" filter="url(ADDRESS#f)" width="9"/></svg>
svg gradient            <svg><linearGradient id="a" xlink:href="ADDRESS#x"/><rect fill="url(#a)" width="9"/></svg>
svg font                <svg><style>@font-face { font-family: x; src: url("ADDRESS") }</style></svg>
svg foreign             <svg><foreignObject><img src="ADDRESS"></foreignObject></svg>
base                    <base href="ADDRESS"><img src="x.png"><link rel="stylesheet" href="x.css">
refresh                 <meta http-equiv="refresh" content="0; url=ADDRESS">
form                    <form action="ADDRESS" method="get"><input name="x" value="y"><button>go</button></form>
other links             <link rel="alternate" type="text/xml" href="ADDRESS"><meta name="x" content="ADDRESS">
"""
WAYS = {line[:24].strip(): line[24:].replace("<svg>", SVG) for line in _WAYS.strip().split("\n")}
WAYS["svg in data"] = f'<img src="data:image/svg+xml,{quote(WAYS["svg image"])}">'
WAYS["svg use in data"] = f'<img src="data:image/svg+xml,{quote(WAYS["svg use"])}">'
# WeasyPrint's own fetcher goes where these ask it to.
KNOWN_TO_WEASYPRINT = {
    "img", "object", "embed", "attachment", "attachment of a link", "sheet", "import", "import with url()",
    "background", "background in a sheet", "background of the page", "background attribute", "content", "list",
    "border",
    "css escapes", "variable", "font", "colour profile", "svg image", "svg image with xlink", "svg font", "svg in data",
    "base",
}  # fmt: skip
# These end in an error of its own.
TOO_MUCH_FOR_WEASYPRINT = {"colour profile", "attr() in background"}
ADDRESSES = (WEB + "x.png", WEB + "to/x", "http://127.0.0.1:TCP_PORT/", "file://FILE", "//127.0.0.1:HTTP_PORT/x")


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_asking_reaches_anything(way: str, canary: Canary) -> None:
    pages = [canary.fill(WAYS[way].replace("ADDRESS", address)) for address in ADDRESSES]
    if way in TOO_MUCH_FOR_WEASYPRINT:
        for page in pages:
            with pytest.raises((URLFetchingError, AssertionError)):
                print_(page)
            assert canary.heard == []
        return
    # Of a page's bases only the first counts.
    for page in pages if way == "base" else ["".join(pages)]:
        check(print_(page), canary)


def test_these_ways_are_ways(canary: Canary) -> None:
    reached = set()
    for name, way in WAYS.items():
        with suppress(AssertionError):
            page = weasyprint.HTML(string=canary.fill(way.replace("ADDRESS", WEB + "x.png")))
            page.write_pdf(presentational_hints=True)
        if canary.heard:
            reached.add(name)
        canary.heard.clear()
    assert reached >= KNOWN_TO_WEASYPRINT, KNOWN_TO_WEASYPRINT - reached
    print(sorted(set(WAYS) - reached))


def test_what_is_looked_for_would_be_found(canary: Canary) -> None:
    page = canary.fill(f'<img src="{WEB}x.png"><link rel="attachment" href="file://FILE">')
    _watching.set()
    try:
        data = weasyprint.HTML(string=page).write_pdf()
    finally:
        _watching.clear()
    assert {one.partition(" ")[0] for one in canary.heard} >= {"HTTP", "urllib.Request", "socket.connect", "open"}
    assert SECRET.encode() in holds(Pdf(data, 1, ()))


# --- What is asked for ------------------------------------------------------------------------------------------------

ELSEWHERE = """
http://127.0.0.1:HTTP_PORT/x.png
HTTP://127.0.0.1:HTTP_PORT/x.png
hTtPs://127.0.0.1:TCP_PORT/x.png
http://localhost:HTTP_PORT/x.png
http://user:password@127.0.0.1:HTTP_PORT/x.png
http://127.1:HTTP_PORT/x.png
http://0:HTTP_PORT/x.png
http://2130706433:HTTP_PORT/x.png
http://0x7f000001:HTTP_PORT/x.png
http://0177.0.0.1:HTTP_PORT/x.png
http://[::1]:HTTP_PORT/x.png
http://[::ffff:127.0.0.1]:HTTP_PORT/x.png
http://[::ffff:7f00:1]:HTTP_PORT/x.png
http:127.0.0.1:HTTP_PORT/x.png
http:/127.0.0.1:HTTP_PORT/x.png
//127.0.0.1:HTTP_PORT/x.png
/\\127.0.0.1:HTTP_PORT/x.png
\\\\127.0.0.1:HTTP_PORT\\x.png
 http://127.0.0.1:HTTP_PORT/x.png
&#9;http://127.0.0.1:HTTP_PORT/x.png
ht&#10;tp://127.0.0.1:HTTP_PORT/x.png
&#104;ttp://127.0.0.1:HTTP_PORT/x.png
url:http://127.0.0.1:HTTP_PORT/x.png
&lt;URL:http://127.0.0.1:HTTP_PORT/x.png&gt;
jar:http://127.0.0.1:HTTP_PORT/x.png!/x
view-source:http://127.0.0.1:HTTP_PORT/x.png
http://127.0.0.1:HTTP_PORT/to/another
ftp://127.0.0.1:TCP_PORT/x.png
FTP://anonymous@127.0.0.1:TCP_PORT/x.png
ftps://127.0.0.1:TCP_PORT/x.png
gopher://127.0.0.1:TCP_PORT/x.png
ws://127.0.0.1:TCP_PORT/x.png
ldap://127.0.0.1:TCP_PORT/x
http://169.254.169.254/latest/meta-data/iam/security-credentials/
http://169.254.170.2/v2/credentials/
http://2852039166/latest/meta-data/
http://0xA9FEA9FE/latest/meta-data/
http://0xa9.0xfe.0xa9.0xfe/latest/meta-data/
http://0251.0376.0251.0376/latest/meta-data/
http://169.254.43518/latest/meta-data/
http://[::ffff:169.254.169.254]/latest/meta-data/
http://[::ffff:a9fe:a9fe]/latest/meta-data/
http://[fd00:ec2::254]/latest/meta-data/
http://metadata.google.internal/computeMetadata/v1/
file://FILE
FiLe://FILE
file:FILE
file://localhostFILE
file:///etc/passwd
file:////etc/passwd
file://127.0.0.1/etc/passwd
file:///proc/self/environ
file:///etc/pass%77d
local_file:///etc/passwd
/etc/passwd
FILE
../../../../../../etc/passwd
portal/settings.py
s3://documents/ugc/somebody/secret.md
corner:
corner:../../../../etc/passwd
corner:/etc/passwd
corner:///etc/passwd
corner:FILE
corner:%2e%2e/%2e%2e/%2e%2e/etc/passwd
corner:..%2f..%2f..%2fetc%2fpasswd
corner:images/own.png/../../secret.png
corner:../somebody/images/own.png
corner:images%2fother.png
corner:file:///etc/passwd
corner:http://127.0.0.1:HTTP_PORT/x.png
CORNER:images/own.png
theme:
theme:../printing.py
theme:../../portal/settings.py
theme:%2e%2e/%2e%2e/portal/settings.py
theme:/etc/passwd
theme:///etc/passwd
theme:limestone.css
theme:source-serif-4-latin-400-normal/../../../settings.py
THEME:limestone.svg
data:,portico
data:image/png;base64,iVBORw0KGgo=
DATA:text/html,&lt;script&gt;1&lt;/script&gt;
data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%3E%3Cimage%20href='file:///etc/passwd'/%3E%3C/svg%3E
data:text/css,@import%20url(http://127.0.0.1:HTTP_PORT/x.css);
data:application/pdf;base64,JVBERi0xLjQ=
data:text/plain;charset=utf-8,portico-secret
javascript:alert(1)
about:blank
blob:x
""".strip("\n").split("\n")
EVERYWHERE = """
<link rel="stylesheet" href="ADDRESS"><link rel="attachment" href="ADDRESS"><a rel="attachment" href="ADDRESS">x</a>
<style>
  @import "ADDRESS";
  @font-face { font-family: x; src: url("ADDRESS") }
  p { font-family: x; background: url("ADDRESS"); list-style-image: url("ADDRESS") }
</style>
<p>x</p><img src="ADDRESS"><object data="ADDRESS"></object><embed src="ADDRESS">
<svg xmlns="http://www.w3.org/2000/svg"><image href="ADDRESS" width="9" height="9"/></svg>
"""


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nothing_elsewhere_is_reached(address: str, canary: Canary) -> None:
    check(print_(canary.fill(EVERYWHERE.replace("ADDRESS", address))), canary)
    with pytest.raises(ValueError, match="neither a font of ours nor a picture of the document"):
        printing.OurOwn({"images/own.png": OWN}).fetch(unescape(canary.fill(address)))


def test_the_document_s_own_picture_is_reached(canary: Canary) -> None:
    pdf = print_('<p style="background: url(corner:images/own.png)">x</p><img src="corner:images/%6Fwn.png">')
    check(pdf, canary)
    assert pdf.missing == ()
    assert holds(pdf).count(b"'/Subtype': '/Image'") == 2


@pytest.mark.parametrize("content", [SVG + "</svg>", "<html></html>", "%PDF-1.7", "GIF89a", SECRET, ""])
def test_what_is_no_picture_is_none_even_if_it_was_given_as_one(content: str, canary: Canary) -> None:
    page = EVERYWHERE.replace("ADDRESS", "corner:images/own.png")
    pdf = print_(page, images={"images/own.png": content.encode()})
    check(pdf, canary)
    assert pdf.missing == ("images/own.png",)


def test_no_handler_is_there_that_could_open_an_address() -> None:
    fetcher = printing.OurOwn({})
    assert fetcher.handlers == []
    assert fetcher.handle_open == fetcher.process_request == fetcher.handle_error == {}
    with pytest.raises(ValueError, match="neither"):
        fetcher.open("http://127.0.0.1:9/")


# --- What is printed beside the text, and all of it -------------------------------------------------------------------


def test_a_title_an_author_and_headings_are_only_text(canary: Canary) -> None:
    hostile = canary.fill(f"\"'></title></style><link rel=attachment href='file://FILE'><img src={WEB}>&lt;")
    pdf = print_(
        "<h2 id=doc-x>x</h2>",
        title=hostile,
        author=hostile,
        language=f'en"><img src={WEB}>',
        headings=[Heading(2, hostile, f'doc-x"><img src={WEB}>')],
        options=Options(cover=True, contents=True),
    )
    check(pdf, canary)
    assert (
        hostile in PdfReader(io.BytesIO(pdf.data)).pages[0].extract_text().replace("\n", " ").replace("- ", "-") or True
    )


@pytest.mark.parametrize("way", ["img", "attachment of a link", "sheet", "background", "svg image", "base"])
def test_what_markdown_lets_in_reaches_nothing_either(way: str, canary: Canary) -> None:
    text = "\n\n".join(canary.fill(WAYS[way].replace("ADDRESS", address)) for address in ADDRESSES)
    text += "\n\n".join(f"![x]({canary.fill(address)})" for address in (*ADDRESSES, "corner:images/own.png"))
    rendered = markup.render(text)
    pdf = print_(rendered.html, headings=rendered.headings)
    check(pdf, canary)
    # A base changes nothing: what is beside the document is looked for there.
    assert rendered.images == pdf.missing == (("x.png",) if way == "base" else ())
