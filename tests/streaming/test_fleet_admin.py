"""Operators see the fleets, and start and stop them."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote

from portal.streaming import appstream, fleet_admin, operator_words
from portal.streaming.appstream import Trouble
from portal.streaming.fleet import Fleet, FleetState, Kind
from portal.streaming.models import Application
from portal.streaming.operator_words import SeenFleet
from tests.html import page_problems
from tests.streaming.test_admin import called, entries, launched, text

LIST = "/admin/streaming/fleet/"
NASTY = "<script>alert(1)</script>"


def url(name="sample-fleet", act="change"):
    return f"{LIST}{quote(name)}/{act}/"


def state(cloud, name="sample-fleet"):
    return cloud.admin("appstream").describe_fleets(Names=[name])["Fleets"][0]["State"]


def acts(cloud):
    return [(one["ActorName"], one["Action"], one["Object"]) for one in entries(cloud)]


def in_words(cloud):
    return [(one["Field"], one.get("From", ""), one.get("To", "")) for one in entries(cloud)[-1].get("Changes", ())]


@pytest.fixture
def asks(client_for, operator, streaming):
    """The operator's browser."""
    return client_for(operator)


# --- In words ---------------------------------------------------------------------------------------------------------


def seen(found, **more):
    return SeenFleet("drawing", found, **more)


def a_fleet(state=FleetState.RUNNING, kind=Kind.ALWAYS_ON, most=4, in_use=1, free=3, **more):
    return Fleet("drawing", state, kind, most, in_use, free, **more)


@pytest.mark.parametrize(
    ("found", "state", "colour"),
    [
        (a_fleet(), "running", "good"),
        (a_fleet(FleetState.STARTING), "being started", ""),
        (a_fleet(FleetState.STARTING, errors=("No address.",)), "does not start", "warm"),
        (a_fleet(errors=("No address.",)), "running", "good"),
        (a_fleet(FleetState.STOPPING), "being stopped", ""),
        (a_fleet(FleetState.STOPPED), "stopped", ""),
        (Trouble.MISSING, "not there", "warm"),
        (Trouble.REFUSED, "out of reach", "warm"),
        (Trouble.ODD, "unknown", "warm"),
        (Trouble.UNKNOWN, "unknown", ""),
        (None, "unknown", ""),
    ],
)
def test_each_state_has_a_word(found, state, colour):
    one = seen(found)
    assert (one.state, one.colour) == (state, colour)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (a_fleet(most=2, in_use=1, free=1), "1 of 2 in use, 1 free"),
        (a_fleet(most=4, in_use=1, free=1), "1 of 4 in use, 1 free, 2 being prepared"),
        (a_fleet(most=2, in_use=3, free=-1), "3 of 2 in use, 0 free"),
        (a_fleet(FleetState.STARTING, most=2, in_use=0, free=0), "0 of 2 in use, 0 free, 2 being prepared"),
        (a_fleet(FleetState.STARTING, most=2, in_use=0, free=0, errors=("x",)), "for 2 sessions once it runs"),
        (a_fleet(FleetState.STOPPED, most=1, in_use=0, free=0), "for 1 session once it runs"),
        (a_fleet(FleetState.STOPPED, most=2, in_use=0, free=0), "for 2 sessions once it runs"),
    ],
)
def test_its_room_is_counted_in_sessions(fleet, said):
    assert operator_words.room(fleet) == said


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_says_what_it_costs(kind):
    assert "cost" in seen(a_fleet(kind=kind)).meaning
    assert "cost" in operator_words.COSTS[kind]


@pytest.mark.parametrize(
    ("found", "may_start", "may_stop", "is_changing"),
    [
        (a_fleet(), False, True, False),
        (a_fleet(FleetState.STARTING), False, True, True),
        (a_fleet(FleetState.STOPPING), False, False, True),
        (a_fleet(FleetState.STOPPED), True, False, False),
        (Trouble.MISSING, False, False, False),
        (Trouble.ODD, False, False, False),
        (None, False, False, False),
    ],
)
def test_only_what_can_be_done_is_offered(found, may_start, may_stop, is_changing):
    one = seen(found)
    assert (one.may_start, one.may_stop, one.is_changing) == (may_start, may_stop, is_changing)


