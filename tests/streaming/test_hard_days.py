"""Races, crashes, odd answers and mistakes of operators: what must come out right all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from html import unescape

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from portal.streaming import appstream, launch
from portal.streaming.offers import offers
from portal.streaming.rules import State, user_id
from tests.approvals.conftest import user
from tests.streaming.conftest import end_after


def pretend(monkeypatch, action, change):
    """Let AppStream's answers to an action be otherwise, as a newer or an odd AppStream would give them."""
    client = type(appstream.aws.client("appstream"))
    real = client._call

    def call(self, asked, parameters):
        answer = real(self, asked, parameters)
        if asked == action:
            change(answer)
        return answer

    monkeypatch.setattr(client, "_call", call)


# --- Limits in minutes ------------------------------------------------------------------------------------------------


def test_a_limit_of_a_session_that_was_ended_is_not_that_of_the_next_one(run, streaming, rider, client_for):
    streaming.fleet()
    streaming.application("quick", MostMinutes=30)
    streaming.application("long", MostMinutes=480)
    run(rider, "quick")
    [one] = streaming.sessions()
    assert client_for(rider).post("/apps/quick/end/", {"session": one["Id"]}).status_code == 302
    run(rider, "long")
    # The session that runs began with "long", which may last eight hours: it is ended after half an hour.
    assert end_after(31) == 0
    assert len(streaming.sessions()) == 1


def test_a_short_limit_holds_after_a_session_with_a_long_one(run, streaming, rider, client_for):
    streaming.fleet()
    streaming.application("quick", MostMinutes=30)
    streaming.application("long", MostMinutes=7200)
    run(rider, "long")
    [one] = streaming.sessions()
    assert client_for(rider).post("/apps/long/end/", {"session": one["Id"]}).status_code == 302
    run(rider, "quick")
    assert end_after(60) == 1


