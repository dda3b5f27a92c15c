"""A document, as the Documents table has it: what the bucket holds of it, and what can be asked of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from documents.place import KINDS, PICTURES, Kind, is_path
from portal.dynamo.table import Instant, Record, Table

# How long what was deleted can be brought back; the bucket keeps earlier versions for longer.
KEPT = timedelta(days=30)
# How long an event may be on its way that is older than what the table knows of a part that is gone.
REMEMBERED = timedelta(days=1)


class Part(Record):
    """An object of the bucket as it was when S3 last told of it."""

    size: int = 0  # bytes
    version_id: str = ""
    e_tag: str = ""
    modified_at: Instant | None = None
    title: str = ""  # what the Markdown says, or the name of a file
    # Set where the object is gone.
    removed_at: Instant | None = None
    # Of the last event, padded; empty where the table was made from the bucket. Later events have greater ones.
    sequencer: str = ""
    # Of a PDF: what it was made of, and how many pages it has.
    source_e_tag: str = ""
    pages: int = 0

    @property
    def is_there(self) -> bool:
        return self.modified_at is not None


class Document(Record):
    """Everything that has one name in somebody's corner. `modified_at` is set where any of it is there and a list
    should show it, `removed_at` where all of it is gone."""

    identity_id: str
    document_id: str
    title: str = ""
    title_key: str = ""  # what a search looks into
    modified_at: Instant | None = None
    removed_at: Instant | None = None
    taken_down: str = ""  # why an operator took it
    source: Part | None = None
    pdf: Part | None = None
    file: Part | None = None
    expires_at: int | None = None  # epoch seconds: DynamoDB deletes it

    def part(self, kind: Kind) -> Part | None:
        part: Part | None = getattr(self, kind)
        return part

    @property
    def parts(self) -> Iterator[tuple[Kind, Part]]:
        """The parts that are there."""
        for kind in KINDS:
            part = self.part(kind)
            if part and part.is_there:
                yield kind, part

    @property
    def has_source(self) -> bool:
        return bool(self.source and self.source.is_there)

    @property
    def has_pdf(self) -> bool:
        return bool(self.pdf and self.pdf.is_there)

    @property
    def is_file(self) -> bool:
        """Whether it is neither Markdown nor a PDF."""
        return bool(self.file and self.file.is_there) and not self.has_source and not self.has_pdf

    @property
    def pdf_is_current(self) -> bool:
        """Whether the PDF was made of the text as it is."""
        return bool(self.has_pdf and self.source and self.pdf and self.pdf.source_e_tag == self.source.e_tag)

    @property
    def main(self) -> Part | None:
        """What it is first of all: the Markdown, or where there is none the PDF, or the file."""
        return next((part for _, part in self.parts), None)

    @property
    def size(self) -> int:
        """Bytes, of everything."""
        return sum(part.size for _, part in self.parts)

    @property
    def is_reachable(self) -> bool:
        """Whether it has an address: other programs give names that none can carry."""
        return is_path(self.document_id)

    def knows_later(self, kind: Kind, sequencer: str) -> bool:
        """Tell whether what is known of a part is of a later event than this one."""
        known = self.part(kind)
        return bool(known and sequencer and known.sequencer > sequencer)

    def with_part(self, kind: Kind, part: Part, *, taken_down: str = "") -> Document | None:
        """Return the document as it is with a part as S3 has it now; None where the table knows something newer."""
        known = self.part(kind)
        if self.knows_later(kind, part.sequencer):
            return None
        if known and not part.sequencer:
            part = part.model_copy(update={"sequencer": known.sequencer})
        changed = self.model_copy(update={kind: part})
        there = [one.modified_at for kind, one in changed.parts if one.modified_at and changed._is_listed(kind)]
        is_there = any(True for _ in changed.parts)
        taken_down = taken_down or ("" if is_there else self.taken_down)
        titles = [one.title for one in (changed.source, changed.file) if one and one.title]
        title = titles[0] if titles else ""
        facts = {
            "modified_at": max(there) if there else None,
            "title": title,
            "title_key": title.casefold(),
            "taken_down": taken_down,
            **({"removed_at": None, "expires_at": None} if is_there else changed._gone(taken_down=taken_down)),
        }
        return changed.model_copy(update=facts)

    def _is_listed(self, kind: Kind) -> bool:
        """Tell whether lists show a part: pictures are parts of the documents that they are in."""
        return kind != "file" or not self.document_id.startswith(PICTURES)

    def _gone(self, *, taken_down: str) -> dict[str, object]:
        """Return since when all of it is gone, and how long that is remembered."""
        gone = {kind: part for kind in KINDS if (part := self.part(kind)) and part.removed_at}
        since = max((part.removed_at for part in gone.values() if part.removed_at), default=None)
        if since is None:
            return {"removed_at": None, "expires_at": None}
        is_listed = any(map(self._is_listed, gone))
        # What has no version left cannot be brought back: it is only remembered for the events that are late.
        can_return = is_listed and any(part.version_id for part in gone.values())
        return {
            "removed_at": since if can_return or (taken_down and is_listed) else None,
            "expires_at": None if taken_down else int((since + (KEPT if can_return else REMEMBERED)).timestamp()),
        }


documents = Table(
    Document,
    name="documents",
    key=("IdentityId", "DocumentId"),
    indexes={"ByModified": ("IdentityId", "ModifiedAt"), "ByRemoved": ("IdentityId", "RemovedAt")},
)


def is_kept(document: Document, *, now: datetime) -> bool:
    """Tell whether what was deleted can still be brought back. DynamoDB deletes an expired item some time within two
    days."""
    return document.expires_at is None or document.expires_at > now.timestamp()
