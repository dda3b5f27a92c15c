"""What operators take down: moved from people's corners to taken-down/, where their own credentials do not reach.

The portal's role may read in the corners and delete versions there for good, but not write: what is put back is written
by its owner's credentials.
Reference: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus, unquote_plus

from botocore.exceptions import ClientError
from django.conf import settings

from documents.bucket import Changed, DocumentMissing
from documents.place import Place, places
from documents.source import MAX_BYTES
from portal import aws

if TYPE_CHECKING:
    from documents.corner import Corner

Where = Literal["there", "deleted", "taken down"]

# Names and values of an object's metadata together have 2 KB at most, in ASCII.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
METADATA_BYTES, REASON_BYTES, _TITLE_BYTES = 2_048, 1_500, 250
_OWN = "own-"  # before the names of the metadata that an object had in its corner
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")
_AT_ONCE = 16
_TRIES = 5
# What is put back goes through the portal's memory, within the seconds of a request. Only another program's file could
# be larger.
MOST_PUT_BACK_BYTES = 100_000_000


class TooLarge(Exception):
    """More than the portal can put back."""


@dataclass(frozen=True)
class Text:
    """A document's Markdown, as an operator reads it."""

    content: str
    size: int  # bytes, of all of it
    modified_at: datetime
    version_id: str
    where: Where

    @property
    def is_cut(self) -> bool:
        return self.size > MAX_BYTES


@dataclass(frozen=True)
class TakenDown:
    """A part of a document that was taken down, and what was noted then."""

    place: Place
    taken_at: datetime
    size: int
    reason: str
    sub: str  # whose it is, where that was known


# --- Reading ----------------------------------------------------------------------------------------------------------


def text(identity_id: str, document_id: str) -> Text:
    """Return a document's Markdown: as it is, or as it was taken down, or as it was when its owner deleted it. Raises
    DocumentMissing."""
    place = Place(identity_id, document_id, "source")
    try:
        return _text("there", Key=place.key)
    except DocumentMissing:
        pass
    try:
        return _text("taken down", Key=place.taken_down_key)
    except DocumentMissing:
        versions, _ = _everything(place.key)
        if not versions:
            raise
        return _text("deleted", Key=place.key, VersionId=versions[0]["VersionId"])


def _text(where: Where, **which: str) -> Text:
    with _missing():
        answer = _s3().get_object(Bucket=settings.DOCUMENTS_BUCKET, **which)
    # What another program has put there may have any size. So much of it fits into the 6 MB of Lambda's answers even
    # where each character has to be escaped.
    with answer["Body"] as body:
        head: bytes = body.read(MAX_BYTES)
    return Text(
        head.decode("utf-8", errors="replace"),
        answer["ContentLength"],
        answer["LastModified"],
        answer.get("VersionId", ""),
        where,
    )


def taken_down(identity_id: str, document_id: str) -> list[TakenDown]:
    """Return the parts of a document that were taken down, and not put back since."""
    wanted = places(identity_id, document_id)
    if not wanted:
        return []
    # Mostly there are none, and one call says so.
    prefix = Place(identity_id, document_id, "file").taken_down_key
    if not _s3().list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET, Prefix=prefix, MaxKeys=1)["KeyCount"]:
        return []
    return [one for place in wanted if (one := _taken_down(place))]


def _taken_down(place: Place) -> TakenDown | None:
    try:
        with _missing():
            answer = _s3().head_object(Bucket=settings.DOCUMENTS_BUCKET, Key=place.taken_down_key)
    except DocumentMissing:
        return None
    notes = {name: unquote_plus(value) for name, value in answer["Metadata"].items()}
    return TakenDown(
        place, answer["LastModified"], answer["ContentLength"], notes.get("reason", ""), notes.get("sub", "")
    )


def is_anything_left(identity_id: str, document_id: str) -> bool:
    """Tell whether a document's owner can still reach any version of it."""
    return any(any(_everything(place.key)) for place in places(identity_id, document_id))


# --- Taking down and putting back -------------------------------------------------------------------------------------


