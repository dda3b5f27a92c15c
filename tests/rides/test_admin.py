"""Operators keep the fleet in the admin, auditors look on, and nobody overwrites what they have not seen."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.conf import settings

from portal.dynamo.admin import ItemAdmin
from portal.dynamo.values import from_item, to_item
from rides.dispatch import cancel, request_ride
from rides.models import Unicorn
from rides.rules import Place, curve_keys

LIST = "/admin/rides/unicorn/"
ADD = "/admin/rides/unicorn/add/"


def change(unicorn_id):
    return f"/admin/rides/unicorn/{unicorn_id}/change/"


def delete(unicorn_id):
    return f"/admin/rides/unicorn/{unicorn_id}/delete/"


def hidden(response):
    """Return the hidden inputs of a page, as a browser sends them back."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', response.content.decode())
    return {name: unescape(value) for name, value in found if name not in ("csrfmiddlewaretoken", "_selected_action")}


def typed(response, **values):
    """Return what a browser sends from an item's form, with some fields typed over."""
    form = response.context["adminform"].form
    fields = {name: form[name].value() for name in form.fields}
    opened = {name: value for name, value in hidden(response).items() if name.startswith("_opened-")}
    return {name: "" if value is None else value for name, value in {**fields, **opened, **values}.items()}


def row_form(response, **values):
    """Return what a browser sends from a list that is edited in place."""
    formset = response.context["cl"].formset
    data = {f"form-{name}": formset.management_form[name].value() for name in formset.management_form.fields}
    for form in formset.forms:
        data |= {form[name].html_name: form[name].value() for name in form.fields}
    opened = {name: value for name, value in hidden(response).items() if name.startswith("_opened-")}
    return {**data, **opened, "_save": "Save", **values}


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def stored(cloud):
    return {one["UnicornId"]: one for one in map(from_item, cloud.items("fleet"))}


def audited(cloud):
    return sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])


def write(cloud, unicorn_id, **attributes):
    """Change a unicorn behind the operator's back."""
    item = {**stored(cloud)[unicorn_id], **attributes}
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item=to_item(item))


NEW = {
    "name": "Angel",
    "color": "White",
    "gender": "Female",
    "latitude": "47.620500000000001",
    "longitude": "-122.3493",
    "speed": "90",
    "unicorn_id": "",
}


@pytest.fixture
def asks(client_for, operator):
    return client_for(operator)


# --- Adding -----------------------------------------------------------------------------------------------------------


def test_an_operator_adds_a_unicorn(cloud, asks, operator):
    response = asks.post(ADD, NEW, follow=True)
    assert "was added successfully" in text(response)
    (one,) = stored(cloud).values()
    assert re.fullmatch(r"[0-9a-f]{8}", one["UnicornId"])
    curve_a, curve_b = curve_keys(Place(latitude=47.620500000000001, longitude=-122.3493))
    assert one == {
        "UnicornId": one["UnicornId"],
        "Name": "Angel",
        "Color": "White",
        "Gender": "Female",
        "Latitude": Decimal("47.620500000000001"),
        "Longitude": Decimal("-122.3493"),
        "Speed": Decimal(90),
        "BusyUntil": Decimal(0),
        "Herd": "all",
        "CurveA": curve_a,
        "CurveB": curve_b,
    }
    (entry,) = audited(cloud)
    assert (entry["Action"], entry["Object"], entry["ObjectName"]) == (
        "added",
        f"rides.unicorn/{one['UnicornId']}",
        "Angel",
    )
    assert (entry["ActorSub"], entry["ActorName"]) == (operator.sub, "operator")
    assert {"Field": "name", "From": "", "To": "“Angel”"} in entry["Changes"]


