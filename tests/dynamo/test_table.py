"""Records go into DynamoDB and come back unchanged, and nobody overwrites what they have not seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from portal import aws
from portal.dynamo.table import BadCursor, Conflict, Instant, Missing, Record, Table
from portal.dynamo.values import from_item, instant, to_item

NOW = datetime(2026, 11, 21, 7, 20, 19, 123000, tzinfo=UTC)


class Entry(Record):
    ride_id: str
    rider_sub: str | None = None
    request_time: Instant = NOW
    note: str | None = None
    score: float | None = None


entries = Table(Entry, name="rides", key=("RideId",), indexes={"ByRider": ("RiderSub", "RequestTime")})


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.none()
        | st.text(max_size=20)
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.sets(st.text(max_size=5), min_size=1, max_size=3)
        | st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2)
        | st.lists(st.integers(0, 9), max_size=3),
        max_size=5,
    )
)
def test_an_item_keeps_every_value_but_none(attributes):
    assert from_item(to_item(attributes)) == {name: value for name, value in attributes.items() if value is not None}


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100).filter(
        lambda x: x == 0 or abs(x) > 1e-100
    )
)
def test_a_float_comes_back_exactly(value):
    assert float(from_item(to_item({"Value": value}))["Value"]) == value


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-12, 14))
def test_instants_sort_as_text_in_the_order_of_time(moment, hours):
    moment = moment.replace(tzinfo=UTC)
    later = moment + timedelta(milliseconds=1)
    assert instant(moment) < instant(later)
    assert len(instant(moment)) == 24


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20))
def test_what_is_written_is_what_boto3_writes(number):
    attributes = {"N": number, "S": "é", "L": [1, "two", None], "M": {"Yes": True}, "SS": {"b", "a"}, "NS": {1, 2}}
    theirs = {name: TypeSerializer().serialize(value) for name, value in attributes.items()}
    ours = to_item(attributes)
    assert {name: ours[name] for name in ("N", "S", "L", "M")} == {name: theirs[name] for name in ("N", "S", "L", "M")}
    assert {name: {kind: set(content)} for name in ("SS", "NS") for kind, content in ours[name].items()} == {
        name: {kind: set(content)} for name in ("SS", "NS") for kind, content in theirs[name].items()
    }
    assert from_item(ours)["N"] == TypeDeserializer().deserialize(theirs["N"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), b"bytes", object(), {1, "a"}])
def test_what_dynamodb_does_not_hold_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        to_item({"Value": value})


def test_a_number_of_too_many_digits_is_refused_and_not_rounded():
    with pytest.raises(Inexact):
        to_item({"Value": 10**38 + 1})


@pytest.mark.parametrize("value", [5e-324, -1e-200, 9.99e-131, 0.0, -0.0])
def test_what_is_too_near_to_zero_for_dynamodb_is_zero(value):
    assert to_item({"Value": value}) == {"Value": {"N": "0"}}


def test_what_was_added_is_found(cloud):
    entry = Entry(ride_id="one", rider_sub="me", note="hello", score=0.1)
    entries.add(entry)
    assert entries.get("one") == entry
    assert entries.find("one", consistent=True) == entry
    assert cloud.items("rides") == [
        {
            "RideId": {"S": "one"},
            "RiderSub": {"S": "me"},
            "RequestTime": {"S": "2026-11-21T07:20:19.123Z"},
            "Note": {"S": "hello"},
            "Score": {"N": "0.1"},
        }
    ]


def test_what_is_not_there_is_missing(cloud):
    assert entries.find("nothing") is None
    with pytest.raises(Missing):
        entries.get("nothing")


def test_a_taken_key_is_a_conflict_and_changes_nothing(cloud):
    entries.add(Entry(ride_id="one", note="first"))
    with pytest.raises(Conflict) as conflict:
        entries.add(Entry(ride_id="one", note="second"))
    assert conflict.value.current["Note"] == "first"
    assert entries.get("one").note == "first"


def test_replacing_writes_what_changed_and_leaves_unknown_attributes_alone(cloud):
    old = Entry(ride_id="one", note="first", score=1.5)
    entries.add(old)
    cloud.admin("dynamodb").update_item(
        TableName=entries.name, Key=to_item({"RideId": "one"}), UpdateExpression="SET Extra = :x",
        ExpressionAttributeValues=to_item({":x": Decimal(7)}),
    )  # fmt: skip
    new = old.model_copy(update={"note": "second", "score": None})
    entries.replace(new, was=old)
    [item] = cloud.items("rides")
    assert from_item(item) == {
        "RideId": "one", "RequestTime": "2026-11-21T07:20:19.123Z", "Note": "second", "Extra": 7,
    }  # fmt: skip


@pytest.mark.parametrize("meanwhile", [{"note": "theirs"}, {"score": 2.0}, {"rider_sub": "other"}])
def test_replacing_what_was_changed_meanwhile_is_a_conflict_with_their_version(cloud, meanwhile):
    old = Entry(ride_id="one", note="first")
    entries.add(old)
    theirs = old.model_copy(update=meanwhile)
    entries.replace(theirs, was=old)
    with pytest.raises(Conflict) as conflict:
        entries.replace(old.model_copy(update={"note": "mine"}), was=old)
    assert Entry.model_validate(conflict.value.current) == theirs
    assert entries.get("one") == theirs


def test_replacing_what_was_deleted_meanwhile_is_a_conflict_and_does_not_bring_it_back(cloud):
    old = Entry(ride_id="one", note="first")
    entries.add(old)
    cloud.empty("rides")
    with pytest.raises(Conflict):
        entries.replace(old.model_copy(update={"note": "mine"}), was=old)
    assert cloud.items("rides") == []


def test_replacing_without_a_change_calls_nothing(cloud):
    entry = Entry(ride_id="one")
    entries.replace(entry, was=entry)
    assert not cloud.calls()


def test_pages_hold_every_record_once_in_order_and_the_last_has_no_cursor(cloud):
    for n in range(7):
        entries.add(Entry(ride_id=f"r{n}", rider_sub="me", request_time=NOW + timedelta(minutes=n)))
        entries.add(Entry(ride_id=f"x{n}", rider_sub="other", request_time=NOW))
    seen, cursor, pages = [], None, 0
    while True:
        page = entries.query("me", index="ByRider", limit=3, cursor=cursor)
        seen += [record.ride_id for record in page.records]
        pages, cursor = pages + 1, page.cursor
        if cursor is None:
            break
    assert seen == [f"r{n}" for n in reversed(range(7))]
    assert pages == 3


def test_a_full_last_page_has_no_cursor(cloud):
    for n in range(3):
        entries.add(Entry(ride_id=f"r{n}", rider_sub="me", request_time=NOW + timedelta(minutes=n)))
    assert entries.query("me", index="ByRider", limit=3).cursor is None


def test_a_cursor_opens_only_the_list_that_made_it(cloud):
    for n in range(3):
        entries.add(Entry(ride_id=f"r{n}", rider_sub="me", request_time=NOW + timedelta(minutes=n)))
    cursor = entries.query("me", index="ByRider", limit=1).cursor
    for hash_value, forged in (("other", cursor), ("me", cursor + "x"), ("me", "nonsense")):
        with pytest.raises(BadCursor):
            entries.query(hash_value, index="ByRider", cursor=forged)


def test_throttling_is_retried_and_then_told_apart_as_passing(cloud):
    cloud.faults.add(service="dynamodb", action="GetItem", kind="throttle", times=2)
    assert entries.find("one") is None
    cloud.faults.add(service="dynamodb", action="GetItem", kind="throttle")
    with pytest.raises(ClientError) as failure:
        entries.find("one")
    assert aws.is_transient(failure.value)


def test_what_an_older_portal_wrote_can_be_replaced_and_what_others_wrote_meanwhile_cannot(cloud):
    class Part(Record):
        size: int = 0
        title: str = ""  # is new

    class Thing(Record):
        ride_id: str
        part: Part | None = None
        name: str = ""  # is new, too

    things = Table(Thing, name="rides", key=("RideId",))
    item = to_item({"RideId": "one", "Part": {"Size": 1}, "Foreign": "stays"})
    cloud.admin("dynamodb").put_item(TableName=things.name, Item=item)
    was = things.get("one")
    things.replace(was.model_copy(update={"name": "New"}), was=was)
    assert from_item(cloud.items("rides")[0]) == {
        "RideId": "one", "Part": {"Size": 1, "Title": ""}, "Foreign": "stays", "Name": "New",
    }  # fmt: skip
    cloud.admin("dynamodb").put_item(TableName=things.name, Item=item | to_item({"Part": {"Size": 2}}))
    with pytest.raises(Conflict):
        things.replace(was.model_copy(update={"name": "Newer"}), was=was)


def test_a_lost_reply_does_not_turn_a_stored_record_into_a_conflict_that_is_ours(cloud):
    cloud.faults.add(service="dynamodb", action="PutItem", kind="lost_reply", times=1)
    entries.add(Entry(ride_id="one", note="once"))
    assert entries.get("one").note == "once"


class Thing(Record):
    approval_id: str
    note: str | None = None


things = Table(Thing, name="approvals", key=("ApprovalId",))


def other_write(cloud, note="kept"):
    return {"Put": {"TableName": cloud.outputs["SessionsTable"], "Item": to_item({"SessionId": note, "Sub": "s"})}}


def test_many_are_found_at_once_and_those_that_are_not_there_left_out(cloud):
    some = [Thing(approval_id=f"thing-{n}") for n in range(120)]
    for one in some:
        things.add(one)
    cloud.forget_calls()
    found = things.find_many([(f"thing-{n}",) for n in range(130)] + [("thing-1",)])
    assert {one.approval_id for one in found} == {one.approval_id for one in some}
    assert len(found) == 120
    assert dict(cloud.calls()) == {("dynamodb", "BatchGetItem"): 2}
    cloud.forget_calls()
    assert things.find_many([]) == []
    assert not cloud.calls()


def test_what_one_call_did_not_read_is_asked_for_again(cloud, monkeypatch):
    things.add(Thing(approval_id="a"))
    things.add(Thing(approval_id="b"))
    client = aws.client("dynamodb")
    whole = client.batch_get_item

    def half(**parameters):
        [(table, asked)] = parameters["RequestItems"].items()
        first, rest = asked["Keys"][:1], asked["Keys"][1:]
        answer = whole(RequestItems={table: {**asked, "Keys": first}})
        return {**answer, "UnprocessedKeys": {table: {"Keys": rest}} if rest else {}}

    monkeypatch.setattr(client, "batch_get_item", half)
    assert {one.approval_id for one in things.find_many([("a",), ("b",)])} == {"a", "b"}


def test_replacing_together_with_another_write_is_all_or_nothing(cloud):
    was = Thing(approval_id="a", note="old")
    things.add(was)
    things.replace(Thing(approval_id="a", note="new"), was=was, together_with=[other_write(cloud, "first")])
    assert things.get("a").note == "new"
    with pytest.raises(Conflict) as error:
        things.replace(Thing(approval_id="a", note="late"), was=was, together_with=[other_write(cloud, "second")])
    assert error.value.current["Note"] == "new"
    assert [from_item(item)["SessionId"] for item in cloud.items("sessions")] == ["first"]


def test_a_lost_reply_of_a_replacement_with_another_write_is_no_conflict(cloud):
    was = Thing(approval_id="a", note="old")
    things.add(was)
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="lost_reply", times=1)
    things.replace(Thing(approval_id="a", note="new"), was=was, together_with=[other_write(cloud)])
    assert things.get("a").note == "new"
