"""A document as it is stored."""

from __future__ import annotations

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from documents.markup import render
from documents.source import (
    MAX_BYTES,
    PAPERS,
    THEMES,
    NotText,
    Options,
    Source,
    TooLarge,
    file_name,
    heading_of,
    parse,
    title_of,
    write,
)

FULL = """---
title: "Quarterly report: autumn"
author: Zoë O'Brien
tags: [a, b]
theme: letter
paper: a5
cover: true
contents: yes
# a comment
---
# Summary

Text.
"""


def test_lines_in_front_say_how_it_is_printed() -> None:
    assert parse(FULL) == Source(
        "Quarterly report: autumn",
        "# Summary\n\nText.\n",
        Options(theme="letter", paper="A5", cover=True, contents=True),
        "Zoë O'Brien",
        ("tags: [a, b]", "# a comment"),
    )


@pytest.mark.parametrize(
    "text", ["", "x", "# Title\n\ntext\n", "---", "---\n\nA line above.", "a\r\nb\r\n", "\n---\n---\n"]
)
def test_a_plain_file_stays_a_plain_file(text: str) -> None:
    assert parse(text) == Source("", text)
    assert write(Source("", text)) == text


def test_files_of_other_systems_are_read() -> None:
    windows = "\ufeff" + FULL.replace("\n", "\r\n")
    assert parse(windows.encode()) == Source(**{**vars(parse(FULL)), "text": "# Summary\r\n\r\nText.\r\n"})


@pytest.mark.parametrize(
    "line",
    [
        "theme: gaia",
        "theme:",
        "paper: A3",
        "cover: perhaps",
        "contents: true # no",
        "title: >",
        "title:",
        'title: ""',
        " title: indented",
        "author:",
        "no colon",
        "",
    ],
)
def test_what_means_nothing_here_is_kept(line: str) -> None:
    content = f"---\n{line}\n---\ntext"
    assert parse(content) == Source("", "text", others=(line,))
    assert write(parse(content)) == content


def test_the_last_of_two_titles_counts() -> None:
    assert parse("---\ntitle: One\nTitle: Two\n---\n").title == "Two"


@pytest.mark.parametrize(
    "value", ['say "hi"', '"quoted"', "a: b", "# 1", "- 1", "C:\\Temp", "back\\", "it's", "[x]", ">", "?"]
)
def test_any_title_comes_out_as_it_went_in(value: str) -> None:
    assert parse(write(Source(value, "text"))) == Source(value, "text")


def test_a_quoted_title_is_read_as_yaml_would() -> None:
    assert parse('---\ntitle: "He said \\"no\\" \\\\ yes"\n---\n').title == 'He said "no" \\ yes'


def test_a_title_is_one_line_without_what_cannot_be_seen() -> None:
    assert Source("a\n b\x00\u202ec\ud800 ", "").title == "a b c"
    assert len(Source("x" * 500, "").title) == 200


one_line = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=40)
keys = st.sampled_from(["title", "Title", "author", "theme", "paper", "cover", "contents", "tags", " title", ""])
values = st.sampled_from(["plain", "A5", "true", "no", "nonsense", '"', '"q"', ">", "", "letter", "\r"]) | one_line
front_lines = st.lists(st.builds("{}:{}".format, keys, values) | one_line, max_size=6)
bodies = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(
    ["---\n---\n", "---\na: b\n---\nc", "---", "\ufeff---\n---\n", "--- \r\n---\r\n"]
)
options = st.builds(
    Options,
    theme=st.sampled_from(list(THEMES)),
    paper=st.sampled_from(list(PAPERS)),
    cover=st.booleans(),
    contents=st.booleans(),
)


@given(title=st.text(), author=st.text(), text=bodies, options=options, lines=front_lines)
@example(title="", author="", text="\ufeff", options=Options(), lines=[])
def test_what_is_written_is_read_again(title: str, author: str, text: str, options: Options, lines: list[str]) -> None:
    others = parse("\n".join(["---", *lines, "---", ""])).others
    source = Source(title, text, options, author, others)
    assert parse(write(source)) == source


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.builds("---\n{}\n---\n{}".format, front_lines.map("\n".join), bodies)
)
def test_saving_what_was_read_changes_no_word(content: str) -> None:
    source = parse(content)
    assert source.text in content
    assert parse(write(source)) == source


