"""CloudTrail's event history: 90 days of management events, on disk as soon as they happen.

MiniStack keeps its events in memory only, those of all services in one short list.
Reference: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html
"""

import calendar
import json
import time
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

from portal.localcloud.standins.trail_identities import username_of

KEPT_SECONDS = 90 * 24 * 3600
# Polling would otherwise fill the memory; AWS keeps them all. They are not kept over a restart.
READS_KEPT = 1000
Scope = tuple[str, str]


@dataclass(frozen=True)
class Record:
    """An event and what LookupEvents finds it by. at is in whole seconds, and number orders those of one second."""

    at: int
    number: int
    event_id: str
    name: str
    source: str
    read_only: bool
    username: str | None
    access_key_id: str | None
    resources: tuple[tuple[str, str], ...]
    text: str

    @property
    def position(self) -> tuple[int, int]:
        return self.at, self.number

    def as_json(self) -> dict[str, Any]:
        """Return the event as LookupEvents answers it."""
        optional = {"AccessKeyId": self.access_key_id, "Username": self.username}
        return {
            "EventId": self.event_id,
            "EventName": self.name,
            "ReadOnly": str(self.read_only).lower(),
            "EventTime": self.at,
            "EventSource": self.source,
            "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in self.resources],
            "CloudTrailEvent": self.text,
            **{name: value for name, value in optional.items() if value},
        }


class History:
    """The events of every account and region; with a state directory, those that changed something are kept in it."""

    def __init__(self, state_dir: Path | None) -> None:
        self._writes: dict[Scope, list[Record]] = defaultdict(list)
        self._reads: dict[Scope, list[Record]] = defaultdict(list)
        self._number = 0
        self._path = state_dir / "trail.jsonl" if state_dir else None
        if self._path and self._path.exists():
            self._load(self._path)

    def add(self, events: Iterable[tuple[dict[str, Any], list[tuple[str, str]]]]) -> None:
        """Add events, each with the resources it is found by, as pairs of type and name."""
        lines = []
        by_scope: dict[Scope, list[Record]] = defaultdict(list)
        for event, resources in events:
            record = self._record(event, resources)
            scope = event["recipientAccountId"], event["awsRegion"]
            if record.read_only:
                insort(self._reads[scope], record, key=_position)
                del self._reads[scope][:-READS_KEPT]
                continue
            by_scope[scope].append(record)
            if self._path:
                lines.append(json.dumps([record.text, resources]))
        for scope, records in by_scope.items():
            kept = self._writes[scope]
            if len(records) == 1:
                insort(kept, records[0], key=_position)
            else:
                kept += records
                kept.sort(key=_position)
        if self._path and lines:
            with self._path.open("a") as file:
                file.write("\n".join([*lines, ""]))

    def newest_first(self, scope: Scope, start: float, end: float, before: tuple[int, int] | None) -> Iterator[Record]:
        """Yield the events from start to end, both included, that come before a position, newest first."""
        limit = (int(end), self._number + 1) if before is None else before
        after = max(start, time.time() - KEPT_SECONDS)
        lists = (_backwards(records[scope], limit) for records in (self._writes, self._reads) if scope in records)
        for record in merge(*lists, key=_position, reverse=True):
            if record.at < after:
                return
            yield record

    def clear(self) -> None:
        """Forget everything."""
        self._writes.clear()
        self._reads.clear()
        if self._path:
            self._path.unlink(missing_ok=True)

    def _record(self, event: dict[str, Any], resources: list[tuple[str, str]]) -> Record:
        self._number += 1
        return Record(
            at=seconds(event["eventTime"]),
            number=self._number,
            event_id=event["eventID"],
            name=event["eventName"],
            source=event["eventSource"],
            read_only=event["readOnly"],
            username=username_of(event["userIdentity"]),
            access_key_id=event["userIdentity"].get("accessKeyId"),
            resources=tuple((kind, name) for kind, name in resources),
            text=json.dumps(event),
        )

    def _load(self, path: Path) -> None:
        """Read the kept events, drop what is too old and what a kill has cut short."""
        oldest, kept = time.time() - KEPT_SECONDS, []
        for line in path.read_text().splitlines():
            try:
                text, resources = json.loads(line)
                event = json.loads(text)
            except ValueError:
                continue
            record = self._record(event, resources)
            if record.at >= oldest:
                self._writes[event["recipientAccountId"], event["awsRegion"]].append(record)
                kept.append(line)
        for records in self._writes.values():
            records.sort(key=_position)
        staged = path.with_suffix(".next")
        staged.write_text("\n".join([*kept, ""]) if kept else "")
        staged.replace(path)


def seconds(written: str) -> int:
    """Return an event's time, as CloudTrail writes it, in seconds since 1970."""
    return calendar.timegm(time.strptime(written, "%Y-%m-%dT%H:%M:%SZ"))


def _position(record: Record) -> tuple[int, int]:
    return record.position


def _backwards(records: list[Record], limit: tuple[int, int]) -> Iterator[Record]:
    """Yield the records before a position from the last to the first."""
    for index in range(bisect_left(records, limit, key=_position) - 1, -1, -1):
        yield records[index]
