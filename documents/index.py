"""The index of the bucket: what S3 holds, written down in the Documents table.

An event only says where to look: what is written is what S3 has when asked, unless the item was written meanwhile. So
it does not matter how often an event comes, or when. For one that is older than what is written down, S3 is not asked.
See docs/decisions/0014-documents.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError
from django.conf import settings

from documents import bucket, object_versions, source
from documents.document import Document, Part, documents, is_kept
from documents.place import CORNERS, KINDS, TAKEN_DOWN, Place, corner_of, place_of
from portal import aws
from portal.dynamo.table import Conflict

# The title is in the first lines: front matter, or a heading.
HEAD_BYTES = 16 * 1024
_SEQUENCER_DIGITS = 32
_TRIES = 5
_AT_ONCE = 16


class Look(NamedTuple):
    """What S3 has in a place."""

    part: Part
    taken_down: str = ""


def told(event: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what an event of the bucket says has changed, and its sequencer.

    Reference: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    for one in event.get("Records", ()):
        place = place_of(unquote_plus(one["s3"]["object"]["key"]))
        if place and one["s3"]["bucket"]["name"] == settings.DOCUMENTS_BUCKET:
            yield place, padded(one["s3"]["object"].get("sequencer", ""))


def padded(sequencer: str) -> str:
    """Return a sequencer so that text order is the order of the events: the shorter one is padded on the right."""
    return sequencer.upper().ljust(_SEQUENCER_DIGITS, "0") if sequencer else ""


def record(place: Place, *, sequencer: str = "", now: datetime) -> None:
    """Write down what S3 has in a place, unless the table knows of a later event. Raises aws.Busy."""
    for _ in range(_TRIES):
        was = documents.find(place.identity_id, place.document_id, consistent=True)
        if was and was.knows_later(place.kind, sequencer):
            return
        seen = look(place, now=now)
        blank = Document(identity_id=place.identity_id, document_id=place.document_id)
        part = seen.part.model_copy(update={"sequencer": sequencer})
        new = (was or blank).with_part(place.kind, part, taken_down=seen.taken_down)
        if new is None or (was is None and not sequencer and not is_kept(new, now=now)):
            return
        try:
            documents.replace(new, was=was) if was else documents.add(new)
        except Conflict:
            continue
        return
    raise aws.Busy


def look(place: Place, *, now: datetime) -> Look:
    """Ask S3 what is in a place."""
    try:
        if place.kind == "source":
            return Look(_source(place))
        answer = _s3().head_object(**_here(place))
    except ClientError as error:
        if aws.error_code(error) not in ("404", "NoSuchKey"):
            raise
        return _gone(place, now=now)
    made_of = bucket.made_of(answer["Metadata"]) if place.kind == "pdf" else {}
    part = _part(answer, answer["ContentLength"]).model_copy(update=made_of)
    if place.kind == "file":
        name = source.one_line(place.path.rpartition("/")[2])
        part = part.model_copy(update={"title": name})
    return Look(part)


def _here(place: Place) -> dict[str, str]:
    return {"Bucket": settings.DOCUMENTS_BUCKET, "Key": place.key}


def _source(place: Place, **version: str) -> Part:
    try:
        answer = _s3().get_object(**_here(place), **version, Range=f"bytes=0-{HEAD_BYTES - 1}")
        # Whoever answers may leave a range out of account.
        head = answer["Body"].read(HEAD_BYTES)
        size = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
    except ClientError as error:
        if aws.error_code(error) not in ("416", "InvalidRange"):
            raise
        answer, head, size = _s3().head_object(**_here(place), **version), b"", 0
    title = source.title_of(source.parse(_text(head)), place.document_id)
    return _part(answer, size).model_copy(update={"title": title})


def _text(head: bytes) -> str:
    """Return the beginning of a file as text: it may have been cut within a character, or be no text at all."""
    return head.decode("utf-8", errors="replace").replace("\0", "").rstrip("\ufffd")


def _part(answer: Mapping[str, Any], size: int) -> Part:
    return Part(
        size=size,
        version_id=answer.get("VersionId", ""),
        e_tag=answer["ETag"].strip('"'),
        modified_at=answer["LastModified"],
    )


def _gone(place: Place, *, now: datetime) -> Look:
    """Return since when nothing is in a place, and the version that could be brought back."""
    last, removed_at = object_versions.newest(_s3(), place.key)
    if last and removed_at:
        title = _source(place, VersionId=last["VersionId"]).title if place.kind == "source" else ""
        part = Part(removed_at=removed_at, version_id=last["VersionId"], size=last["Size"], title=title)
        return Look(part)
    try:
        taken = _s3().head_object(Bucket=settings.DOCUMENTS_BUCKET, Key=place.taken_down_key)
    except ClientError as error:
        if aws.error_code(error) not in ("404", "NoSuchKey"):
            raise
        return Look(Part(removed_at=removed_at or now))
    metadata = {name: unquote_plus(value) for name, value in taken["Metadata"].items()}
    part = Part(removed_at=taken["LastModified"], size=taken["ContentLength"], title=metadata.get("title", ""))
    return Look(part, metadata.get("reason", "Taken down."))


def rebuild(identity_id: str = "", *, now: datetime) -> Iterator[tuple[int, int]]:
    """Make the table from the bucket, everybody's part or one identity's, while the portal goes on. Yields how many
    documents are done, of how many."""
    parts: dict[tuple[str, str], set[Place]] = defaultdict(set)
    for place in chain(_in_bucket(identity_id), _in_table(identity_id)):
        parts[place.identity_id, place.document_id].add(place)

    def record_all(places: set[Place]) -> None:
        for place in sorted(places):
            record(place, now=now)

    with ThreadPoolExecutor(_AT_ONCE) as executor:
        under_way = [executor.submit(record_all, places) for places in parts.values()]
        for done, one in enumerate(as_completed(under_way), start=1):
            one.result()
            yield done, len(parts)


def _in_bucket(identity_id: str) -> Iterator[Place]:
    for area in (CORNERS, TAKEN_DOWN):
        prefix = corner_of(identity_id).replace(CORNERS, area) if identity_id else area
        pages = _s3().get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=settings.DOCUMENTS_BUCKET, Prefix=prefix):
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                if place := place_of(one["Key"]):
                    yield place


def _in_table(identity_id: str) -> Iterator[Place]:
    start: dict[str, Any] = {}
    while True:
        page = aws.client("dynamodb").scan(TableName=documents.name, **start)
        yield from _places(map(documents.load, page["Items"]), identity_id)
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _places(known: Iterable[Document], identity_id: str) -> Iterator[Place]:
    for one in known:
        if not identity_id or one.identity_id == identity_id:
            yield from (Place(one.identity_id, one.document_id, kind) for kind in KINDS if one.part(kind))


def _s3() -> Any:
    return aws.client_in("s3", settings.AWS_REGION)
