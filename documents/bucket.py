"""A person's corner of the bucket, through django-storages and with their own credentials: what a view may do there.

Reference: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from documents import object_versions
from documents.place import PICTURES, Kind, Place, corner_of, places
from portal import aws
from portal.accounts import credentials

if TYPE_CHECKING:
    from documents.corner import Corner

_TYPES: dict[Kind, str] = {"source": "text/markdown; charset=utf-8", "pdf": "application/pdf", "file": ""}


class DocumentMissing(LookupError):
    """There is no such document, or not any more."""


class Changed(Exception):
    """The document is not what the caller began from: it was changed, or made, meanwhile."""


@dataclass(frozen=True)
class Stored:
    """An object as S3 has it: what it is now called by, and since when."""

    e_tag: str
    version_id: str
    modified_at: datetime | None = None  # S3 does not tell with a write
    size: int = 0


@dataclass(frozen=True)
class StoredPdf(Stored):
    """A PDF, of which text it was made, and how long it is."""

    source_e_tag: str = ""
    pages: int = 0
    missing: tuple[str, ...] = ()  # the first of the pictures that were not there


@dataclass(frozen=True)
class Version(Stored):
    """One of an object's versions, newest first."""

    is_latest: bool = False


@dataclass(frozen=True)
class Versions:
    records: list[Version]
    cursor: str | None = None


def corner(request: HttpRequest) -> Corner:
    """Return the corner of who asks. Raises SignedOut."""
    from documents.corner import Corner  # and boto3, which the JSON API's other paths do without

    return Corner(credentials.identity_id(request), lambda: credentials.client(request, "s3"))


def corner_for(identity_id: str, *, sub: str, developer_user: str = "") -> Corner:
    """Return the corner of somebody who does not ask now, for work that they asked for before. Raises SignedOut."""
    from documents.corner import Corner

    client = credentials.client_for(identity_id, "s3", sub=sub, developer_user=developer_user)
    return Corner(identity_id, lambda: client)


def made_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read what `save_pdf` notes beside a PDF. Other programs write what they like."""
    pages = metadata.get("pages", "")
    return {"source_e_tag": metadata.get("source-etag", ""), "pages": int(pages) if pages.isdecimal() else 0}


# --- Read -------------------------------------------------------------------------------------------------------------


def read(corner: Corner, document_id: str, *, kind: Kind = "source", version_id: str = "") -> tuple[bytes, Stored]:
    """Return a document's Markdown, of one version or as it is now. Raises DocumentMissing."""
    key = _place(corner, document_id, kind).key
    version = {"VersionId": version_id} if version_id else {}
    with _reading():
        answer = corner.connection.meta.client.get_object(Bucket=corner.bucket_name, Key=key, **version)
        data = answer["Body"].read()
    stored = Stored(answer["ETag"].strip('"'), answer.get("VersionId", ""), answer["LastModified"], len(data))
    return data, stored


def find_pdf(corner: Corner, document_id: str) -> StoredPdf | None:
    """Return what S3 knows of a document's PDF, or None."""
    try:
        with _reading():
            answer = corner.connection.meta.client.head_object(
                Bucket=corner.bucket_name, Key=_place(corner, document_id, "pdf").key
            )
    except DocumentMissing:
        return None
    return StoredPdf(
        answer["ETag"].strip('"'),
        answer.get("VersionId", ""),
        answer["LastModified"],
        answer["ContentLength"],
        missing=tuple(map(unquote, filter(None, answer["Metadata"].get("missing", "").split(" ")))),
        **made_of(answer["Metadata"]),
    )


def read_picture(corner: Corner, path: str, *, most_bytes: int) -> bytes:
    """Return a file of the corner. Raises DocumentMissing, also where it is larger than it may be."""
    with _reading():
        answer = corner.connection.meta.client.get_object(
            Bucket=corner.bucket_name, Key=corner_of(corner.identity_id) + path
        )
        if answer["ContentLength"] > most_bytes:
            answer["Body"].close()
            raise DocumentMissing(path)
        data: bytes = answer["Body"].read()
    return data


def versions(corner: Corner, document_id: str, *, cursor: str = "", limit: int = 50) -> Versions:
    """Return a page of the versions of a document's Markdown, newest first. Raises DocumentMissing where there never
    was any."""
    key = _place(corner, document_id, "source").key
    after = {"KeyMarker": key, "VersionIdMarker": cursor} if cursor else {}
    with _reading():
        answer = corner.connection.meta.client.list_object_versions(
            Bucket=corner.bucket_name, Prefix=key, MaxKeys=limit, **after
        )
    found = [
        Version(one["ETag"].strip('"'), one["VersionId"], one["LastModified"], one["Size"], one["IsLatest"])
        for one in answer.get("Versions", ())
        if one["Key"] == key
    ]
    if not found and not cursor:
        raise DocumentMissing(document_id)
    has_more = answer.get("IsTruncated") and answer.get("NextKeyMarker") == key
    return Versions(found, answer["NextVersionIdMarker"] if has_more else None)


def picture_path(data: bytes, ending: str) -> str:
    """Return the path of a picture that was uploaded here: it is called by what is in it, in a way that nobody else
    can, so that one which is called so was checked."""
    return f"{PICTURES}{salted_hmac('documents.picture', data, algorithm='sha256').hexdigest()[:32]}.{ending}"