def test_a_look_between_the_launch_and_its_opening_does_not_lift_the_limit(ask, run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    # They launched an hour ago, and are done. Now they launch again...
    url = ask(rider).json()["Message"]
    [one] = launch.of(user_id(rider.sub))
    launch.launches.replace(one.model_copy(update={"look_at": timezone.now() - timedelta(seconds=1)}), was=one)
    # ... the schedule looks, just before their browser opens the URL ...
    assert end_after(0) == 0
    assert streaming.open(url).status == 200
    # ... and the session has no limit any more.
    assert end_after(61) == 1


def test_what_is_shown_as_the_end_of_a_session_is_not_in_the_past(run, streaming, rider, client_for):
    streaming.fleet()
    streaming.application("free")
    streaming.application("quick", MostMinutes=30)
    run(rider, "free")
    streaming.pace(elapse_seconds=3 * 60 * 60)
    # Into the session that began without a limit three hours ago.
    run(rider, "quick")
    [one] = offers(user(rider)).sessions
    assert one.own.until >= timezone.now() + timedelta(minutes=29)


# --- The schedule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["sample-stack/sample-fleet", "elsewhere/elsewhere"])
def test_a_hundred_that_are_due_do_not_keep_the_others(run, streaming, rider, place):
    """Those elsewhere are out of reach, as after an ARN is taken out of MoreStreamingArns."""
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    past = timezone.now() - timedelta(minutes=5)
    for number in range(101):
        gone = launch.Launch(
            user_id=user_id(f"gone-{number}"), place=place, sub=f"gone-{number}", username="gone", name="Gone",
            application_id="gone", title="Gone", launched_at=past, expires_at=int(past.timestamp()) + 9999,
        )  # fmt: skip
        launch.note(gone.limited(1), has_session=lambda: False)
    assert end_after(61) == 1


def test_the_log_does_not_say_again_and_again_that_a_session_ended_that_did_not(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    streaming.cloud.faults.add(
        service="appstream", action="ExpireSession", kind="error", times=99, code="AccessDeniedException"
    )
    for _ in range(3):
        end_after(61)
    assert len(streaming.sessions()) == 1
    said = [one["Action"]["S"] for one in streaming.cloud.items("audit")]
    assert "ended the session" not in said or any("failed" in one for one in said)
    assert said.count("ended the session") <= 1


# --- AppStream's odd answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "value"),
    [("State", "HIBERNATED"), ("FleetType", "ON_DEMAND_PLUS"), ("FleetErrors", None), ("MaxSessionsPerInstance", None)],
)
def test_one_odd_fleet_does_not_take_the_page_from_everybody(streaming, client_for, rider, monkeypatch, member, value):
    streaming.fleet()
    streaming.fleet("sample-odd", stack="sample-odd")
    streaming.application()
    streaming.application("odd", Fleet="sample-odd", Stack="sample-odd")

    def make_odd(answer):
        for one in answer["Fleets"]:
            if one["Name"] == "sample-odd":
                one[member] = value

    pretend(monkeypatch, "DescribeFleets", make_odd)
    client = client_for(rider)
    client.raise_request_exception = False
    assert client.get("/apps/").status_code == 200


# --- What threads share -----------------------------------------------------------------------------------------------


def test_what_one_thread_forgets_does_not_break_another_that_looks():
    seen: appstream._Seen[str] = appstream._Seen(lambda names: ((one, one) for one in names), 5)
    failed, done = [], threading.Event()

    def look():
        try:
            while not done.is_set():
                seen.of(["a", "b", "c"])
        except Exception as error:
            failed.append(repr(error))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        for _ in range(200_000):
            seen.forget()
            if failed:
                break
    finally:
        done.set()
        for one in threads:
            one.join()
    assert not failed


def test_a_forgetting_between_the_look_and_the_answer_is_harmless():
    """The same, without luck: an operator starts a fleet in another thread while AppStream answers."""
    seen: appstream._Seen[str]
    fleets = ["a", "b"]

    def describe(names):
        seen.forget()
        return ((one, one) for one in names)

    seen = appstream._Seen(describe, 5)
    seen._seen["a"] = (float("inf"), "a")
    seen._ask = lambda names: {one: one for one in names if one != "a" or seen.forget()}
    assert seen.of(fleets) == {"a": "a", "b": "b"}


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_many_fleets_out_of_reach_cost_a_page_of_calls(streaming, cloud, rider):
    """As on the day on which MoreStreamingArns is emptied, or a region's fleets are made anew under other names."""
    for number in range(40):
        streaming.application(f"app-{number}", Fleet=f"gone-{number}")
    streaming.settle()
    offers(user(rider))
    assert cloud.calls().get(("appstream", "DescribeFleets"), 0) <= 10


def test_a_fleet_that_is_called_like_a_word_of_a_refusal_is_not_taken_for_what_is_refused(streaming, rider):
    for name in ("sample-fleet", "fleet", "resource"):
        if name.startswith("sample"):
            streaming.fleet(name)
        streaming.application(name, Fleet=name)
    streaming.settle()
    states = {one.application.pk: one.state for one in offers(user(rider)).tiles}
    assert states == {"sample-fleet": State.READY, "fleet": State.BROKEN, "resource": State.BROKEN}


def test_what_was_found_out_before_a_failure_is_kept(streaming, cloud, rider):
    """Else a catalogue with many that are not there is never looked through, and everybody's page says so for good."""
    for number in range(16):
        streaming.application(f"app-{number}", Fleet=f"gone-{number}")
    streaming.settle()
    cloud.faults.add(service="appstream", action="DescribeFleets", kind="throttle", times=3, skip=5)
    assert offers(user(rider)).problems
    assert sum(isinstance(one, appstream.Trouble) for _, one in appstream._fleets._seen.values()) >= 2
    for _ in range(4):
        found = offers(user(rider))
    assert {one.state for one in found.tiles} == {State.BROKEN}


# --- Ending and rejoining what the catalogue has changed under --------------------------------------------------------


@pytest.mark.parametrize("change", [{"Enabled": False}, {"Stack": "sample-other", "Fleet": "sample-other"}])
def test_the_window_does_not_say_over_of_what_runs(run, streaming, client_for, rider, change):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-other")
    streaming.application()
    run(rider)
    streaming.application(**change)
    answer = client_for(rider).post("/apps/studio/end/", follow=True)
    page = unescape(answer.content.decode())
    assert "over already" not in page or not streaming.sessions()


def test_rejoin_leads_into_the_session_beside_which_it_stands(run, streaming, client_for, rider):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-other")
    streaming.application()
    run(rider)
    streaming.application(Stack="sample-other", Fleet="sample-other")
    client = client_for(rider)
    page = client.get("/apps/").content.decode()
    if "rejoin-" in page:
        answer = client.post("/apps/studio/launch/")
        assert streaming.open(answer["Location"]).status == 200
        assert streaming.sessions("sample-other", "sample-other") == []


def test_one_place_that_does_not_answer_hides_no_other_session(run, streaming, client_for, rider):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-other")
    streaming.application()
    streaming.application("other", Stack="sample-other", Fleet="sample-other")
    run(rider, "studio")
    run(rider, "other")
    streaming.cloud.faults.add(service="appstream", action="DescribeSessions", kind="throttle", times=3)
    assert len(offers(user(rider)).sessions) == 1


# --- The API ----------------------------------------------------------------------------------------------------------


def test_a_name_that_several_have_is_not_guessed(ask, streaming, rider):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-other")
    streaming.application("a-desktop", Application="Desktop")
    streaming.application(
        "b-desktop", Application="Desktop", Stack="sample-other", Fleet="sample-other", IsDefault=True
    )
    answer = ask(rider, Application="Desktop")
    if answer.status_code == 201:
        [launched] = launch.of(user_id(rider.sub))
        assert launched.application_id == "b-desktop"
    else:
        assert answer.status_code == 400


def test_an_id_of_others_does_not_hide_what_appstream_calls_ones_own(ask, streaming, rider):
    streaming.fleet()
    streaming.application("notepad", Groups="auditors")
    streaming.application("editor", Application="notepad")
    assert ask(rider, Application="notepad").status_code == 201


def test_two_launches_at_once_are_no_error_of_the_portal(ask, streaming, rider, monkeypatch):
    """Two tabs write the same item. What is left of the conflict after three tries passes, and is no 500."""
    streaming.fleet()
    streaming.application()
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }

    def conflict(self, **parameters):
        raise ClientError(answer, "TransactWriteItems")

    monkeypatch.setattr(type(appstream.aws.client("dynamodb")), "transact_write_items", conflict)
    assert ask(rider).status_code == 503