def test_trouble_says_what_to_do():
    assert "AppStream has no fleet drawing in" in seen(Trouble.MISSING).trouble
    assert ":fleet/drawing to the template’s parameter MoreStreamingArns" in seen(Trouble.REFUSED).trouble
    assert seen(Trouble.ODD).trouble == (
        "AppStream tells of this fleet in a way that this portal does not know. Look at it in AWS."
    )
    assert "Look again in a moment." in seen(Trouble.UNKNOWN).trouble
    assert seen(a_fleet()).trouble == ""


def test_its_stacks_are_those_of_the_catalogue():
    on = tuple(Application(stack=name) for name in ("b", "a", "b"))
    assert seen(None, applications=on).stacks == ["a", "b"]


# --- The list ---------------------------------------------------------------------------------------------------------


def test_all_fleets_of_the_catalogue_and_the_template_s_are_listed_with_one_call(cloud, asks, streaming, settings):
    streaming.fleet(instances=3)
    streaming.fleet("sample-second", running=False, kind="ON_DEMAND", stack="sample-second")
    streaming.application("studio")
    streaming.application("calculator", Enabled=False)
    streaming.application("paint", Fleet="sample-second")
    page = asks.get(LIST)
    assert called(cloud) == {"DescribeFleets": 1}
    assert cloud.calls()["dynamodb", "Scan"] == 1
    said = text(page)
    for fact in (
        settings.STREAMING_FLEET,
        "sample-fleet",
        "running",
        "stopped",
        "0 of 3 in use, 3 free",
        "for 2 sessions once it runs",
        "always on",
        "on demand",
        "Calculator (not enabled) , Studio",
        "Paint",
        "nothing in the catalogue",
    ):
        assert fact in said, fact
    assert not page_problems(page.content.decode())


def test_a_fleet_in_trouble_hides_no_other(cloud, asks, streaming):
    streaming.fleet()
    streaming.application()
    streaming.application("gone", Fleet="sample-gone")
    streaming.application("other", Fleet="somebody-elses")
    streaming.application("odd", Fleet=NASTY)
    page = asks.get(LIST)
    said = text(page)
    for fact in ("running", "AppStream has no fleet sample-gone", ":fleet/somebody-elses to the template’s parameter"):
        assert fact in said, fact
    assert NASTY not in page.content.decode()
    assert not page_problems(page.content.decode())


def test_without_any_fleet_it_says_how_to_get_one(asks, settings):
    settings.STREAMING_STACK = settings.STREAMING_FLEET = ""
    page = asks.get(LIST)
    assert "No fleet yet. To get one, set the template’s parameter StreamingImage." in text(page)
    assert not page_problems(page.content.decode())


@pytest.mark.parametrize("kind", ["throttle", "error"])
@pytest.mark.parametrize("path", [LIST, url()])
def test_without_appstream_the_page_says_so_and_shows_the_rest(cloud, asks, streaming, path, kind):
    streaming.application()
    cloud.faults.add(service="appstream", kind=kind)
    page = asks.get(path)
    assert page.status_code == 200
    said = text(page)
    for fact in ("AppStream did not answer. Look again in a moment.", "unknown", "Studio"):
        assert fact in said, fact
    assert ">Start<" not in page.content.decode()
    assert not page_problems(page.content.decode())


# --- A fleet's page ---------------------------------------------------------------------------------------------------


def test_a_fleet_s_page_has_all_that_is_known_of_it(cloud, asks, ask, streaming, rider):
    streaming.fleet(embed=True)
    streaming.application()
    launched(streaming, ask, rider)
    page = asks.get(url())
    assert called(cloud) == {"DescribeFleets": 1}
    said = text(page)
    for fact in ("1 of 2 in use, 1 free", "stream.standard.small", "the windows of applications", "sample-stack"):
        assert fact in said, fact
    html = page.content.decode()
    assert 'href="/admin/streaming/application/studio/change/"' in html
    assert 'href="/admin/streaming/session/?place=sample-stack%2Fsample-fleet"' in html
    assert "hx-get" not in html.partition('id="fleet"')[2].partition(">")[0]
    assert not page_problems(html)


