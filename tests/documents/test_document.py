"""What is written down of what S3 has: pure, whatever comes in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from documents.document import KEPT, REMEMBERED, Document, Part, is_kept
from documents.index import padded
from documents.place import Kind

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
BLANK = Document(identity_id="me", document_id="plan")


def there(n: int) -> Part:
    return Part(
        size=n, version_id=f"v{n}", e_tag=f"e{n}", modified_at=NOW + timedelta(minutes=n), sequencer=padded(f"{n:04X}")
    )


def gone(n: int, version_id: str = "v0") -> Part:
    return Part(removed_at=NOW + timedelta(minutes=n), version_id=version_id, sequencer=padded(f"{n:04X}"))


def written(*parts: tuple[Kind, Part]) -> Document:
    """Return the document after each of these was written down, or was not."""
    document = BLANK
    for kind, part in parts:
        document = document.with_part(kind, part) or document
    return document


_histories = st.lists(st.tuples(st.sampled_from(["source", "pdf", "file"]), st.booleans()), min_size=1, max_size=6).map(
    lambda steps: [(kind, there(n) if is_there else gone(n)) for n, (kind, is_there) in enumerate(steps, 1)]
)


@given(_histories, st.data())
def test_any_order_and_any_number_of_duplicates_give_the_same(history, data):
    duplicates = data.draw(st.lists(st.sampled_from(history)))
    assert written(*data.draw(st.permutations(history + duplicates))) == written(*history)


@given(_histories)
def test_it_is_listed_where_something_is_there_and_among_the_deleted_where_nothing_is(history):
    document = written(*history)
    last = dict(history)
    if any(part.is_there for part in last.values()):
        assert document.modified_at == max(part.modified_at for part in last.values() if part.modified_at)
        assert (document.removed_at, document.expires_at) == (None, None)
    else:
        assert document.modified_at is None
        assert document.removed_at == max(part.removed_at for part in last.values() if part.removed_at)
        assert document.expires_at == (document.removed_at + KEPT).timestamp()


@given(_histories)
def test_the_markdown_says_the_title_and_a_file_only_where_there_is_none(history):
    titled = [(kind, part.model_copy(update={"title": f"{kind} {n}"})) for n, (kind, part) in enumerate(history)]
    last = dict(titled)
    expected = last.get("source") or last.get("file")
    assert written(*titled).title == (expected.title if expected else "")


def test_sequencers_of_different_lengths_are_padded_on_the_right():
    assert padded("005e1d3a") < padded("005E1D3B") < padded("005E1D3B01")
    assert padded("005E1D3B") == padded("005E1D3B00")
    assert padded("") == ""


def test_what_was_made_from_the_bucket_keeps_the_sequencer_that_is_known():
    document = written(("source", there(5))).with_part("source", there(9).model_copy(update={"sequencer": ""}))
    assert document.source
    assert (document.source.size, document.source.sequencer) == (9, padded("0005"))
    assert document.with_part("source", there(4)) is None


def test_pictures_are_in_no_list():
    picture = Document(identity_id="me", document_id="images/ab.png")
    assert [picture.with_part("file", part) for part in (there(1), gone(2))] == [
        picture.model_copy(update={"file": there(1)}),
        picture.model_copy(update={"file": gone(2), "expires_at": int((gone(2).removed_at + REMEMBERED).timestamp())}),
    ]


def test_what_is_beside_the_pictures_is_listed_where_it_is_none():
    beside = Document(identity_id="me", document_id="images/readme")
    assert beside.with_part("source", there(1)).modified_at == there(1).modified_at
    assert beside.with_part("source", gone(1)).removed_at == gone(1).removed_at


def test_what_has_no_version_left_cannot_be_brought_back():
    document = written(("source", there(1)), ("source", gone(2, version_id="")))
    assert document.removed_at is None
    assert document.expires_at
    assert is_kept(document, now=NOW)
    assert not is_kept(document, now=NOW + timedelta(days=2))


def test_what_was_taken_down_is_listed_with_the_reason_until_it_is_back():
    taken = written(("source", there(1))).with_part("source", gone(2, version_id=""), taken_down="Spam.")
    assert taken
    assert (taken.taken_down, taken.removed_at, taken.expires_at) == ("Spam.", NOW + timedelta(minutes=2), None)
    back = taken.with_part("source", there(3))
    assert back
    assert (back.taken_down, back.removed_at, back.modified_at) == ("", None, NOW + timedelta(minutes=3))


def test_a_pdf_is_current_while_the_text_is_what_it_was_made_of():
    of_e1 = there(2).model_copy(update={"source_e_tag": "e1"})
    document = written(("source", there(1)), ("pdf", of_e1))
    assert document.pdf_is_current
    assert not written(("source", there(1)), ("pdf", of_e1), ("source", there(3))).pdf_is_current
    assert not written(("pdf", of_e1)).pdf_is_current
    assert document.size == 3