def test_an_id_of_ones_own_choice_is_kept_and_taken_only_once(cloud, asks):
    asks.post(ADD, NEW | {"unicorn_id": "angel"})
    response = asks.post(ADD, NEW | {"unicorn_id": "angel", "name": "Impostor"})
    assert "already exists" in text(response)
    assert stored(cloud)["angel"]["Name"] == "Angel"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latitude", "90.1"),
        ("latitude", "-91"),
        ("latitude", "NaN"),
        ("latitude", "Infinity"),
        ("latitude", "north"),
        ("latitude", ""),
        ("longitude", "180.5"),
        ("longitude", "1e400"),
        ("speed", "0"),
        ("speed", "-5"),
        ("name", ""),
        ("name", "x" * 61),
        ("unicorn_id", "no/slash"),
    ],
)
def test_what_makes_no_unicorn_is_refused_beside_its_field(cloud, asks, field, value):
    response = asks.post(ADD, NEW | {field: value})
    assert response.status_code == 200
    assert response.context["adminform"].form.errors.keys() == {field}
    assert cloud.items("fleet") == cloud.items("audit") == []


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_a_change_writes_what_changed_and_nothing_else(cloud, asks, fleet):
    fleet("angel", Name="Angel", Latitude="47.62050000000000123", Shoes={"Size": Decimal("4.25")})
    before = stored(cloud)["angel"]
    page = asks.get(change("angel"))
    response = asks.post(change("angel"), typed(page, name="Angela"), follow=True)
    assert "was changed successfully" in text(response)
    assert stored(cloud)["angel"] == before | {"Name": "Angela"}
    (entry,) = audited(cloud)
    assert entry["Action"] == "changed"
    assert entry["Changes"] == [{"Field": "name", "From": "“Angel”", "To": "“Angela”"}]


def test_a_move_moves_it_on_the_curves_too(cloud, asks, fleet):
    fleet("angel")
    page = asks.get(change("angel"))
    asks.post(change("angel"), typed(page, latitude="-33.8688", longitude="151.2093"))
    one = stored(cloud)["angel"]
    assert (one["Latitude"], one["Longitude"]) == (Decimal("-33.8688"), Decimal("151.2093"))
    assert (one["CurveA"], one["CurveB"]) == curve_keys(Place(latitude=-33.8688, longitude=151.2093))


def test_saving_without_a_change_writes_nothing(cloud, asks, fleet):
    fleet("angel", Latitude="47.60")
    page = asks.get(change("angel"))
    cloud.forget_calls()
    asks.post(change("angel"), typed(page))
    assert cloud.items("audit") == []
    assert ("dynamodb", "TransactWriteItems") not in cloud.calls()


def test_an_item_without_its_optional_attributes_can_be_opened_and_saved(cloud, asks):
    item = {
        "UnicornId": "old",
        "Name": "Old",
        "Color": "Grey",
        "Gender": "Male",
        "Latitude": Decimal(1),
        "Longitude": Decimal(2),
    }
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item=to_item(item))
    assert "Old" in text(asks.get(LIST))
    page = asks.get(change("old"))
    assert page.context["adminform"].form["speed"].value() == 90
    asks.post(change("old"), typed(page, color="Silver"))
    one = stored(cloud)["old"]
    assert one["Color"] == "Silver"
    assert one["BusyUntil"] == 0
    assert one["Herd"] == "all"


@pytest.mark.parametrize(
    ("attribute", "wrong"),
    [
        *itertools.product(["Herd", "CurveA", "CurveB"], [None, "elsewhere"]),
        *itertools.product(["BusyUntil"], [None, 1_763_640_000_000_000, Decimal("5.5")]),
    ],
)
def test_saving_mends_what_the_search_needs(cloud, asks, fleet, attribute, wrong):
    fleet("angel")
    right = stored(cloud)["angel"]
    item = {name: value for name, value in (right | {attribute: wrong}).items() if value is not None}
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item=to_item(item))
    asks.post(change("angel"), typed(asks.get(change("angel"))))
    mended = stored(cloud)["angel"]
    assert mended == right | {"BusyUntil": 5 if wrong == Decimal("5.5") else 0}