def test_one_that_is_not_there_or_out_of_reach_says_so(asks, streaming):
    streaming.application("gone", Fleet="sample-gone")
    streaming.application("other", Fleet="somebody-elses")
    assert "AppStream has no fleet sample-gone" in text(asks.get(url("sample-gone")))
    page = asks.get(url("somebody-elses"))
    assert "add arn:aws:appstream:" in text(page)
    assert ">Start<" not in page.content.decode()
    assert not page_problems(page.content.decode())


@pytest.mark.parametrize("act", ["change", "start", "stop", "history"])
@pytest.mark.parametrize("name", ["sample-unnamed", "x" * 300, "é☃", "a/b", "..", NASTY, "x" * 3000])
def test_what_nobody_names_is_not_asked_about(cloud, asks, streaming, name, act):
    page = asks.get(url(name, act), follow=True)
    assert page.redirect_chain[-1][0] == LIST
    assert "There is no such fleet" in text(page)
    assert called(cloud).get("DescribeFleets", 0) <= 1  # the list's


def test_what_the_catalogue_has_on_it_is_text(asks, streaming):
    streaming.fleet()
    streaming.application(Title=NASTY, Stack=NASTY)
    for path in (LIST, url()):
        assert NASTY not in asks.get(path).content.decode()


@pytest.mark.parametrize("path", [LIST, url("drawing")])
def test_what_appstream_itself_finds_wrong_with_a_fleet_is_shown(asks, streaming, monkeypatch, path):
    streaming.application(Fleet="drawing")
    wrong = a_fleet(errors=("The subnet has <b>no</b> address left.",), view="DESKTOP")
    monkeypatch.setattr(appstream, "fleets", lambda names: dict.fromkeys(names, wrong))
    page = asks.get(path)
    assert "The subnet has <b>no</b> address left." in text(page)
    assert "<b>no</b>" not in page.content.decode()
    assert not page_problems(page.content.decode())


def test_one_that_does_not_start_says_so_and_why(asks, streaming, monkeypatch):
    streaming.application(Fleet="drawing")
    stuck = a_fleet(FleetState.STARTING, errors=("The subnet has no address left.", "No <b>role</b>."))
    monkeypatch.setattr(appstream, "fleets", lambda names: dict.fromkeys(names, stuck))
    page = asks.get(url("drawing"))
    said = text(page)
    for fact in (
        "This fleet does not start.",
        "The subnet has no address left.",
        "No <b>role</b>.",
        "drawing does not",
    ):
        assert fact in said, fact
    assert "This takes some minutes" not in said
    assert ">Stop<" in page.content.decode()
    assert not page_problems(page.content.decode())
    said = text(asks.get(LIST))
    assert "does not start" in said
    assert "The subnet has no address left." in said
    assert "It does not start, whatever AppStream tries." in text(asks.get(url("drawing", "stop")))


@pytest.mark.parametrize("path", [LIST, url()])
def test_one_of_which_appstream_tells_oddly_says_so(asks, streaming, monkeypatch, path):
    streaming.application()
    monkeypatch.setattr(appstream, "fleets", lambda names: dict.fromkeys(names, Trouble.ODD))
    page = asks.get(path)
    assert "in a way that this portal does not know. Look at it in AWS." in text(page)
    assert ">Start<" not in page.content.decode()
    assert not page_problems(page.content.decode())


# --- Starting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ALWAYS_ON", "From then on, each of its instances costs money until it is stopped"),
        ("ON_DEMAND", "each of its instances costs a small fee"),
        ("ELASTIC", "Each session costs money"),
    ],
)
def test_starting_asks_first_and_says_what_it_costs(cloud, asks, streaming, kind, said):
    streaming.fleet(running=False, kind=kind)
    streaming.application()
    page = asks.get(url(act="start"))
    assert said in text(page)
    assert not page_problems(page.content.decode())
    assert state(cloud) == "STOPPED"
    assert acts(cloud) == []