def is_there(corner: Corner, document_id: str, kind: Kind) -> bool:
    """Tell whether a document has such a part."""
    try:
        with _reading():
            corner.connection.meta.client.head_object(
                Bucket=corner.bucket_name, Key=_place(corner, document_id, kind).key
            )
    except DocumentMissing:
        return False
    return True


def deleted_version(corner: Corner, document_id: str, kind: Kind) -> str:
    """Return the id of the version that was the newest when a part was deleted; nothing where it was not."""
    version, deleted_at = object_versions.newest(corner.connection.meta.client, _place(corner, document_id, kind).key)
    return str(version["VersionId"]) if version and deleted_at else ""


def download_url(corner: Corner, document_id: str, kind: Kind, *, name: str) -> str:
    """Return a link to a part of a document that works for five minutes and saves it under a name."""
    ascii_name = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
    url: str = corner.url(
        _place(corner, document_id, kind).path,
        parameters={"ResponseContentDisposition": disposition, "ResponseCacheControl": "private, no-store"},
    )
    return url


# --- Write ------------------------------------------------------------------------------------------------------------


def create(corner: Corner, document_id: str, content: bytes) -> Stored:
    """Store the Markdown of a new document. Raises Changed where there is one of that id."""
    return _put(corner, document_id, "source", content, was="")


def save(corner: Corner, document_id: str, content: bytes, *, was: str) -> Stored:
    """Store a document's Markdown in place of that whose ETag `was`. Raises Changed, and DocumentMissing where it was
    deleted meanwhile."""
    return _put(corner, document_id, "source", content, was=was)


def save_pdf(
    corner: Corner,
    document_id: str,
    data: bytes,
    *,
    source_e_tag: str,
    pages: int,
    missing: Iterable[str] = (),
    was: str | None = None,
) -> Stored:
    """Store a document's PDF, and of which text it was made; with `was` only in place of the one of that ETag, or where
    there is none ("". Raises Changed), and in any case only where the Markdown is still there (DocumentMissing)."""
    made_of = {"source-etag": source_e_tag, "pages": str(pages)}
    for path in missing:
        # Metadata have 2 kB in all, in ASCII.
        longer = f"{made_of.get('missing', '')} {quote(path)}".strip()
        if len(longer) <= _MOST_MISSING:
            made_of["missing"] = longer
    stored = _put(corner, document_id, "pdf", data, was=was, Metadata=made_of)
    # Whoever deletes a document deletes its Markdown first, and then the PDF that is there by then.
    if not is_there(corner, document_id, "source"):
        corner.delete(_place(corner, document_id, "pdf").path)
        raise DocumentMissing(document_id)
    return stored


def save_picture(corner: Corner, path: str, data: bytes, *, content_type: str) -> None:
    """Store a picture under a name that is made of its content."""
    corner.store(path, data, ContentType=content_type)


def delete(corner: Corner, document_id: str) -> bool:
    """Delete a document and its PDF, and tell whether there was any. Their versions stay, so that `restore` can bring
    them back."""
    deleted = False
    for place in places(corner.identity_id, document_id):
        if is_there(corner, document_id, place.kind):
            corner.delete(place.path)
            deleted = True
    return deleted


def restore(corner: Corner, document_id: str, kind: Kind, version_id: str) -> Stored:
    """Make a version the newest one again. Nothing is lost: what was there becomes an earlier version. Raises
    DocumentMissing."""
    place = _place(corner, document_id, kind)
    source = {"Bucket": corner.bucket_name, "Key": place.key, "VersionId": version_id}
    with _reading():
        answer = corner.connection.meta.client.copy_object(Bucket=corner.bucket_name, Key=place.key, CopySource=source)
    result = answer["CopyObjectResult"]
    return Stored(result["ETag"].strip('"'), answer.get("VersionId", ""), result["LastModified"])


def _put(corner: Corner, document_id: str, kind: Kind, data: bytes, *, was: str | None, **parameters: Any) -> Stored:
    if was is not None:
        parameters |= {"IfMatch": f'"{was}"'} if was else {"IfNoneMatch": "*"}
    try:
        with _writing():
            answer = corner.store(_place(corner, document_id, kind).path, data, ContentType=_TYPES[kind], **parameters)
    except Changed:
        there, stored = read(corner, document_id, kind=kind)
        if there == data:
            # A reply was lost.
            return stored
        if stored.e_tag == was:
            # Another write is under way, perhaps this one's first try.
            raise aws.Busy from None
        raise
    except ClientError as error:
        if was and aws.error_code(error) in _DENIED and not is_there(corner, document_id, kind):
            raise DocumentMissing(document_id) from error
        raise
    return Stored(answer["ETag"].strip('"'), answer.get("VersionId", ""), size=len(data))


def _place(corner: Corner, document_id: str, kind: Kind) -> Place:
    return Place(corner.identity_id, document_id, kind)


_MOST_MISSING = 1_500
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
_DENIED = frozenset({"403", "AccessDenied"})


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        # A version id that was never one is an invalid argument; a delete marker cannot be read. And whoever may only
        # list a part of a bucket is refused what is not there:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        if aws.error_code(error) in {"InvalidArgument", "MethodNotAllowed"} | _MISSING | _DENIED:
            raise DocumentMissing(error.operation_name) from error
        raise


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) in _MISSING:
            raise DocumentMissing(error.operation_name) from error
        if aws.error_code(error) in ("412", "PreconditionFailed"):
            raise Changed from error
        if aws.error_code(error) == "ConditionalRequestConflict":
            raise aws.Busy from error
        raise