def test_what_the_caller_got_wrong_is_not_said_to_be_the_operators_mistake(ask, streaming, rider, monkeypatch):
    streaming.fleet()
    streaming.application()
    streaming.cloud.faults.add(
        service="appstream", action="CreateStreamingURL", kind="error", times=1, code="ValidationException"
    )
    answer = ask(rider, SessionContext="something that AppStream does not take")
    assert "set up wrongly" not in answer.json()["Error"]


# --- What people are told ---------------------------------------------------------------------------------------------


def test_whoever_fills_a_fleet_may_try_to_come_back_when_sessions_cannot_be_looked_up(run, streaming, rider, author):
    streaming.fleet(instances=1)
    streaming.application()
    run(rider)
    streaming.cloud.faults.add(service="appstream", action="DescribeSessions", kind="error", times=20)
    [theirs], [others] = offers(user(rider)).tiles, offers(user(author)).tiles
    assert (theirs.state, theirs.may_launch) == (State.UNKNOWN, True)
    assert (others.state, others.may_launch) == (State.FULL, False)


def test_a_session_that_the_portal_ended_is_told_of_until_the_next_one(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    assert end_after(61) == 1
    [one] = offers(user(rider)).ended
    assert (one.title, one.ended_because) == ("Studio", "after the 60 minutes that it may last")
    run(rider)
    assert offers(user(rider)).ended == []


def test_a_session_that_an_operator_ended_is_told_of_with_the_reason(run, streaming, rider, operator, client_for):
    streaming.fleet()
    streaming.application()
    run(rider)
    [session] = streaming.sessions()
    address = f"/admin/streaming/session/{session['Id']}/end/?on=sample-stack/sample-fleet&of={session['UserId']}"
    assert client_for(operator).post(address, {"reason": "The <licence> is needed"}).status_code == 302
    assert streaming.sessions() == []
    page = client_for(rider).get("/apps/").content.decode()
    assert "Studio was ended" in page
    assert "by an operator: The &lt;licence&gt; is needed" in page


@pytest.mark.parametrize(("seconds", "is_one"), [("4", False), ("5", True), ("60", True), ("61", False)])
def test_a_url_that_works_too_long_or_too_short_is_no_setting(seconds, is_one):
    program = "import portal.settings as one; print(one.STREAMING_URL_SECONDS)"
    environment = {**os.environ, "PORTICO_STREAMING_URL_SECONDS": seconds}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is is_one
    assert is_one or "PORTICO_STREAMING_URL_SECONDS must be from 5 to 60." in done.stderr