def test_two_operators_with_open_forms_see_each_others_values_and_the_second_save_wins(
    cloud, client_for, operator, fleet
):
    fleet("angel", Name="Angel", Color="White", Speed=90)
    first, second = client_for(operator), client_for(operator)
    mine, theirs = first.get(change("angel")), second.get(change("angel"))
    second.post(change("angel"), typed(theirs, name="Theirs", color="Black"))

    response = first.post(change("angel"), typed(mine, name="Mine", speed="77"))
    said = text(response)
    assert "Someone changed this unicorn meanwhile" in said
    assert "changed this to “Theirs” meanwhile; you have “Mine”" in said
    assert "Someone changed this from “White” to “Black” meanwhile" in said
    form = response.context["adminform"].form
    assert (form["name"].value(), form["color"].value(), form["speed"].value()) == ("Mine", "Black", "77")
    assert (stored(cloud)["angel"]["Name"], stored(cloud)["angel"]["Speed"]) == ("Theirs", 90)

    response = first.post(change("angel"), typed(response))
    assert response.status_code == 302
    one = stored(cloud)["angel"]
    assert (one["Name"], one["Color"], one["Speed"]) == ("Mine", "Black", 77)
    assert audited(cloud)[-1]["Changes"] == [
        {"Field": "name", "From": "“Theirs”", "To": "“Mine”"},
        {"Field": "speed", "From": "90", "To": "77"},
    ]


def test_a_change_between_the_reading_and_the_writing_is_seen_too(cloud, asks, fleet, monkeypatch):
    fleet("angel", Name="Angel")
    page = asks.get(change("angel"))
    save, theirs = ItemAdmin.save_model, iter(["Theirs"])

    def save_late(self, request, obj, form, change):
        for name in theirs:
            write(cloud, "angel", Name=name)
        save(self, request, obj, form, change)

    monkeypatch.setattr(ItemAdmin, "save_model", save_late)
    response = asks.post(change("angel"), typed(page, name="Mine"))
    assert "changed this to “Theirs” meanwhile; you have “Mine”" in text(response)
    assert stored(cloud)["angel"]["Name"] == "Theirs"
    assert cloud.items("audit") == []


def test_an_item_that_others_keep_changing_is_not_saved_but_said(cloud, asks, fleet, monkeypatch):
    fleet("angel", Name="Angel", RideId="0")
    page = asks.get(change("angel"))
    save, counter = ItemAdmin.save_model, itertools.count()

    def save_late(self, request, obj, form, change):
        # Changed and changed back: the form sees no difference, the write does.
        cloud.admin("dynamodb").delete_item(TableName=settings.TABLES["fleet"], Key={"UnicornId": {"S": "angel"}})
        try:
            save(self, request, obj, form, change)
        finally:
            next(counter)
            cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item=before)

    (before,) = cloud.items("fleet")
    monkeypatch.setattr(ItemAdmin, "save_model", save_late)
    response = asks.post(change("angel"), typed(page, name="Mine"), follow=True)
    assert "Others keep changing this. Nothing is saved" in text(response)
    assert next(counter) == 3
    assert stored(cloud)["angel"]["Name"] == "Angel"


@pytest.mark.parametrize("key", ["x" * 3000, "ü" * 1500, "a/b", "%F0%9F%A6%84"])
def test_an_address_of_nothing_says_so(asks, key):
    for page in ("change", "delete", "history"):
        response = asks.get(f"/admin/rides/unicorn/{key}/{page}/", follow=True)
        assert "Perhaps it was deleted?" in text(response), page


