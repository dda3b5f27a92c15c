"""What somebody is offered: which tiles, in which order, what they say, and what it costs to find out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.utils import timezone

from portal.dynamo.values import to_item
from portal.streaming import appstream, launching, models
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch
from portal.streaming.models import Application
from portal.streaming.offers import NO_FLEETS, NO_SESSIONS, Mine, Offers, Tile, offers
from portal.streaming.own import Own
from portal.streaming.rules import Standing, State
from tests.approvals.conftest import user
from tests.conftest import SignedUp

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LAUNCHABLE = {State.RUNNING, State.READY, State.SOON, State.UNKNOWN}


def application(**fields):
    return Application(
        **{"application_id": "studio", "title": "Design studio", "groups": "designers\nartists"} | fields
    )


def session(**fields):
    known = {"session_id": "s-1", "user_id": "u", "stack": "a", "fleet": "b", "state": "ACTIVE", "is_connected": True}
    return Session(**known | {"started_at": NOW, "ends_at": None} | fields)


def own(application_id="studio", **fields):
    launched = Launch(
        user_id="u", place="a/b", sub="s", username="rider", name="Ada", application_id=application_id,
        title="Old title", launched_at=NOW, expires_at=1,
    )  # fmt: skip
    return Own(session(**fields), launched)


def begin(streaming, person: SignedUp, application_id: str = "studio", *groups: str) -> None:
    """Start an application as somebody, and open it as their browser would."""
    found = launching.find(application_id, by=user(person, *groups))
    assert streaming.open(launching.launch_url(found, by=user(person, *groups), now=timezone.now())).status == 200
    streaming.settle()


def states(found: Offers) -> dict[str, State]:
    return {one.application.application_id: one.state for one in found.tiles}


# --- What a tile says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_a_tile_has_a_tag_words_and_a_button_where_it_can_be_started(state):
    mine = own() if state is State.RUNNING else None
    tile = Tile(application(), Standing(state, 7), mine)
    assert tile.tag
    assert tile.may_launch == (state in LAUNCHABLE)
    assert bool(tile.words) == (state is not State.RUNNING), "a session of one's own is told of by its times"


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(State.READY), "Starts at once."),
        (Standing(State.SOON, 2), "Starts in about 2 minutes."),
        (Standing(State.STARTING, 15), "Design studio is being started. Try again in about 15 minutes."),
        (
            Standing(State.FULL),
            "Design studio is full: everybody who fits in is in. Try again when somebody has left.",
        ),
        (Standing(State.STOPPED), "Design studio is stopped. Ask an operator to start its fleet."),
        (
            Standing(State.NOT_FOR_YOU),
            "Design studio is not for you. Ask an operator to add you to designers or artists.",
        ),
        (Standing(State.UNKNOWN), "AppStream did not answer. You can try it."),
    ],
)
def test_its_words_tell_the_truth_before_the_click(standing, words):
    assert Tile(application(), standing).words == words


def test_what_shares_a_session_says_that_it_opens_there():
    tile = Tile(application(), Standing(State.READY), own("ledger"))
    assert (tile.tag, tile.words, tile.button) == ("Ready", "Opens in your running session.", "Open")
    assert Tile(application(), Standing(State.RUNNING), own()).button == "Rejoin"
    assert Tile(application(), Standing(State.READY)).button == "Start"


@pytest.mark.parametrize(
    ("title", "letter"), [("Design", "D"), ("élan", "É"), ("…“7zip”", "7"), ("🦄", "·"), ("ßig", "SS"), ("", "·")]
)
def test_an_application_without_a_picture_has_a_letter(title, letter):
    assert Tile(application(title=title), Standing(State.READY)).initial == letter


def test_the_letters_colour_stays():
    tile = Tile(application(), Standing(State.READY))
    assert tile.hue == Tile(application(title="Another"), Standing(State.STOPPED)).hue


def test_a_session_has_the_title_of_the_catalogue_as_long_as_it_is_there():
    assert Mine(own(), application()).title == "Design studio"
    assert Mine(own()).title == "Old title"
    assert Mine(own(is_connected=False)).connection == "not connected"
    assert Mine(own(state="PENDING")).connection == "being prepared"


def test_the_mark_is_another_when_what_is_shown_is_another():
    tile, mine = Tile(application(), Standing(State.READY)), Mine(own(), application())
    some = [
        Offers([], [], [], []),
        Offers([tile], [], [], []),
        Offers([Tile(application(), Standing(State.FULL))], [], [], []),
        Offers([Tile(application(), Standing(State.STARTING, 15))], [], [], []),
        Offers([tile], [mine], [], []),
        Offers([tile], [Mine(own(state="PENDING"), application())], [], []),
        Offers([tile], [Mine(own(session_id="s-2"), application())], [], []),
        Offers([tile], [], [], [NO_SESSIONS]),
    ]
    assert len({one.mark for one in some}) == len(some)
    assert Offers([tile], [mine], [], []).mark == some[4].mark


@pytest.mark.parametrize("state", list(State))
def test_the_page_renews_itself_while_something_is_about_to_change(state):
    is_changing = Offers([Tile(application(), Standing(state), own())], [], [], []).is_changing
    assert is_changing == (state in (State.STARTING, State.FULL, State.UNKNOWN))


def test_it_renews_itself_while_a_session_is_prepared_or_appstream_did_not_answer():
    assert Offers([], [Mine(own(state="PENDING"))], [], []).is_changing
    assert Offers([], [], [], [NO_SESSIONS]).is_changing
    assert not Offers([], [Mine(own())], [], []).is_changing


# --- Whose they are, and how they stand -------------------------------------------------------------------------------


def test_people_see_what_is_for_their_groups_and_what_is_shown_to_all(streaming, rider):
    streaming.fleet()
    streaming.application("everybodys")
    streaming.application("designers", Groups="designers")
    streaming.application("shown", Groups="designers", ShownToAll=True)
    streaming.application("off", Enabled=False)
    streaming.application("nobodys", Groups="")
    assert states(offers(user(rider))) == {"everybodys": State.READY, "shown": State.NOT_FOR_YOU}
    designer = states(offers(user(rider, "designers")))
    assert designer == dict.fromkeys(["everybodys", "designers", "shown"], State.READY)


def test_each_state_comes_from_the_fleet_and_the_launchable_come_first(streaming, rider, author):
    streaming.fleet("sample-stopped", stack="sample-stopped", running=False)
    streaming.fleet("sample-demand", stack="sample-demand", kind="ON_DEMAND")
    streaming.fleet("sample-full", stack="sample-full", instances=1)
    streaming.fleet()
    for name in ("stopped", "demand", "full"):
        streaming.application(name, Stack=f"sample-{name}", Fleet=f"sample-{name}")
    streaming.application("broken", Fleet="sample-none")
    streaming.application("not-the-portals", Fleet="foreign")
    streaming.application("elsewhere", Groups="designers", ShownToAll=True)
    streaming.application("zebra")
    begin(streaming, author, "full")
    begin(streaming, rider, "zebra")
    assert list(states(offers(user(rider))).items()) == [
        ("zebra", State.RUNNING),
        ("demand", State.SOON),
        ("broken", State.BROKEN),
        ("elsewhere", State.NOT_FOR_YOU),
        ("full", State.FULL),
        ("not-the-portals", State.BROKEN),
        ("stopped", State.STOPPED),
    ]


def test_a_fleet_that_starts_can_be_started_from_when_it_has(streaming, rider):
    streaming.pace(fleet_start_seconds=900)
    streaming.fleet()
    streaming.application()
    found = offers(user(rider))
    assert (states(found), found.is_changing) == ({"studio": State.STARTING}, True)
    streaming.pace(elapse_seconds=901)
    found = offers(user(rider))
    assert (states(found), found.is_changing) == ({"studio": State.READY}, False)


def test_whoever_is_in_comes_back_however_full_it_is(streaming, rider, author):
    streaming.fleet(instances=1)
    streaming.application()
    streaming.application("ledger")
    begin(streaming, rider)
    found = offers(user(rider))
    assert states(found) == {"studio": State.RUNNING, "ledger": State.READY}
    assert [one.title for one in found.sessions] == ["Studio"]
    assert states(offers(user(author))) == {"studio": State.FULL, "ledger": State.FULL}


def test_nothing_is_come_back_to_on_a_fleet_that_is_stopped(streaming, rider):
    streaming.fleet()
    streaming.application()
    begin(streaming, rider)
    streaming.cloud.admin("appstream").stop_fleet(Name="sample-fleet")
    streaming.settle()
    found = offers(user(rider))
    assert (states(found), found.sessions) == ({"studio": State.STOPPED}, [])


def test_a_session_is_shown_without_a_way_back_where_the_application_is_not_offered_any_more(streaming, rider):
    streaming.fleet()
    streaming.application(Groups="designers")
    begin(streaming, rider, "studio", "designers")
    [mine] = offers(user(rider)).sessions
    assert (mine.title, mine.application) == ("Studio", None)


def test_a_session_where_the_portal_may_not_look_any_more_is_left_out(streaming, rider):
    streaming.fleet()
    streaming.application()
    begin(streaming, rider)
    item = streaming.cloud.items("streaming_launches")[0] | to_item({"Place": "foreign/foreign"})
    streaming.cloud.admin("dynamodb").put_item(TableName=settings.TABLES["streaming_launches"], Item=item)
    found = offers(user(rider))
    assert (len(found.sessions), found.problems) == (1, [])


# --- When AppStream does not answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_without_the_fleets_each_may_be_tried(streaming, rider, cloud, kind):
    streaming.fleet()
    streaming.application()
    streaming.application("ledger")
    begin(streaming, rider)
    cloud.faults.add(service="appstream", action="DescribeFleets", kind=kind)
    found = offers(user(rider))
    assert found.problems == [NO_FLEETS]
    assert [(one.state, one.may_launch) for one in found.tiles] == [(State.RUNNING, True), (State.READY, True)]
    assert states(offers(user(rider, "x"))) == {"studio": State.RUNNING, "ledger": State.READY}
    cloud.faults.add(service="appstream", action="DescribeSessions", kind=kind)
    found = offers(user(rider))
    assert found.problems == [NO_FLEETS, NO_SESSIONS]
    assert [(one.state, one.may_launch) for one in found.tiles] == [(State.UNKNOWN, True)] * 2


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_without_the_sessions_the_tiles_are_there(streaming, rider, cloud, kind):
    streaming.fleet()
    streaming.application()
    begin(streaming, rider)
    cloud.faults.add(service="appstream", action="DescribeSessions", kind=kind)
    found = offers(user(rider))
    assert (states(found), found.problems) == ({"studio": State.READY}, [NO_SESSIONS])


# --- What it costs ----------------------------------------------------------------------------------------------------


def fill(streaming, count: int, fleets: int) -> None:
    for n in range(fleets):
        streaming.cloud.admin("appstream").create_fleet(
            Name=f"sample-{n}", FleetType="ALWAYS_ON", InstanceType="stream.standard.small", ImageName="sample-image",
            ComputeCapacity={"DesiredInstances": 1},
        )  # fmt: skip
    for n in range(count):
        Application(
            application_id=f"app-{n}", title=f"App {n}", groups="*", stack="sample-stack",
            fleet=f"sample-{n % fleets}", opens=Application.FRAME,
        ).save()  # fmt: skip


@pytest.mark.parametrize(("count", "fleets"), [(1, 1), (20, 1), (20, 20), (200, 1), (200, 40)])
def test_the_calls_do_not_grow_with_the_catalogue(streaming, cloud, rider, count, fleets):
    fill(streaming, count, fleets)
    streaming.settle()
    assert len(offers(user(rider)).tiles) == count
    assert cloud.calls() == {
        ("dynamodb", "Scan"): 1,
        ("dynamodb", "Query"): 1,
        ("appstream", "DescribeFleets"): 1,
    }
    cloud.forget_calls()
    offers(user(rider))
    assert cloud.calls() == {("dynamodb", "Scan"): 1, ("dynamodb", "Query"): 1}, "fleets are known for some seconds"


def test_each_place_where_somebody_launched_lately_costs_one_call(streaming, cloud, rider):
    for name in ("one", "two"):
        streaming.fleet(f"sample-{name}", stack=f"sample-{name}")
        for n in range(3):
            streaming.application(f"{name}-{n}", Stack=f"sample-{name}", Fleet=f"sample-{name}")
            begin(streaming, rider, f"{name}-{n}")
    assert len(offers(user(rider)).sessions) == 2
    assert cloud.calls() == {
        ("dynamodb", "Scan"): 1,
        ("dynamodb", "Query"): 1,
        ("appstream", "DescribeFleets"): 1,
        ("appstream", "DescribeSessions"): 2,
    }


def test_an_empty_catalogue_asks_appstream_nothing(streaming, cloud, rider):
    streaming.settle()
    found = offers(user(rider))
    assert (found.tiles, found.sessions, found.is_changing) == ([], [], False)
    assert cloud.calls() == {("dynamodb", "Scan"): 1, ("dynamodb", "Query"): 1}
    assert appstream.fleets([]) == {}
    assert models.applications() == []