def test_a_fleet_is_started_written_down_and_followed(cloud, asks, streaming):
    streaming.fleet(running=False)
    streaming.application()
    streaming.pace(fleet_start_seconds=600)
    page = asks.post(url(act="start"), follow=True)
    assert "It is being started." in text(page)
    assert state(cloud) == "STARTING"
    assert acts(cloud) == [("operator", "started the fleet", "streaming.fleet/sample-fleet")]
    html = page.content.decode()
    again = f"{url()}?was=being%20started"
    assert f'hx-get="{again}" hx-trigger="every 5s"' in html
    assert 'role="status">sample-fleet is being started.<' in html
    assert 'id="fleet-says"' not in asks.get(again).content.decode()
    assert "operator started the fleet" in text(page)
    assert ">Stop<" in html
    assert not page_problems(html)
    streaming.pace(elapse_seconds=601)
    page = asks.get(again)
    assert 'role="status">sample-fleet is running.<' in page.content.decode()
    assert "hx-trigger" not in page.content.decode().partition('id="fleet"')[2].partition(">")[0]
    assert "2 free" in text(page)


def test_starting_twice_starts_once(cloud, asks, streaming):
    streaming.fleet(running=False)
    streaming.application()
    asks.post(url(act="start"))
    page = asks.post(url(act="start"), follow=True)
    assert "It is started already." in text(page)
    assert len(acts(cloud)) == 1
    assert "It is started already." in text(asks.get(url(act="start"), follow=True))


def test_starting_what_somebody_starts_at_the_same_moment_is_harmless(cloud, asks, streaming, monkeypatch):
    streaming.fleet(running=False)
    streaming.application()

    def first(name):
        cloud.admin("appstream").start_fleet(Name=name)
        appstream.forget()
        raise appstream.Changing("AppStream refused: not in this state.")

    monkeypatch.setattr(appstream, "start", first)
    assert "It is started already." in text(asks.post(url(act="start"), follow=True))


def test_what_appstream_refuses_is_said_and_written_down(cloud, asks, streaming, monkeypatch):
    streaming.fleet(running=False)
    streaming.application()

    def refused(name):
        raise appstream.Changing("AppStream refused: no capacity <b>.")

    monkeypatch.setattr(appstream, "start", refused)
    page = asks.post(url(act="start"), follow=True)
    assert "AppStream refused: no capacity <b>." in text(page)
    assert "<b>." not in page.content.decode()
    assert [action for _, action, _ in acts(cloud)] == ["started the fleet", "started the fleet, which failed"]


def test_one_that_is_being_stopped_is_not_started(cloud, asks, streaming):
    streaming.fleet()
    streaming.application()
    streaming.pace(fleet_start_seconds=600)
    cloud.admin("appstream").stop_fleet(Name="sample-fleet")
    assert state(cloud) == "STOPPING"
    assert "It is still being stopped." in text(asks.post(url(act="start"), follow=True))
    assert acts(cloud) == []


def test_one_that_is_gone_meanwhile_is_said(cloud, asks, streaming, monkeypatch):
    streaming.fleet(running=False)
    streaming.application()

    def gone(name):
        raise LookupError(name)

    monkeypatch.setattr(appstream, "start", gone)
    assert "AppStream has no fleet sample-fleet any more." in text(asks.post(url(act="start"), follow=True))


@pytest.mark.parametrize("act", ["start", "stop"])
def test_what_is_not_there_is_neither_started_nor_stopped(cloud, asks, streaming, act):
    streaming.application()
    page = asks.post(url(act=act), follow=True)
    assert "AppStream has no fleet sample-fleet" in text(page)
    assert acts(cloud) == []


@pytest.mark.parametrize(("act", "action"), [("start", "StartFleet"), ("stop", "StopFleet")])
@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_where_nobody_knows_whether_it_was_done_it_is_said(cloud, asks, streaming, act, action, kind):
    streaming.fleet(running=act == "stop")
    streaming.application()
    cloud.faults.add(service="appstream", action=action, kind=kind)
    page = asks.post(url(act=act), {"in_use": "0"}, follow=True)
    assert fleet_admin.UNSURE in text(page)
    assert [one.endswith(", which may have failed") for _, one, _ in acts(cloud)] == [False, True]


@pytest.mark.parametrize("act", ["start", "stop"])
def test_without_appstream_nothing_is_asked_for(cloud, asks, streaming, act):
    streaming.application()
    cloud.faults.add(service="appstream", kind="error")
    page = asks.get(url(act=act), follow=True)
    assert page.redirect_chain[-1][0] == url()
    assert "AppStream did not answer." in text(page)


