"""The dialect: what Markdown comes out as."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from documents.markup import CLASSES, MAX_DEPTH, render
from documents.rendered import MAX_PICTURE_BYTES, Heading, Rendered, TooDeep
from documents.source import MAX_BYTES, MAX_FRONT_BYTES, MAX_FRONT_LINES, PAPERS, THEMES, Options, parse


def page(text: str) -> str:
    return render(text).html


def test_a_document_is_rendered_with_what_it_holds() -> None:
    assert render("# The *first* title\n\nText.\n\n![A map](images/ab.png)\n") == Rendered(
        html='<h1 id="doc-the-first-title">The <em>first</em> title</h1>\n<p>Text.</p>\n'
        '<p><img alt="A map" src="corner:images/ab.png"></p>',
        images=("images/ab.png",),
        headings=(Heading(1, "The first title", "doc-the-first-title"),),
        words=4,
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("| a | b |\n|---|--:|\n| 1 | 2 |", '<td align="right">2</td>'),
        (
            "- [ ] to do\n- [x] done",
            '<li class="task-list-item"><input disabled="" checked="" type="checkbox"> done</li>',
        ),
        ("~~old~~ and H~2~O", "<del>old</del> and H<sub>2</sub>O"),
        ("==new== and m^2^ and ^^in^^", "<mark>new</mark> and m<sup>2</sup> and <ins>in</ins>"),
        (
            '!!! warning "Careful"\n    Hot.',
            '<div class="admonition warning">\n<p class="admonition-title">Careful</p>',
        ),
        ("```python\nreturn 1\n```", '<span class="k">return</span> <span class="mi">1</span>'),
        ('```python title="a.py"\npass\n```', '<span class="filename">a.py</span>'),
        ('```python linenums="1"\npass\n```', '<span class="linenos">1</span>'),
        ('```python hl_lines="1"\npass\n```', '<span class="hll">'),
        ("```nonsense\n<b>\n```", "<code>&lt;b&gt;\n</code>"),
        ("    indented", '<div class="highlight"><pre>'),
        ("- a\n\n    ```sh\n    ls\n    ```", '<div class="highlight">'),
        ("Apple\n:   A fruit", "<dt>Apple</dt>\n<dd>A fruit</dd>"),
        ("The HTML.\n\n*[HTML]: Hypertext", '<abbr title="Hypertext">HTML</abbr>'),
        ("4. four\n5. five", '<ol start="4">'),
        ("[TOC]\n\n## Part", '<div class="toc">\n<ul>\n<li><a href="#doc-part"'),
        ("## Größe *x*\n\n[there](#größe-x)", '<a href="#doc-größe-x"'),
        ("## A {#mine}\n\n[there](#mine)", '<h2 id="doc-mine">A</h2>'),
        ("a[^x]\n\n[^x]: Note.", '<li id="doc-fn:x">\n<p>Note.&nbsp;<a class="footnote-backref" href="#doc-fnref:x"'),
        ("![](a.png){ width=50% }", '<img alt="" src="corner:a.png" width="50%">'),
        ("<kbd>Ctrl</kbd>", "<kbd>Ctrl</kbd>"),
        (
            "<details open><summary>More</summary>Text</details>",
            '<details open=""><summary>More</summary>Text</details>',
        ),
        ("<https://example.com/?a&b>", '<a href="https://example.com/?a&amp;b" rel="noopener noreferrer">'),
        ("[m](mailto:a@example.com) [t](tel:+39123)", 'href="tel:+39123"'),
        ('<p lang="it" dir="ltr">ciao</p>', '<p lang="it" dir="ltr">ciao</p>'),
    ],
)
def test_the_dialect(text: str, part: str) -> None:
    assert part in page(text)


@pytest.mark.parametrize("line", ["\\newpage", "<!-- pagebreak -->", "<!--pagebreak-->", "  \\newpage "])
def test_a_page_can_be_ended(line: str) -> None:
    assert page(f"before\n{line}\nafter") == '<p>before</p>\n<div class="page-break"></div>\n\n<p>after</p>'


@pytest.mark.parametrize(
    "text", ["```\n\\newpage\n```", "    \\newpage", "Write `\\newpage` to end it.", "the \\newpage"]
)
def test_a_page_is_not_ended_where_code_says_so(text: str) -> None:
    assert "page-break" not in page(text)


def test_a_heading_of_any_length_can_be_linked_to() -> None:
    rendered = render(f"# {'long ' * 200}\n\n[TOC]")
    assert f'<h1 id="{rendered.headings[0].id}">' in rendered.html
    assert f'href="#{rendered.headings[0].id}"' in rendered.html


def test_headings_are_told_in_their_order_with_the_ids_they_have() -> None:
    rendered = render(
        "# A & B\n\n### Deep\n\nUnder\n---\n\n# A & B\n\n> # Quoted\n\n# [link](https://example.com) `c<d>`"
    )
    assert [(heading.level, heading.text) for heading in rendered.headings] == [
        (1, "A & B"),
        (3, "Deep"),
        (2, "Under"),
        (1, "A & B"),
        (1, "Quoted"),
        (1, "link c<d>"),
    ]
    for heading in rendered.headings:
        assert f'<h{heading.level} id="{heading.id}">' in rendered.html
    assert len({heading.id for heading in rendered.headings}) == 6


@pytest.mark.parametrize(
    ("folder", "address", "path"),
    [
        ("", "images/ab.png", "images/ab.png"),
        ("", "./a.JPG", "a.JPG"),
        ("notes", "pic.png", "notes/pic.png"),
        ("notes", "../images/ab.png", "images/ab.png"),
        ("notes/2026", "../../images/./ab.webp", "images/ab.webp"),
        ("", "a%20b.png", "a b.png"),
        ("", "<a b.png>", "a b.png"),
        ("", "größe.gif", "größe.gif"),
        ("", "%61.jpeg", "a.jpeg"),
        ("", "50%25.png", "50%.png"),
        ("", "javascript%3Aa.png", "javascript:a.png"),
    ],
)
def test_a_picture_is_one_of_the_owners_corner(folder: str, address: str, path: str) -> None:
    rendered = render(f"![alt]({address})", folder=folder)
    assert rendered.images == (path,)
    assert 'src="corner:' in rendered.html


@pytest.mark.parametrize(
    ("folder", "address"),
    [
        ("", "https://example.com/a.png"),
        ("", "HTTP://example.com/a.png"),
        ("", "//example.com/a.png"),
        ("", "/a.png"),
        ("", "%2fa.png"),
        ("", "%2f%2fexample.com/a.png"),
        ("", "../a.png"),
        ("notes", "../../a.png"),
        ("notes", "x/../../../a.png"),
        ("notes", "%2e%2e/%2e%2e/a.png"),
        ("notes", "..%2f..%2fa.png"),
        ("", "..\\a.png"),
        ("", "..%5ca.png"),
        ("", "corner:a.png"),
        ("", "CORNER:a.png"),
        ("", "corner:../b/a.png"),
        ("", "corner%3Aa.png/../../b.png"),
        ("", "file:///etc/passwd.png"),
        ("", "data:image/png;base64,AAAA.png"),
        ("", "javascript:alert(1)//a.png"),
        ("", "theme:a.png"),
        ("", "a.svg"),
        ("", "a.png.html"),
        ("", "a.png?b"),
        ("", "a.svg#a.png"),
        ("", "a%00.png"),
        ("", "a%0a.png"),
        ("", "png"),
        ("", ""),
        ("", "a.png%3f/.."),
    ],
)
@pytest.mark.parametrize(
    "how", ["![what it shows]({})", "<img src='{}' alt='what it shows'>", "![what it shows][r]\n\n[r]: {}"]
)
def test_a_picture_from_elsewhere_is_said_and_not_shown(how: str, folder: str, address: str) -> None:
    rendered = render(how.format(address), folder=folder)
    assert rendered.images == ()
    assert "<img" not in rendered.html
    if address or "[r]" not in how:
        note = '<span class="missing">This picture is elsewhere: what it shows. Upload it to show it.</span>'
        assert note in rendered.html


def test_a_picture_that_is_shown_twice_is_told_once() -> None:
    rendered = render('![](b.png) ![](a%62.png) ![](b.png) <img src="a.png">\n\nsrc="corner:z.png" `![](y.png)`')
    assert rendered.images == ("b.png", "ab.png", "a.png")


def test_words_are_those_that_are_read() -> None:
    assert render("# One two\n\n*three*four &amp; [five](https://example.com/a b c)\n\n<!-- no words -->").words == 5


def test_a_document_renders_the_same_after_any_other() -> None:
    text = "# A\n\na[^1] HTML\n\n[^1]: note\n\n*[HTML]: x\n\n[r]: https://example.com"
    first = render(text)
    render("# A\n\n[r] HTML a[^1]\n\n" + ">" * 50 + "x\n\n[^1]: another")
    assert render(text) == first
    assert "<a" not in page("[r] HTML")


def test_a_document_that_could_not_be_rendered_leaves_nothing_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    from documents import markup

    markdown = markup._markdown()
    monkeypatch.setattr(markdown, "convert", lambda text: [][0])
    with pytest.raises(IndexError):
        render("a")
    assert markup._markdown() is not markdown
    assert page("a") == "<p>a</p>"


@pytest.mark.parametrize(
    "nested",
    [
        lambda n: "> " * n + "x",
        lambda n: "<div>" * n + "x",
        lambda n: "<b>" * n + "x<br>" * 300,
        lambda n: "- " * (n // 2) + "x",
    ],
)
def test_nesting_has_an_end(nested: Callable[[int], str]) -> None:
    assert page(nested(98))
    with pytest.raises(TooDeep, match="100 levels"):
        render(nested(102))
    assert page("x") == "<p>x</p>"


def test_what_is_beside_each_other_is_not_nested() -> None:
    beside = '<br>x <img src="a.png"><input> <hr> <b>x</b>\n\n' * 200
    assert render(beside).words == 400


# --- What is written about it -----------------------------------------------------------------------------------------

ABOUT = (Path(__file__).parents[2] / "docs/markdown.md").read_text()


def test_the_page_about_it_names_all_kinds_of_asides() -> None:
    about = ABOUT.partition("The kinds of aside are ")[2].partition(";")[0]
    others = {"admonition", "footnote", "highlight", "page-break", "toc"}
    assert set(re.findall("`([a-z]+)`", about)) == CLASSES["div"] - others


def test_the_page_about_it_names_the_limits() -> None:
    for limit in (MAX_BYTES, MAX_FRONT_LINES, MAX_FRONT_BYTES, MAX_DEPTH):
        assert f"{limit:,}" in ABOUT.partition("## Limits")[2]
    assert f"{MAX_PICTURE_BYTES // 1_000_000} MB" in ABOUT
    for name in (*THEMES, *PAPERS):
        assert f"`{name}`" in ABOUT


def test_the_examples_on_the_page_about_it_work() -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", ABOUT, re.DOTALL | re.MULTILINE)
    html = "".join(page(block) for block in blocks)
    for part in ("<table>", 'align="right"', "doc-fn:1", 'class="admonition warning"', "<dd>", "<abbr"):
        assert part in html
    front = next(block for block in blocks if block.startswith("---"))
    assert parse(front).options == Options(cover=True, contents=True)
    indented = "\n".join(
        line[4:] for line in ABOUT.partition("## Code\n\n")[2].partition("\nThe language")[0].split("\n")
    )
    assert '<span class="filename">report.py</span>' in page(indented)
    assert '<span class="hll">' in page(indented)
