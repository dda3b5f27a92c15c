"""What a page of somebody's history costs with 10 to 100,000 documents: queries, items, read units, and our CPU.

It asks documents.document and renders the real list over a sorted list in place of the index, so it needs no cloud;
read units are by DynamoDB's rules. Reference:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Any

import django
from django.conf import settings

if not settings.configured:
    import tests.environment  # noqa: F401 - settings that need no cloud

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()

from django.template.loader import render_to_string

from documents.document import Document, Part, documents
from documents.list_views import PAGE_SIZE
from portal.dynamo.values import to_item

SIZES = (10, 100, 1_000, 10_000, 100_000)
ME = "eu-west-1:6f1c0000-0000-4000-8000-000000000000"
TURNS = 40


class Index:
    """ByModified in memory; it counts what it is asked."""

    def __init__(self, size: int) -> None:
        self.pages = 0
        began = datetime(2026, 1, 1, tzinfo=UTC)
        self.items = [to_item(document(n, began + timedelta(minutes=n)).model_dump(by_alias=True)) for n in range(size)]
        self.keys = [item["ModifiedAt"]["S"] for item in self.items]
        self.queries = self.read = 0
        self.units = 0.0

    def query(self, **asked: Any) -> dict[str, Any]:
        start = asked.get("ExclusiveStartKey")
        end = bisect_left(self.keys, start["ModifiedAt"]["S"]) if start else len(self.items)
        found = self.items[max(0, end - asked["Limit"]) : end][::-1]
        self.queries += 1
        self.read += len(found)
        # An item's size is about that of its names and values; eventually consistent reads cost half a unit for 4 kB.
        self.units += 0.5 * math.ceil(sum(len(json.dumps(item)) for item in found) / 4096)
        return {"Items": found, **({"LastEvaluatedKey": found[-1]} if end > asked["Limit"] else {})}


def document(n: int, at: datetime) -> Document:
    part = Part(size=4_000, version_id="v" * 32, e_tag="e" * 32, modified_at=at, sequencer="0" * 32)
    return Document(
        identity_id=ME, document_id=f"{n:016x}", title=f"Report {n}", title_key=f"report {n}", modified_at=at,
        source=part, pdf=part.model_copy(update={"source_e_tag": "e" * 32, "pages": 3}),
    )  # fmt: skip


def page(index: Index, cursor: str | None) -> str | None:
    """Read and render a page of the history, and return the cursor of the next one."""
    index.pages += 1
    found = documents.query(ME, index="ByModified", limit=PAGE_SIZE, cursor=cursor, client=index)  # type: ignore[arg-type]
    context = {"page": found, "query": "", "is_older": bool(cursor), "more_url": "/documents/"}
    render_to_string("documents/partials/list.html", context)
    return found.cursor


def main() -> None:
    indexes = {size: Index(size) for size in SIZES}
    page(indexes[10], None)
    costs: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(TURNS):
        for size, index in indexes.items():
            began = time.process_time()
            cursor = page(index, None)
            costs[size].append(time.process_time() - began)
            if cursor:
                page(index, cursor)
    base = statistics.median(costs[100])
    print("A page of the history, 20 documents (CPU as a ratio to that of 100 documents):")
    print("  documents   queries  items read  read units   CPU")
    for size, index in indexes.items():
        cpu, n = statistics.median(costs[size]) / base, index.queries
        print(f"  {size:>9,}  {n / index.pages:8.0f}  {index.read / n:10.1f}  {index.units / n:10.1f}  {cpu:4.2f}")


if __name__ == "__main__":
    main()