def test_nothing_is_done_that_the_audit_log_cannot_have(cloud, asks, streaming):
    streaming.fleet(running=False)
    streaming.application()
    cloud.faults.add(service="dynamodb", action="PutItem", kind="error")
    asks.post(url(act="start"))
    cloud.faults.clear()
    assert state(cloud) == "STOPPED"


# --- Stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_one_that_nobody_is_on_asks_and_stops(cloud, asks, streaming):
    streaming.fleet()
    streaming.application()
    page = asks.get(url(act="stop"))
    assert "Nobody can start anything on it" in text(page)
    assert 'name="name"' not in page.content.decode()
    assert not page_problems(page.content.decode())
    page = asks.post(url(act="stop"), {"in_use": "0"}, follow=True)
    assert "It is being stopped." in text(page)
    assert state(cloud) in ("STOPPING", "STOPPED")
    assert acts(cloud) == [("operator", "stopped the fleet", "streaming.fleet/sample-fleet")]
    assert "It is stopped already." in text(asks.post(url(act="stop"), {"in_use": "0"}, follow=True))


def test_one_that_is_still_being_started_can_be_stopped(cloud, asks, streaming):
    """AppStream leaves a fleet that cannot start STARTING for good."""
    streaming.fleet(running=False)
    streaming.application()
    streaming.pace(fleet_start_seconds=3600)
    cloud.admin("appstream").start_fleet(Name="sample-fleet")
    streaming.settle()
    page = asks.get(url(act="stop"))
    assert "It is still being started. Nobody can start anything on it until it is started again." in text(page)
    assert not page_problems(page.content.decode())
    assert "It is being stopped." in text(asks.post(url(act="stop"), {"in_use": "0"}, follow=True))
    assert state(cloud) in ("STOPPING", "STOPPED")
    assert acts(cloud) == [("operator", "stopped the fleet", "streaming.fleet/sample-fleet")]


def test_stopping_one_with_people_on_it_wants_its_name_typed(cloud, asks, ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    launched(streaming, ask, rider)
    before = len(acts(cloud))
    page = asks.get(url(act="stop"))
    assert "There is 1 session on it, which ends at once. What is not saved there is lost." in text(page)
    assert not page_problems(page.content.decode())
    for name, said in (("", "Type the fleet’s name"), ("another", "That is not sample-fleet.")):
        page = asks.post(url(act="stop"), {"in_use": "1", "name": name})
        assert page.status_code == 422
        assert said in text(page)
        assert not page_problems(page.content.decode())
    assert state(cloud) == "RUNNING"
    assert len(acts(cloud)) == before
    asks.post(url(act="stop"), {"in_use": "1", "name": "sample-fleet"})
    assert state(cloud) in ("STOPPING", "STOPPED")
    assert acts(cloud)[-1] == ("operator", "stopped the fleet", "streaming.fleet/sample-fleet")
    assert in_words(cloud) == [("sessions in use", "1", "")]


def test_somebody_who_comes_while_it_is_asked_about_is_asked_about_too(cloud, asks, ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    asks.get(url(act="stop"))
    launched(streaming, ask, rider)
    page = asks.post(url(act="stop"), {"in_use": "0", "name": "sample-fleet"})
    assert "Somebody has come meanwhile, so it is not stopped yet." in text(page)
    assert state(cloud) == "RUNNING"


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_and_cannot_act(cloud, client_for, auditor, streaming):
    streaming.fleet()
    streaming.application()
    asks = client_for(auditor)
    assert "running" in text(asks.get(LIST))
    page = asks.get(url())
    assert ">Stop<" not in page.content.decode()
    for act in ("start", "stop"):
        assert asks.get(url(act=act)).status_code == 403
        assert asks.post(url(act=act), {"in_use": "0"}).status_code == 403
    assert state(cloud) == "RUNNING"


@pytest.mark.parametrize("path", [LIST, url(), url(act="start"), url(act="stop")])
def test_everybody_else_is_sent_away(client, client_for, rider, path):
    assert client.get(path)["Location"].startswith("/sign-in/")
    assert client_for(rider).get(path).status_code == 403


@pytest.mark.parametrize("path", [LIST, url()])
def test_lists_are_only_read(asks, path):
    assert asks.post(path).status_code == 403
