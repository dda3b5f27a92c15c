import gc
import io
import logging
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from PIL import Image
from pypdf import PdfReader

from documents import markup, printing
from documents.rendered import Pdf
from documents.source import PAPERS, THEMES, Options

ROOT = Path(__file__).parent.parent.parent
WORDS = (
    "The portico stands between the street and the house, and nobody who walks past would say that it looks its age. "
)
MILLIMETRES = 72 / 25.4


def print_(text: str, **options: Any) -> Pdf:
    """Print Markdown with the given options of the document and of `printing.pdf`."""
    rendered = markup.render(text)
    own = {name: options.pop(name) for name in ("theme", "paper", "cover", "contents") if name in options}
    options = {"title": "Untitled", "images": {}} | options
    return printing.pdf(rendered.html, headings=rendered.headings, options=Options(**own), **options)


def read(pdf: Pdf) -> PdfReader:
    return PdfReader(io.BytesIO(pdf.data))


def texts(pdf: Pdf) -> list[str]:
    return [page.extract_text() for page in read(pdf).pages]


def picture(size: tuple[int, int] = (300, 200), encoding: str = "PNG") -> bytes:
    """Return a picture of which no two parts are the same."""
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(90 * band).resize(size) for band in range(3)])
    file = io.BytesIO()
    image.save(file, encoding)
    return file.getvalue()


# --- What it is -------------------------------------------------------------------------------------------------------


def test_it_says_whose_it_is_and_what_it_is_about() -> None:
    pdf = print_("# Größe & <Wert>\n\nText.", title="Größe & <Wert>", author="Ada “the” Mason", language="de")
    document = read(pdf)
    assert document.metadata is not None
    assert dict(document.metadata) == {
        "/Title": "Größe & <Wert>",
        "/Author": "Ada “the” Mason",
        "/Creator": "Portico",
        "/Producer": document.metadata["/Producer"],
    }
    assert document.root_object["/Lang"] == "de"
    assert pdf.pages == len(document.pages) == 1


def test_its_outline_has_the_headings_where_they_are() -> None:
    text = "# One\n\n\\newpage\n\n## Two & *more*\n\n### Three\n\n\\newpage\n\n## Four `code`\n"
    document = read(print_(text, title="One"))

    def flat(outline: list[Any], depth: int = 0) -> list[tuple[int, str, int | None]]:
        found: list[tuple[int, str, int | None]] = []
        for one in outline:
            if isinstance(one, list):
                found += flat(one, depth + 1)
            else:
                found.append((depth, one.title, document.get_destination_page_number(one)))
        return found

    assert flat(document.outline) == [(0, "One", 0), (1, "Two & more", 1), (2, "Three", 1), (1, "Four code", 2)]


def test_its_contents_say_on_which_page_everything_is() -> None:
    chapters = [f"Chapter {number} of it" for number in range(1, 40)]
    text = "# It\n\n" + "\n\n".join(
        f"## {name}\n\n{WORDS}" + ("\n\n\\newpage" if number % 2 else "") for number, name in enumerate(chapters)
    )
    pdf = print_(text, title="It", contents=True, cover=True)
    pages = texts(pdf)
    written = re.findall(r"(Chapter \d+ of it)[ .]+(\d+)", " ".join(pages[1:3]))
    found = [
        (name, str(number))
        for number, page in enumerate(pages, 1)
        for name in chapters
        if re.search(f"(?m)^{name}$", page)
    ]
    assert written == found
    assert len(written) == 39


def test_a_table_of_contents_in_the_text_has_page_numbers_too() -> None:
    pdf = print_("[TOC]\n\n# One\n\n\\newpage\n\n# Two\n\n\\newpage\n\n## Three")
    assert re.findall(r"(One|Two|Three)[ .]+(\d)", texts(pdf)[0]) == [("One", "1"), ("Two", "2"), ("Three", "3")]


def test_links_lead_where_they_say() -> None:
    text = (
        "# One\n\n[out](https://example.com/a?b=c&d) [down](#two) [mail](mailto:a@example.com)[^1]\n\n## Two\n\n[^1]: N"
    )
    document = read(print_(text))
    actions = [annotation.get_object() for annotation in document.pages[0]["/Annots"]]
    assert [one["/A"]["/URI"] for one in actions if "/A" in one] == [
        "https://example.com/a?b=c&d",
        "mailto:a@example.com",
    ]
    targets = {str(one["/Dest"]) for one in actions if "/Dest" in one}
    assert targets == {"doc-two", "doc-fn:1", "doc-fnref:1"}
    assert targets <= set(document.named_destinations)


