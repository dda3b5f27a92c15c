"""Which object is which part of which document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.place import Place, is_path, new_id, place_of, places

ME = "eu-west-1:6f1c0000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "document_id", "kind"),
    [
        ("a.md", "a", "source"),
        ("a.pdf", "a", "pdf"),
        ("a.txt", "a.txt", "file"),
        ("a", "a", "file"),
        ("notes/2026/meeting.md", "notes/2026/meeting", "source"),
        ("images/ab.png", "images/ab.png", "file"),
        ("a.md.md", "a.md", "source"),
        (".md", ".md", "file"),
        ("notes/.pdf", "notes/.pdf", "file"),
        ("A.MD", "A.MD", "file"),
        ("ünï 🦄.md", "ünï 🦄", "source"),
    ],
)
def test_a_key_names_a_part_of_a_document(path, document_id, kind):
    assert place_of(f"ugc/{ME}/{path}") == Place(ME, document_id, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key", ["", "ugc/", "ugc", f"ugc/{ME}", f"ugc/{ME}/", f"ugc/{ME}/x/", "ugc//a.md", "static/a.md"]
)
def test_what_is_in_nobodys_corner_is_no_document(key):
    assert place_of(key) is None


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_key_is_told_from_every_other(one, another):
    places = [place_of(f"ugc/{ME}/{path}") for path in (one, another)]
    if None not in places and one != another:
        assert places[0] != places[1]
        assert [place.key for place in places if place] == [f"ugc/{ME}/{one}", f"ugc/{ME}/{another}"]


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/a", "a/", "../a", "a/../b", "./a", "a//b", "a\\b", "a\nb", "a\0", "x" * 901]
)
def test_a_path_that_something_on_its_way_would_change_is_none(path):
    assert not is_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "a\u00a0b",
        "\u3000",
        "\U0001f469\u200d\U0001f4bb",
        "a\u00adb",
        "a",
        "a.b",
        "..a",
        ".a",
        "notes/2026/ünï 🦄",
        "images/ab.png",
    ],
)
def test_other_names_are_paths(path):
    assert is_path(path)


def test_new_ids_are_paths_and_differ():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(map(is_path, ids))


@pytest.mark.parametrize(
    ("document_id", "paths"),
    [
        ("plan", ["plan.md", "plan.pdf", "plan"]),
        ("plan.md", ["plan.md.md", "plan.md.pdf"]),
        ("a/plan.pdf", ["a/plan.pdf.md", "a/plan.pdf.pdf"]),
        ("images/.md", ["images/.md.md", "images/.md.pdf", "images/.md"]),
    ],
)
def test_where_the_parts_of_a_document_can_be(document_id, paths):
    found = places("me", document_id)
    assert [place.path for place in found] == paths
    assert all(place == Place("me", document_id, place.kind) for place in found)
