"""What somebody made, read from the index with their own credentials."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest

from documents.document import Document, documents, is_kept
from portal.accounts import credentials
from portal.dynamo.client import DynamoDB
from portal.dynamo.table import Page

# A search reads the titles: so many at a time, and so often before it says how far it is.
_SEARCH_PAGE, _SEARCH_PAGES = 250, 4


def of(request: HttpRequest, *, cursor: str | None = None, limit: int = 20) -> Page[Document]:
    """Return a page of everything that who asks has made, newest first: one Query. Raises SignedOut, BadCursor."""
    return documents.query(
        credentials.identity_id(request), index="ByModified", limit=limit, cursor=cursor, client=_client(request)
    )


def search(request: HttpRequest, text: str, *, cursor: str | None = None, limit: int = 20) -> Page[Document]:
    """Return what has all words of the text in its title, newest first. A page may have fewer than `limit`, or none,
    and a cursor that goes on: at most a thousand titles are read for it. Raises SignedOut, BadCursor."""
    identity_id, words = credentials.identity_id(request), text.casefold().split()
    found: list[Document] = []
    for _ in range(_SEARCH_PAGES):
        page = documents.query(
            identity_id, index="ByModified", limit=_SEARCH_PAGE, cursor=cursor, client=_client(request)
        )
        for one in page.records:
            if all(word in one.title_key for word in words):
                found.append(one)
                if len(found) == limit:
                    is_last = one is page.records[-1] and page.cursor is None
                    after = None if is_last else documents.cursor_at(one, identity_id, index="ByModified")
                    return Page(found, after)
        cursor = page.cursor
        if cursor is None:
            break
    return Page(found, cursor)


def deleted(request: HttpRequest, *, now: datetime, cursor: str | None = None, limit: int = 20) -> Page[Document]:
    """Return a page of what who asks deleted and can bring back, newest first. Raises SignedOut, BadCursor."""
    page = documents.query(
        credentials.identity_id(request), index="ByRemoved", limit=limit, cursor=cursor, client=_client(request)
    )
    return Page([one for one in page.records if is_kept(one, now=now)], page.cursor)


def find(request: HttpRequest, document_id: str) -> Document | None:
    """Return what the index knows of a document, or None: it follows the bucket within seconds. Raises SignedOut."""
    return documents.find(credentials.identity_id(request), document_id, client=_client(request))


def _client(request: HttpRequest) -> DynamoDB:
    client: DynamoDB = credentials.client(request, "dynamodb")
    return client