def test_the_same_change_by_two_is_no_conflict(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    page = asks.get(change("angel"))
    write(cloud, "angel", Name="Angela")
    assert asks.post(change("angel"), typed(page, name="Angela")).status_code == 302


def test_a_form_that_does_not_say_what_it_showed_is_not_saved(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    fleet("gil", Name="Gil")
    page = asks.get(change("angel"))
    other = typed(asks.get(change("gil")))["_opened-gil"]
    for opened in ("", "forged", other):
        response = asks.post(change("angel"), typed(page, name="X") | {"_opened-angel": opened})
        assert "does not say what it was filled in from" in text(response)
    assert stored(cloud)["angel"]["Name"] == "Angel"


def test_a_unicorn_that_was_deleted_meanwhile_is_not_made_again(cloud, asks, fleet):
    fleet("angel")
    page = asks.get(change("angel"))
    cloud.empty("fleet")
    response = asks.post(change("angel"), typed(page, name="Ghost"), follow=True)
    assert "Perhaps it was deleted?" in text(response)
    assert cloud.items("fleet") == cloud.items("audit") == []


def test_a_lost_reply_neither_conflicts_nor_audits_twice(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    page = asks.get(change("angel"))
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="lost_reply", times=1)
    response = asks.post(change("angel"), typed(page, name="Angela"))
    assert response.status_code == 302
    assert stored(cloud)["angel"]["Name"] == "Angela"
    assert len(audited(cloud)) == 1


def test_when_dynamodb_fails_neither_the_change_nor_its_audit_entry_is_there(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    page = asks.get(change("angel"))
    asks.raise_request_exception = False
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="throttle", times=20)
    response = asks.post(change("angel"), typed(page, name="Angela"))
    assert response.status_code == 503
    assert stored(cloud)["angel"]["Name"] == "Angel"
    assert cloud.items("audit") == []


# --- On a ride --------------------------------------------------------------------------------------------------------


def later(**delta):
    return int((datetime.now(UTC) + timedelta(**delta)).timestamp())


def test_a_unicorn_on_a_ride_is_neither_moved_nor_deleted(cloud, asks, fleet):
    fleet("angel", Name="Angel", BusyUntil=later(minutes=10), RideId="ride_1")
    before = stored(cloud)["angel"]
    page = asks.get(change("angel"))
    assert "Angel is on a ride, so where it waits cannot be changed until the ride is over." in text(page)
    assert "latitude" not in page.context["adminform"].form.fields
    asks.post(change("angel"), typed(page, latitude="1", longitude="1", color="Black"))
    assert stored(cloud)["angel"] == before | {"Color": "Black"}
    for response in (asks.get(delete("angel")), asks.post(delete("angel"), {"post": "yes"})):
        assert "Angel is on a ride until" in text(response)
        assert "Yes, delete it" not in text(response)
    response = asks.post(LIST, {"action": "delete_selected", "_selected_action": "angel", "post": "yes"})
    assert "Angel is on a ride until" in text(response)
    assert "angel" in stored(cloud)


def test_the_name_of_a_unicorn_on_a_ride_is_text_and_its_ride_is_one_press_away(asks, fleet):
    fleet("angel", Name="<b>Angel</b>", BusyUntil=later(minutes=10), RideId="ride_1")
    page = asks.get(change("angel")).content.decode()
    assert "<b>Angel</b>" not in page
    assert '<a href="/admin/rides/ride/ride_5F1/change/">Its ride</a> can be cancelled.' in page


def test_a_ride_that_began_while_the_form_was_open_keeps_the_unicorn_where_it_is(cloud, asks, fleet):
    fleet("angel", Name="Angel", Latitude="47.6")
    page = asks.get(change("angel"))
    write(cloud, "angel", BusyUntil=later(minutes=10), RideId="r")
    response = asks.post(change("angel"), typed(page, latitude="1"))
    assert "busy until was free and is now" in text(response)
    assert stored(cloud)["angel"]["Latitude"] == Decimal("47.6")


def test_a_unicorn_that_was_claimed_while_deletion_was_being_confirmed_stays(cloud, asks, fleet):
    fleet("angel")
    page = asks.get(delete("angel"))
    write(cloud, "angel", BusyUntil=later(minutes=10), RideId="r")
    response = asks.post(delete("angel"), hidden(page))
    assert "is on a ride until" in text(response)
    assert "angel" in stored(cloud)


def test_when_the_ride_is_over_it_can_be_moved_again(cloud, asks, fleet):
    fleet("angel", BusyUntil=later(minutes=-1), RideId="r")
    page = asks.get(change("angel"))
    asks.post(change("angel"), typed(page, latitude="1.5"))
    assert stored(cloud)["angel"]["Latitude"] == Decimal("1.5")


# --- Deleting ---------------------------------------------------------------------------------------------------------


def test_an_operator_deletes_a_unicorn_and_the_log_keeps_what_it_was(cloud, asks, fleet):
    fleet("angel", Name="Angel", Color="White")
    page = asks.get(delete("angel"))
    assert "Delete Angel?" in text(page)
    response = asks.post(delete("angel"), hidden(page), follow=True)
    assert "was deleted successfully" in text(response)
    assert cloud.items("fleet") == []
    (entry,) = audited(cloud)
    assert entry["Action"] == "deleted"
    assert {"Field": "colour", "From": "“White”", "To": ""} in entry["Changes"]


def test_what_was_changed_after_the_question_is_asked_again(cloud, asks, fleet):
    fleet("angel", Name="Angel", Color="White")
    page = asks.get(delete("angel"))
    write(cloud, "angel", Color="Black")
    again = asks.post(delete("angel"), hidden(page))
    assert "Nothing is deleted yet" in text(again)
    assert "colour was “White” and is now “Black”" in text(again)
    assert "angel" in stored(cloud)
    asks.post(delete("angel"), hidden(again))
    assert cloud.items("fleet") == []


def test_several_are_deleted_together_after_one_question(cloud, asks, fleet):
    for name in ("angel", "gil", "rocinante"):
        fleet(name, Name=name.title())
    chosen = {"action": "delete_selected", "_selected_action": ["angel", "gil"]}
    page = asks.post(LIST, chosen)
    assert "Delete 2 unicorns?" in text(page)
    write(cloud, "gil", Color="Black")
    again = asks.post(LIST, hidden(page) | chosen)
    assert "Gil was changed by someone meanwhile: colour was “White” and is now “Black”." in text(again)
    assert len(stored(cloud)) == 3
    response = asks.post(LIST, hidden(again) | chosen, follow=True)
    assert "Successfully deleted 2 unicorns." in text(response)
    assert stored(cloud).keys() == {"rocinante"}
    assert [entry["ObjectName"] for entry in audited(cloud)] == ["Angel", "Gil"]


def test_too_many_at_once_are_not_deleted(cloud, asks, fleet, monkeypatch):
    monkeypatch.setattr("portal.dynamo.admin.MOST_DELETED", 2)
    monkeypatch.setattr("rides.admin.UnicornAdmin.list_per_page", 1)
    for name in "abc":
        fleet(name)
    everywhere = {"action": "delete_selected", "_selected_action": "a", "select_across": "1"}
    page = asks.post(LIST, everywhere)
    assert "These are 3, and at most 2 are deleted at once. Choose fewer." in text(page)
    assert "Yes, delete" not in text(page)
    asks.post(LIST, hidden(page) | everywhere | {"post": "yes"})
    assert len(stored(cloud)) == 3


# --- The list ---------------------------------------------------------------------------------------------------------


def names(response):
    return [one.name for one in response.context["cl"].result_list]


@pytest.fixture
def herd(fleet):
    fleet("angel", Name="Angel", Color="White", Gender="Female", Speed=90, Latitude=47)
    fleet("gil", Name="Gil", Color="White", Gender="Male", Speed=80, Latitude=-10)
    fleet(
        "rocinante",
        Name="Rocinante",
        Color="Yellow",
        Gender="Female",
        Speed=120,
        BusyUntil=later(hours=1),
        RideId="r_1",
    )


def test_the_list_shows_every_unicorn_and_where_it_is(asks, herd):
    response = asks.get(LIST)
    assert names(response) == ["Angel", "Gil", "Rocinante"]
    assert "on a ride until" in text(response)
    assert "/admin/rides/ride/r_5F1/change/" in response.content.decode()
    assert [(one["name"], one["busy"], one["url"]) for one in response.context["fleet_items"]] == [
        ("Angel", False, "/admin/rides/unicorn/angel/change/"),
        ("Gil", False, "/admin/rides/unicorn/gil/change/"),
        ("Rocinante", True, "/admin/rides/unicorn/rocinante/change/"),
    ]


def test_the_map_of_a_large_fleet_shows_some_and_says_so(asks, herd, monkeypatch):
    assert "The map shows" not in text(asks.get(LIST))
    monkeypatch.setattr("rides.admin.MOST_ON_MAP", 2)
    response = asks.get(LIST)
    assert [one["name"] for one in response.context["fleet_items"]] == ["Angel", "Gil"]
    assert "The map shows the first 2 of 3 unicorns. A search or a filter shows others." in text(response)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=ang", ["Angel"]),
        ("q=WHITE", ["Angel", "Gil"]),
        ("q=white+gil", ["Gil"]),
        ("q=rocinante", ["Rocinante"]),
        ("q=nobody", []),
        ("gender=Female", ["Angel", "Rocinante"]),
        ("color=White&gender=Female", ["Angel"]),
        ("is=busy", ["Rocinante"]),
        ("is=free", ["Angel", "Gil"]),
        ("speed__gte=90", ["Angel", "Rocinante"]),
        ("o=-5", ["Rocinante", "Angel", "Gil"]),
        ("o=2.-5", ["Angel", "Gil", "Rocinante"]),
        ("o=-2.5", ["Rocinante", "Gil", "Angel"]),
        ("p=9", ["Angel", "Gil", "Rocinante"]),
    ],
)
def test_the_list_is_searched_filtered_and_sorted(asks, herd, query, expected):
    assert names(asks.get(f"{LIST}?{query}")) == expected


