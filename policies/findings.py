"""The findings of a run in DynamoDB: up to some hundred in an item, compressed, so that a report costs few calls.

An item has RunId, Page and Findings: zlib over a JSON list of what `Finding.as_json` gives.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator

from django.conf import settings

from policies.instance import Finding
from portal import aws
from portal.dynamo.values import to_item

PER_PAGE = 500
# DynamoDB's limit is 400 kB for the item; this is before compression, which random values do not yield to.
_MOST_BYTES = 300_000


def pack(findings: Iterable[Finding]) -> Iterator[bytes]:
    """Yield the findings as the pages that are stored."""
    page: list[str] = []
    size = 0
    for one in findings:
        # ASCII, so that its length is its size.
        text = _text(one)
        if page and (len(page) == PER_PAGE or size + len(text) > _MOST_BYTES):
            yield _compressed(page)
            page, size = [], 0
        page.append(text)
        size += len(text) + 1
    if page:
        yield _compressed(page)


def packed(page: Iterable[Finding]) -> bytes:
    """Return findings as one page, whatever its size."""
    return _compressed(map(_text, page))


def unpack(page: bytes) -> list[Finding]:
    return [Finding.from_json(one) for one in json.loads(zlib.decompress(page))]


def put(run_id: str, number: int, page: bytes, *, expires_at: int | None) -> None:
    """Store a page, in place of what it was."""
    key = to_item({"RunId": run_id, "Page": number, "ExpiresAt": expires_at})
    item = {**key, "Findings": {"B": base64.b64encode(page).decode()}}
    aws.client("dynamodb").put_item(TableName=settings.TABLES["policy_findings"], Item=item)


def get(run_id: str, number: int) -> bytes | None:
    """Return a page as it is stored, or None."""
    answer = aws.client("dynamodb").get_item(
        TableName=settings.TABLES["policy_findings"],
        Key=to_item({"RunId": run_id, "Page": number}),
        ConsistentRead=True,
    )
    return base64.b64decode(answer["Item"]["Findings"]["B"]) if "Item" in answer else None


def page(run_id: str, number: int) -> list[Finding]:
    """Return the findings of a page (from 0), or none."""
    stored = get(run_id, number)
    return unpack(stored) if stored else []


def _text(one: Finding) -> str:
    return json.dumps(one.as_json(), separators=(",", ":"))


def _compressed(page: Iterable[str]) -> bytes:
    return zlib.compress(f"[{','.join(page)}]".encode())
