"""The audit log says who did what, and is read by key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from portal.dynamo import audit
from portal.dynamo.audit import Change
from portal.dynamo.values import from_item


def test_an_act_is_written_down(cloud, operator):
    audit.record(
        "cancelled",
        by=operator,
        object="rides.ride/r1",
        object_name="Ada's ride",
        changes=[Change(field="stage", old="on the way", new="cancelled")],
    )
    (item,) = map(from_item, cloud.items("audit"))
    now = datetime.now(UTC)
    assert item["Month"] == f"{now:%Y-%m}"
    assert re.fullmatch(rf"{item['At']}#[\w-]{{11}}", item["EntryId"])
    assert abs(datetime.fromisoformat(item["At"]) - now) < timedelta(seconds=10)
    assert (item["Action"], item["Object"], item["ObjectName"]) == ("cancelled", "rides.ride/r1", "Ada's ride")
    assert (item["ActorSub"], item["ActorName"]) == (operator.sub, "operator")
    assert item["Changes"] == [{"Field": "stage", "From": "on the way", "To": "cancelled"}]


def test_entries_are_found_by_month_object_and_actor_newest_first(cloud, operator, auditor):
    start = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    for number, by in enumerate([operator, auditor, operator]):
        one = audit.entry(
            "did", by=by, object=f"o/{number % 2}", object_name=str(number), now=start + timedelta(minutes=number)
        )
        audit.entries.add(one)
        assert audit.find(one.key) == one
    assert [one.object_name for one in audit.of_month("2026-10").records] == ["0"]
    assert [one.object_name for one in audit.of_month("2026-11").records] == ["2", "1"]
    assert [one.object_name for one in audit.of_object("o/0").records] == ["2", "0"]
    assert [one.object_name for one in audit.of_actor(operator.sub).records] == ["2", "0"]
    first = audit.of_month("2026-11", limit=1)
    assert [one.object_name for one in audit.of_month("2026-11", limit=1, cursor=first.cursor).records] == ["1"]
    for nonsense in ("", "2026-11", "2026-11/", "/x", "2026-11/nothing"):
        assert audit.find(nonsense) is None