# --- What is printed before the text ----------------------------------------------------------------------------------


def test_a_cover_has_the_title_and_takes_it_out_of_the_text() -> None:
    pages = texts(print_("# A *title*\n\nText.", title="A title", author="Ada Mason", cover=True))
    assert [page.split("\n") for page in pages] == [["A title", "Ada Mason"], ["Text.", "A title", "2"]]


def test_a_title_that_the_text_lacks_is_put_above_it() -> None:
    pdf = print_("## First\n\nText.", title="Quarterly report", author="Ada Mason")
    assert texts(pdf)[0].split("\n") == ["Quarterly report", "Ada Mason", "First", "Text.", "1"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# It is\n\nText.", "It is"),
        ("# It *is*\n\nText.", "It is"),
        ("First.\n\n# It is\n\nText.", "It is"),
        ("Text.", "Untitled"),
    ],
)
def test_no_title_is_printed_twice_and_none_that_is_none(text: str, title: str) -> None:
    printed = texts(print_(text, title=title))[0]
    assert printed.count("It is") == text.count("# It")
    assert "Untitled" not in printed


@pytest.mark.parametrize("theme", ["limestone", "plain"])
def test_pages_are_numbered_and_say_what_they_are_part_of(theme: str) -> None:
    text = f"# Report\n\n## First part\n\n{WORDS * 60}\n\n\\newpage\n\n## Second part\n\n{WORDS}"
    pages = texts(print_(text, title="Report", theme=theme))
    assert pages[0].count("Report") == 1
    of = f" / {len(pages)}" if theme == "plain" else ""
    # What stands at the edge of a page is drawn last.
    assert re.search(rf"Report\s*First part\s*2{of}$", pages[1])
    assert re.search(rf"Report\s*Second part\s*{len(pages)}{of}$", pages[-1])


# --- How it looks -----------------------------------------------------------------------------------------------------

# Everything that a document can hold, and all that could stick out.
EVERYTHING = f"""# Everything

{WORDS} See <https://example.com/{"a-rather-long-address/" * 6}> and (<https://example.com/{"x" * 90}>).

**Bold**{"y" * 90}, Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen, `{"z" * 60}` and
`a.module/with.a/path.that/goes.on_{"q" * 40}`.

- one
    - two
        - three
            1. four {"w" * 50}
- [x] done
- [ ] not {"done" * 20}

!!! warning "Mind the step"
    It is *worn*.[^1] {"v" * 70}

> A quote, and
>
> > one in it {"u" * 70}

```python
def function(argument: str, other_argument: str = "a default", *arguments: str, **more: object) -> dict[str, object]:
    return {{"{"t" * 80}": "of a long line that goes on and on" + "and on", "other": argument or other_argument}}
```

```js
!function(e,t){{"object"==typeof exports&&"undefined"!=typeof module?t(exports):"function"==typeof define&&define()}}
```

{"| Name " * 12}|
{"|---:" * 12}|
{"| 1,234.50 " * 12}|

{"| Column " * 16}|
{"|---" * 16}|
{"| something " * 16}|

| What | Why |
|---|---|
| {"s" * 80} | (`{"r" * 50}`) {WORDS} |

Term
: Its meaning {"p" * 70}

![small](images/small.png) in the line, and large:

![large](images/large.png)

![tall](images/tall.png)

![wider than it may be](images/small.png){{width=4000 height=20}}

[^1]: A note {"o" * 80}
"""
IMAGES = {
    "images/small.png": picture((30, 20)),
    "images/large.png": picture((2400, 1200)),
    "images/tall.png": picture((300, 2400)),
}


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_sticks_out_in_any_theme_on_any_paper(theme: str, paper: str) -> None:
    pdf = print_(EVERYTHING, title="Everything", images=IMAGES, theme=theme, paper=paper, contents=True)
    document = pdfium.PdfDocument(pdf.data)
    width, height = {"A4": (210, 297), "A5": (148, 210), "Letter": (215.9, 279.4)}[paper]
    side = {"limestone": 0.145, "plain": 0.12, "letter": 0.17}[theme] * width * MILLIMETRES
    for page in document:
        assert page.get_size() == pytest.approx((width * MILLIMETRES, height * MILLIMETRES), abs=0.1)
        text = page.get_textpage()
        letters = [at for at, letter in enumerate(text.get_text_range()) if not letter.isspace()]
        pictures = [one.get_bounds() for one in page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE])]
        for left, bottom, right, top in [*map(text.get_charbox, letters), *pictures]:
            assert side - 2 < left
            assert right < page.get_width() - side + 2
            assert bottom > 20
            assert top < page.get_height() - 20
        for left, bottom, right, top in pictures:
            assert top - bottom < 0.61 * page.get_height()
            # It has the shape of one of the three.
            assert min(abs((right - left) / (top - bottom) - shape) for shape in (1.5, 2, 0.125)) < 0.02