@pytest.mark.parametrize("query", ["name__regex=.*", "speed__gte=fast", "nothing=1", "gender__name=x"])
def test_a_filter_that_means_nothing_is_refused_and_not_ignored(asks, herd, query):
    asks.raise_request_exception = False
    response = asks.get(f"{LIST}?{query}")
    assert response.status_code == 400 or response["Location"] == f"{LIST}?e=1"


def test_an_empty_fleet_says_so(asks):
    assert "There is nothing here yet." in text(asks.get(LIST))


def test_the_list_is_paged(asks, fleet, monkeypatch):
    monkeypatch.setattr("rides.admin.UnicornAdmin.list_per_page", 2)
    for name in "edcba":
        fleet(name, Name=name)
    assert [names(asks.get(f"{LIST}?p={n}")) for n in (1, 2, 3)] == [["a", "b"], ["c", "d"], ["e"]]
    assert "5 unicorns" in text(asks.get(LIST))


def test_a_list_page_reads_the_table_once(cloud, asks, herd):
    cloud.forget_calls()
    asks.get(LIST)
    assert cloud.calls() == {("dynamodb", "Scan"): 1, ("dynamodb", "GetItem"): 1}  # the fleet, the session


def test_a_fleet_of_more_than_a_megabyte_is_whole(cloud, asks):
    table = settings.TABLES["fleet"]
    items = [
        {"UnicornId": f"u{n}", "Name": f"U{n:03}", "Color": "x", "Gender": "x", "Ballast": "x" * 20_000}
        for n in range(75)
    ]
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": to_item(item)}} for item in items[start : start + 25]]
        assert not cloud.admin("dynamodb").batch_write_item(RequestItems={table: puts})["UnprocessedItems"]
    cloud.forget_calls()
    assert Unicorn.objects.count() == 75
    assert cloud.calls()["dynamodb", "Scan"] == 2
    assert "75 unicorns" in text(asks.get(LIST))