def test_what_is_too_large_is_refused() -> None:
    assert parse("ä" * (MAX_BYTES // 2)).text
    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        parse("ä" * (MAX_BYTES // 2 + 1))
    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        write(Source("title", "x" * MAX_BYTES))
    with pytest.raises(TooLarge, match="64 lines"):
        write(Source("title", "x", others=("a: b",) * 64))


@pytest.mark.parametrize("content", [b"\xff\xfe#\x00", b"\x89PNG\r\n", "\ud800", "a\0b", "é".encode("latin-1")])
def test_what_is_no_text_is_refused(content: bytes | str) -> None:
    with pytest.raises(NotText):
        parse(content)


@pytest.mark.parametrize("front", ["key: value\n" * 65, f"key: {'x' * 8000}\n", "key: value\n" * 100_000])
def test_more_in_front_than_can_be_is_text(front: str) -> None:
    content = f"---\n{front}---\ntext"[:MAX_BYTES]
    assert parse(content) == Source("", content)


def test_options_are_known_ones() -> None:
    with pytest.raises(ValueError, match="There is limestone, plain, letter"):
        Options(theme="x\n---")
    with pytest.raises(ValueError, match="A4, A5, Letter"):
        Options(paper="a4")


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("# One\n# Two", "One"),
        ("text\n\n## Small\n\n# Large", "Large"),
        ("text\n\n## Small", "Small"),
        ("#Tight ##", "Tight"),
        ("Underlined\n===\ntext", "Underlined"),
        ("\r\nUnderlined\r\n===\r\n", "Underlined"),
        ("Two lines\nof text\n===", ""),
        ("para\nText\n---\nx", ""),
        ("a\n\n---\nb", ""),
        ("    # code", ""),
        ("  # text", ""),
        ("```\n# code\n```\n# No code", "No code"),
        ("~~~~ python\n# code\n~~~\n# code\n~~~~\n# No code", "No code"),
        ("```\n# never closed", ""),
        ("```` `` x\n# Inline", "Inline"),
        ("#\n# Second", "Second"),
        ("# **Bold** _and_ `co_de` and snake_case", "Bold and co_de and snake_case"),
        ("# A [link](https://example.com), [another][x]\n\n[x]: https://example.com", "A link, another"),
        ("# The `<script>` tag &amp; <b>more</b> {#id .class}", "The <script> tag & more"),
        ("# 2 * 3 \\* 4", "2 * 3 * 4"),
        ("# With a note[^1]\n\n[^1]: A note.", "With a note"),
        ("# ~~Old~~ ==New==", "Old New"),
        ("", ""),
    ],
)
def test_the_first_heading_is_what_the_page_shows(text: str, heading: str) -> None:
    assert heading_of(text) == heading
    headings = render(text).headings
    if heading and "never closed" not in text:
        shown = [one for one in headings if html.unescape(one.text)]
        assert next((one.text for one in shown if one.level == 1), shown[0].text) == heading


@given(st.text(st.sampled_from("#ab *_`~[]()<>!\\\n=-{}^&;"), max_size=300))
def test_a_heading_can_be_found_in_anything(text: str) -> None:
    heading = heading_of(text)
    assert heading == heading.strip()
    assert "\n" not in heading


@pytest.mark.parametrize(
    ("source", "document_id", "title"),
    [
        (Source("Own", "# Heading"), "notes/meeting", "Own"),
        (Source("", "# Heading"), "notes/meeting", "Heading"),
        (Source("", "text"), "notes/2026/meeting", "meeting"),
        (Source("", "text"), "0123456789abcdef", "Untitled"),
        (Source("", ""), "", "Untitled"),
        (Source("", f"# {'x' * 400}"), "a", "x" * 200),
    ],
)
def test_every_document_is_called_something(source: Source, document_id: str, title: str) -> None:
    assert title_of(source, document_id) == title


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Quarterly report", "Quarterly report.pdf"),
        ("Q3/Q4: what *was* <it>?", "Q3 Q4 what was it.pdf"),
        ("../../etc/passwd", "etc passwd.pdf"),
        (".hidden", "hidden.pdf"),
        ("con", "con_.pdf"),
        ("COM1.x", "COM_1.x.pdf"),
        ("\x00\r\n", "Untitled.pdf"),
        ("???", "Untitled.pdf"),
        ("отчёт 報告", "отчёт 報告.pdf"),
    ],
)
def test_a_file_name_is_safe_anywhere(title: str, name: str) -> None:
    assert file_name(title, "pdf") == name


@given(st.text())
@example("é" * 300)
@example("報" * 300)
def test_any_title_gives_a_file_name(title: str) -> None:
    name = file_name(title, "pdf")
    assert len(name) <= 120
    assert len(name.encode()) <= 255
    assert name.endswith(".pdf")
    assert len(name) > 4
    assert not set(name) & set('/\\:*?"<>|\r\n\0')
    assert name[0] not in ". -"