@pytest.mark.parametrize("theme", THEMES)
def test_every_script_is_printed_in_its_own_letters_of_our_own_fonts(theme: str) -> None:
    """The letters of one file were once printed in those of another."""
    words = ["Größe", "Ελληνικά", "Кириллица", "čeština", "Tiếng", "Việt", "ἀρχή", "“quoted”", "œuvre", "5 €", "…"]
    pdf = print_(
        "\n\n".join(f"{word} *{word}* **{word}**" for word in words) + "\n\n`Größe πρ Кир čeština`", theme=theme
    )
    printed = texts(pdf)[0]
    assert "Größe πρ Кир čeština" in printed
    for word in words:
        assert f"{word} {word} {word}" in printed
    fonts = [font.get_object() for font in read(pdf).pages[0]["/Resources"]["/Font"].values()]
    assert len(fonts) > 10
    assert all(re.match(r"/[A-Z]{6}\+Source-", font["/BaseFont"]) for font in fonts)


# --- Where pages end --------------------------------------------------------------------------------------------------


def lines(page: str) -> list[str]:
    """Return the lines of a page's text without what stands at its edges."""
    return page.split("\n")[:-1]


def test_no_heading_is_left_behind_at_the_foot_of_a_page() -> None:
    text = "\n\n".join(
        f"{'#' * (2 + number % 4)} Heading {number}\n\n{'#' * (3 + number % 4)} Below it\n\n{WORDS * (number % 7 + 1)}"
        for number in range(40)
    )
    pages = texts(print_(text, theme="letter", paper="A5"))
    assert len(pages) > 10
    for page in pages:
        assert not re.match("Heading|Below", lines(page)[-1])


def test_what_introduces_something_stays_with_it_and_no_line_is_alone() -> None:
    things = ["- one\n- two\n- three", "| a | b |\n|---|---|\n| 1 | 2 |", "```\nsome\ncode\nhere\n```"]
    text = "\n\n".join(f"{WORDS * (number % 5 + 1)}\n\nHere it is:\n\n{things[number % 3]}" for number in range(40))
    pages = [lines(page) for page in texts(print_(text, theme="letter", paper="A5"))]
    assert len(pages) > 8
    for before, after in pairwise(pages):
        assert before[-1] != "Here it is:"
        assert after[0].strip() not in ("three", "here", "1 2", "looks its age.")


def test_a_table_s_head_comes_again_on_every_page() -> None:
    rows = "\n".join(f"| {number} | {WORDS} |" for number in range(40))
    pages = texts(print_(f"| Number | What it means |\n|---|---|\n{rows}", theme="letter", paper="A5"))
    assert len(pages) > 2
    assert all(page.startswith("Number What it means\n") for page in pages)


def test_a_page_ends_where_the_author_says() -> None:
    assert [
        page.split("\n")[0] for page in texts(print_("One\n\n\\newpage\n\nTwo\n\n<!-- pagebreak -->\n\nThree"))
    ] == [
        "One",
        "Two",
        "Three",
    ]