def test_rows_are_edited_in_place(cloud, asks, herd):
    page = asks.get(LIST)
    response = asks.post(LIST, row_form(page, **{"form-0-speed": "91", "form-2-speed": "121.5"}), follow=True)
    assert "2 unicorns saved." in text(response)
    speeds = {name: one["Speed"] for name, one in stored(cloud).items()}
    assert speeds == {"angel": 91, "gil": 80, "rocinante": Decimal("121.5")}
    assert [(entry["ObjectName"], entry["Changes"]) for entry in audited(cloud)] == [
        ("Angel", [{"Field": "speed", "From": "90", "To": "91"}]),
        ("Rocinante", [{"Field": "speed", "From": "120", "To": "121.5"}]),
    ]


def test_a_row_that_someone_else_changed_is_shown_with_both_values(cloud, asks, herd):
    page = asks.get(LIST)
    write(cloud, "angel", Speed=50)
    write(cloud, "gil", Speed=60)
    response = asks.post(LIST, row_form(page, **{"form-0-speed": "91"}))
    said = text(response)
    assert "Someone changed this to 50 meanwhile; you have 91." in said
    assert "Some rows are not saved." in said
    assert {name: one["Speed"] for name, one in stored(cloud).items()} == {"angel": 50, "gil": 60, "rocinante": 120}
    response = asks.post(LIST, row_form(response))
    assert response.status_code == 302
    # The row that was not touched keeps what the other one wrote.
    assert {name: one["Speed"] for name, one in stored(cloud).items()} == {"angel": 91, "gil": 60, "rocinante": 120}


