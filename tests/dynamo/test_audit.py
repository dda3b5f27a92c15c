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


def test_a_sub_finds_its_owner_even_if_it_is_anothers_user_name(cloud, client_for, auditor, operator):
    start = datetime(2026, 11, 1, tzinfo=UTC)
    for minute in range(51):
        audit.entries.add(
            audit.entry(
                "did", by=operator, object=f"o/{minute}", object_name="x", now=start + timedelta(minutes=minute)
            )
        )
    browser = client_for(auditor)
    cognito, pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
    cognito.admin_create_user(UserPoolId=pool, Username=operator.sub, MessageAction="SUPPRESS")
    try:
        for text in (operator.sub, "operator"):
            answer = browser.get("/admin/dynamo/auditentry/", {"q": text})
            listing = answer.context["listing"]
            assert (listing.heading, len(listing.page.records)) == ("What operator did", 50)
            answer = browser.get(f"/admin/dynamo/auditentry/{listing.page.older}")
            assert len(answer.context["listing"].page.records) == 1
    finally:
        cognito.admin_delete_user(UserPoolId=pool, Username=operator.sub)