def take_down(place: Place, *, reason: str, title: str, sub: str) -> bool:
    """Move the newest version of a part to taken-down/ and delete all that is in its place, and tell whether anything
    was. After a failure at any step it can be called again. Raises aws.Busy where its owner keeps writing there."""
    was_there = False
    for _ in range(_TRIES):
        versions, markers = _everything(place.key)
        if not versions and not markers:
            return was_there
        was_there = True
        if versions:
            newest, *older = versions
            try:
                _copy(place, newest["VersionId"], reason=reason, title=title, sub=sub)
            except DocumentMissing:
                continue  # somebody else is taking it down
            # The one that was copied goes last: until then, whoever begins anew copies the same one.
            _delete(place.key, older)
            _delete(place.key, [newest])
        # And then the markers, beneath which what was deleted would come to light.
        _delete(place.key, markers)
    raise aws.Busy


def put_back(one: TakenDown, corner: Corner) -> None:
    """Write a part into its owner's corner, with their credentials, and take the copy away. Raises Changed where they
    have written something else there since, TooLarge, aws.Busy."""
    theirs, place = corner.connection.meta.client, one.place
    try:
        with _missing():
            answer = _s3().get_object(Bucket=settings.DOCUMENTS_BUCKET, Key=place.taken_down_key)
    except DocumentMissing:
        return  # somebody else has put it back
    own = {name.removeprefix(_OWN): value for name, value in answer["Metadata"].items() if name.startswith(_OWN)}
    with answer["Body"] as body:
        if answer["ContentLength"] > MOST_PUT_BACK_BYTES:
            raise TooLarge(place.path)
        data: bytes = body.read()
    here = {"Bucket": settings.DOCUMENTS_BUCKET, "Key": place.key}
    try:
        theirs.put_object(**here, Body=data, IfNoneMatch="*", Metadata=own, **_headers(answer))
    except ClientError as error:
        if aws.error_code(error) == "ConditionalRequestConflict":
            raise aws.Busy from error
        if aws.error_code(error) not in ("412", "PreconditionFailed"):
            raise
        # It may be there from a try that got no further.
        if theirs.head_object(**here)["ETag"] != answer["ETag"]:
            raise Changed from error
    _s3().delete_object(Bucket=settings.DOCUMENTS_BUCKET, Key=place.taken_down_key)


def _copy(place: Place, version_id: str, **notes: str) -> None:
    version = {"Bucket": settings.DOCUMENTS_BUCKET, "Key": place.key, "VersionId": version_id}
    with _missing():
        was = _s3().head_object(**version)
        _s3().copy_object(
            Bucket=settings.DOCUMENTS_BUCKET,
            Key=place.taken_down_key,
            CopySource=version,
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",  # tags would need permissions of their own
            Metadata=metadata(was["Metadata"], **notes),
            **_headers(was),
        )


def metadata(own: Mapping[str, str], *, reason: str, title: str, sub: str) -> dict[str, str]:
    """Return what is noted with a copy: what documents.index reads, and of the object's own as much as fits."""
    while len(quote_plus(title)) > _TITLE_BYTES:
        title = title[:-1]
    noted = {"reason": quote_plus(reason), "title": quote_plus(title), "sub": quote_plus(sub)}
    for name, value in sorted(own.items()):
        more = noted | {_OWN + name: value}
        if value.isascii() and sum(len(one) + len(said) for one, said in more.items()) <= METADATA_BYTES:
            noted = more
    return noted


def _headers(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in _HEADERS if name in answer}


def _everything(key: str) -> tuple[list[Any], list[Any]]:
    """Return the versions of an object and its delete markers, each newest first."""
    versions: list[Any] = []
    markers: list[Any] = []
    for page in _s3().get_paginator("list_object_versions").paginate(Bucket=settings.DOCUMENTS_BUCKET, Prefix=key):
        versions += [one for one in page.get("Versions", ()) if one["Key"] == key]
        markers += [one for one in page.get("DeleteMarkers", ()) if one["Key"] == key]
        # Other keys begin with the same, and come after it.
        if page.get("NextKeyMarker", key) != key:
            break
    return versions, markers


def _delete(key: str, some: Iterable[Any]) -> None:
    """Delete versions and markers for good.

    Each in a call of its own: DeleteObjects wants s3:DeleteObject as well, with which anything could be marked deleted.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """

    def delete(one: Any) -> None:
        _s3().delete_object(Bucket=settings.DOCUMENTS_BUCKET, Key=key, VersionId=one["VersionId"])

    with ThreadPoolExecutor(_AT_ONCE) as executor:
        for _ in executor.map(delete, some):
            pass


@contextmanager
def _missing() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) in ("404", "NoSuchKey", "NoSuchVersion"):
            raise DocumentMissing(error.operation_name) from error
        raise


def _s3() -> Any:
    return aws.client("s3")