def test_a_row_with_an_error_is_shown_again_as_typed(cloud, asks, herd):
    response = asks.post(LIST, row_form(asks.get(LIST), **{"form-0-speed": "-3", "form-1-speed": "81"}))
    assert "greater than or equal to 1" in text(response)
    assert response.context["cl"].formset.forms[1]["speed"].value() == "81"
    assert cloud.items("audit") == []


def test_a_row_that_was_deleted_meanwhile_stays_deleted(cloud, asks, herd):
    page = asks.get(LIST)
    cloud.admin("dynamodb").delete_item(TableName=settings.TABLES["fleet"], Key={"UnicornId": {"S": "gil"}})
    response = asks.post(LIST, row_form(page, **{"form-0-speed": "91", "form-1-speed": "81"}), follow=True)
    assert "1 unicorn saved." in text(response)
    assert "Some of these were deleted meanwhile" in text(response)
    assert stored(cloud).keys() == {"angel", "rocinante"}
    assert stored(cloud)["angel"]["Speed"] == 91


# --- History ----------------------------------------------------------------------------------------------------------


def test_the_history_says_who_did_what_and_when(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    assert "Nobody has changed this here yet." in text(asks.get("/admin/rides/unicorn/angel/history/"))
    asks.post(change("angel"), typed(asks.get(change("angel")), name="Angela"))
    cloud.forget_calls()
    response = asks.get("/admin/rides/unicorn/angel/history/")
    assert "operator changed name: “Angel” → “Angela”" in text(response)
    assert cloud.calls() == {("dynamodb", "Query"): 1, ("dynamodb", "GetItem"): 2}
    assert "Angela changed" in text(asks.get("/admin/"))


def test_the_history_of_what_was_deleted_can_still_be_read(cloud, asks, fleet):
    fleet("angel", Name="Angel")
    asks.post(delete("angel"), hidden(asks.get(delete("angel"))))
    assert "History of Angel" in text(asks.get("/admin/rides/unicorn/angel/history/"))
    response = asks.get("/admin/rides/unicorn/nobody/history/", follow=True)
    assert "Perhaps it was deleted?" in text(response)


# --- Who may what -----------------------------------------------------------------------------------------------------

EVERYTHING = [
    ("get", "/admin/", {}),
    ("get", "/admin/rides/", {}),
    ("get", LIST, {}),
    ("get", change("angel"), {}),
    ("get", "/admin/rides/unicorn/angel/history/", {}),
    ("get", "/admin/rides/ride/", {}),
    ("get", "/admin/dynamo/auditentry/", {}),
    ("get", ADD, {}),
    ("get", delete("angel"), {}),
    ("post", ADD, NEW),
    ("post", change("angel"), NEW),
    ("post", delete("angel"), {"post": "yes"}),
    ("post", LIST, {"action": "delete_selected", "_selected_action": "angel", "post": "yes"}),
    ("post", LIST, {"_save": "Save", "form-TOTAL_FORMS": "0", "form-INITIAL_FORMS": "0"}),
]
SEEN_BY_AUDITORS = 7
NEVER = [
    (method, f"/admin/{path}", {"post": "yes"} if method == "post" else {})
    for path in (
        "rides/ride/add/",
        "rides/ride/r/delete/",
        "dynamo/auditentry/add/",
        "dynamo/auditentry/2026-11_2Fx/delete/",
    )
    for method in ("get", "post")
] + [
    ("post", "/admin/rides/ride/", {}),
    ("post", "/admin/rides/ride/r/change/", {}),
    ("post", "/admin/dynamo/auditentry/", {}),
]


@pytest.mark.parametrize(("number", "attempt"), list(enumerate(EVERYTHING)))
def test_operators_do_everything_auditors_only_look_and_others_do_nothing(
    cloud, client_for, client, operator, auditor, rider, fleet, number, attempt
):
    method, path, data = attempt
    fleet("angel")
    before = cloud.items("fleet")
    answers = {}
    for name, asker in {"rider": client_for(rider), "stranger": client, "auditor": client_for(auditor)}.items():
        answers[name] = getattr(asker, method)(path, data)
        assert cloud.items("fleet") == before
        assert cloud.items("audit") == []
    assert answers["rider"].status_code == 403
    assert answers["stranger"].status_code == 302
    assert answers["stranger"]["Location"].startswith("/sign-in/?next=/admin/")
    assert answers["auditor"].status_code == (200 if number < SEEN_BY_AUDITORS else 403)
    assert getattr(client_for(operator), method)(path, data).status_code in (200, 302)


@pytest.mark.parametrize(("method", "path", "data"), NEVER)
def test_records_are_changed_by_nobody(asks, method, path, data):
    assert getattr(asks, method)(path, data).status_code == 403


def test_an_auditor_sees_values_and_no_fields_to_change_them(client_for, auditor, fleet):
    fleet("angel", Name="Angel", Color="White")
    asks = client_for(auditor)
    page = asks.get(change("angel"))
    assert "White" in text(page)
    assert "latitude" not in page.context["adminform"].form.fields
    assert 'name="_save"' not in page.content.decode()
    assert "Delete selected" not in text(asks.get(LIST))


@pytest.mark.parametrize(
    "path", ["login/", "logout/", "password_change/", "r/1/1/", "autocomplete/", "auth/group/", "auth/user/"]
)
def test_pages_of_djangos_that_need_its_database_are_not_there(asks, path):
    response = asks.get(f"/admin/{path}")
    assert response.status_code == 404 or response["Location"].startswith("/sign-in/")


def test_the_overview_lists_what_i_may_see(client_for, auditor, operator):
    for person, verb in ((auditor, "View Unicorns"), (operator, "Change Unicorns")):
        said = text(client_for(person).get("/admin/"))
        assert verb in said
        assert "View Rides" in said
        assert "View Audit log" in said
        assert "Group" not in said


def test_a_unicorn_on_its_way_is_shown_where_it_is_and_not_where_it_goes(
    cloud, client_for, operator, fleet, rider
) -> None:
    fleet("angel", Name="Angel", Latitude=47.0, Longitude=-122.0, Speed=1)
    asked_at = datetime.now(UTC) - timedelta(hours=1)
    ride = request_ride(Place(latitude=47.1, longitude=-122.0), by=rider, now=asked_at)
    assert ride.arrives_at
    passed = timedelta(hours=1) / (ride.arrives_at - asked_at)
    client = client_for(operator)
    page = client.get("/admin/rides/unicorn/")
    [shown] = page.context["fleet_items"]
    assert shown["latitude"] == pytest.approx(47.0 + 0.1 * passed, abs=0.001)
    assert shown["longitude"] == -122.0
    assert f"{shown['latitude']}"[:6] in page.content.decode()
    cancel(ride.ride_id, by=rider, now=datetime.now(UTC))
    [item] = cloud.items("fleet")
    assert "Leg" not in item


def test_who_saves_what_was_deleted_meanwhile_is_told_so_at_the_list(cloud, client_for, operator, fleet) -> None:
    client = client_for(operator)
    for answer in (
        client.get("/admin/rides/unicorn/kirin/change/", follow=True),
        client.post("/admin/rides/unicorn/kirin/change/", {"name": "Kirin"}, follow=True),
        client.post("/admin/rides/unicorn/kirin/delete/", {"post": "yes"}, follow=True),
    ):
        assert answer.redirect_chain[-1][0] == "/admin/rides/unicorn/"
        assert "Unicorn “kirin” doesn’t exist. Perhaps it was deleted?" in unescape(answer.content.decode())
    assert cloud.items("fleet") == []


@pytest.mark.parametrize(
    "odd",
    [
        {"Latitude": {"N": "95"}},
        {"Leg": {"S": "away"}},
        {"Leg": {"M": {"Latitude": {"N": "1"}}}},
        {
            "Leg": {
                "M": {"Latitude": {"N": "99"}, "Longitude": {"N": "1"}, "LeftAt": {"S": "x"}, "ArrivesAt": {"S": "y"}}
            }
        },
    ],
)
def test_a_unicorn_that_is_nowhere_does_not_cost_the_operators_their_list(
    cloud, client_for, operator, fleet, odd
) -> None:
    fleet("angel", Name="Angel", BusyUntil=int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))
    [item] = cloud.items("fleet")
    cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item={**item, **odd})
    client = client_for(operator)
    assert "Angel" in client.get("/admin/rides/unicorn/").content.decode()
    assert client.get("/admin/rides/unicorn/angel/change/").status_code == 200