# --- Pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["PNG", "JPEG"])
def test_a_picture_is_the_picture(encoding: str) -> None:
    data = picture((300, 200), encoding)
    pdf = print_("![](images/ä%20b.png)", images={"images/ä b.png": data})
    (page,) = pdfium.PdfDocument(pdf.data)
    (placed,) = page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE])
    left, bottom, right, top = placed.get_bounds()
    # 96 to the inch, as in a browser.
    assert (right - left, top - bottom) == pytest.approx((225, 150), abs=0.1)
    scale = 300 / (right - left)
    image = page.render(scale=scale).to_pil().convert("RGB")
    corner = round(left * scale), round((page.get_height() - top) * scale)
    printed = image.crop((*corner, corner[0] + 300, corner[1] + 200)).resize((30, 20), Image.Resampling.BOX)
    original = Image.open(io.BytesIO(data)).convert("RGB").resize((30, 20), Image.Resampling.BOX)
    pairs = zip(printed.tobytes(), original.tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) < 14


def test_pictures_that_are_not_there_are_said_and_seen() -> None:
    text = "![The lamp & co](a.png) ![](b/c.jpg) ![ok](images/small.png) ![again](a.png) ![svg](d.png) ![far](https://example.com/x.png)"
    images = {"images/small.png": IMAGES["images/small.png"], "d.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>'}
    pdf = print_(text, images=images)
    assert pdf.missing == ("a.png", "b/c.jpg", "d.png")
    printed = " ".join(texts(pdf)[0].split())
    for note in ("The lamp & co", "b/c.jpg", "again", "svg"):
        assert f"This picture is missing: {note}" in printed
    assert "This picture is elsewhere: far" in printed
    assert "ok" not in printed


# --- The same again ---------------------------------------------------------------------------------------------------

_PROGRAM = """if True:
    import hashlib, sys
    import time_machine
    from tests.documents.test_printing import EVERYTHING, IMAGES, print_
    with time_machine.travel(float(sys.argv[1]), tick=False):
        pdf = print_(EVERYTHING, title="Everything", images=IMAGES, cover=True, contents=True)
        print(hashlib.sha256(pdf.data).hexdigest())
"""


def test_the_same_text_gives_the_same_bytes_in_any_process_at_any_time() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, time],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for seed, time in (("1", "1e9"), ("2", "1.9e9"))
    ]
    one, other = (process.communicate()[0] for process in started)
    assert len(one) > 60
    assert one == other


def test_code_reads_the_same_without_the_marks_that_have_no_style() -> None:
    text = "```python\nfor x in [1, 2]:\n    print('<b>', x)  # & so on\n```\n\n<span class=\"n\">kept</span>"
    rendered = markup.render(text)
    page = printing.page(rendered.html, title="", author="", options=Options(), headings=(), language="en")
    assert page.count("<span") < rendered.html.count("<span") / 2
    assert re.sub("<[^>]*>", "", page.partition("<main>")[2]) == re.sub("<[^>]*>", "", rendered.html)


# --- While it is made -------------------------------------------------------------------------------------------------


def test_it_is_told_which_page_is_laid_out() -> None:
    told: list[int] = []
    text = "# One\n\n" + "\\newpage\n\n".join(f"## Part {number}\n\n{WORDS}\n\n" for number in range(12))
    pdf = print_(text, title="One", contents=True, cover=True, on_page=told.append)
    # Once each, though contents with page numbers take a second round.
    assert told == list(range(1, pdf.pages + 1))


def test_what_the_listener_raises_ends_the_work_and_leaves_everything_as_it_was() -> None:
    progress = logging.getLogger("weasyprint.progress")
    before = progress.level, list(progress.filters)

    def give_up(page: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        print_(WORDS, on_page=give_up)
    assert (progress.level, progress.filters) == before
    assert gc.isenabled()


def test_the_log_does_not_repeat_what_the_document_says() -> None:
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        print_("Secret 秘密 <a href='#secret'>x</a> ![secret](secret.png)", on_page=lambda page: None)
    finally:
        logging.getLogger().removeHandler(handler)
    assert heard == []


def test_every_theme_has_its_sheet_and_nothing_in_it_is_ignored() -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("weasyprint").addHandler(handler)
    try:
        for theme in THEMES:
            print_("Text.", theme=theme, cover=True)
    finally:
        logging.getLogger("weasyprint").removeHandler(handler)
    assert [message for message in heard if not message.startswith("Step ")] == []
