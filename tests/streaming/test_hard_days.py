"""Races, crashes, odd answers and mistakes of operators: what must come out right all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from html import unescape

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from portal import aws_json, middleware
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
    for minutes in (61, 77, 93):
        end_after(minutes)
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
    page = client_for(rider).get("/apps/").content.decode()
    assert "Your sessions" in page
    assert "rejoin-" not in page
    streaming.application()
    assert "rejoin-" in client_for(rider).get("/apps/").content.decode()


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


# --- While AppStream is half down, and just after an end --------------------------------------------------------------


def test_a_session_opened_just_after_the_schedule_ended_the_one_before_is_seen_and_has_its_limit(
    ask, run, streaming, rider
):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    url = ask(rider).json()["Message"]  # Rejoin, a moment before ...
    assert end_after(61) == 1  # ... the schedule ends the session, and then the browser is there.
    assert streaming.open(url).status == 200
    streaming.settle()
    assert len(streaming.sessions()) == 1
    found = offers(user(rider))
    seen = len(found.sessions), len(found.ended)
    ends = end_after(60 * 9)
    assert (seen, ends) == ((1, 0), 1)


def test_a_session_opened_just_after_an_operator_ended_the_one_before_can_be_ended_by_its_owner(
    ask, run, streaming, rider, operator, client_for
):
    streaming.fleet()
    streaming.application()
    run(rider)
    url = ask(rider).json()["Message"]
    [session] = streaming.sessions()
    address = f"/admin/streaming/session/{session['Id']}/end/?on=sample-stack/sample-fleet&of={session['UserId']}"
    assert client_for(operator).post(address, {"reason": "An update"}).status_code == 302
    assert streaming.open(url).status == 200
    streaming.settle()
    page = client_for(rider).post("/apps/studio/end/", follow=True).content.decode()
    assert "over already" not in page
    assert streaming.sessions() == []


def test_one_missing_among_many_is_found_after_some_looks_where_appstream_does_not_name_it():
    names = [f"fleet-{number:02}" for number in range(64)]

    def describe(asked):
        if "fleet-63" in asked:
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "Resource not found."}}, "DescribeFleets"
            )
        return [(one, one) for one in asked]

    seen: appstream._Seen[str] = appstream._Seen(describe, 5)
    for _ in range(20):
        found = seen.of(names)
    assert [one for one in names if found[one] is appstream.Trouble.UNKNOWN] == []


@pytest.fixture
def hurried(monkeypatch):
    """Let a request's time and a call's be a tenth of what they are."""
    monkeypatch.setattr(middleware, "REQUEST_SECONDS", middleware.REQUEST_SECONDS / 10)
    monkeypatch.setattr(aws_json, "READ_SECONDS", aws_json.READ_SECONDS / 10)


def test_an_application_starts_where_appstream_answers_only_the_launch(hurried, streaming, client_for, rider):
    """launching._check: "Where it does not answer, its answer to the launch itself will do." """
    streaming.fleet()
    streaming.application()
    client = client_for(rider)
    client.raise_request_exception = False
    streaming.settle()
    streaming.cloud.faults.add(service="appstream", action="DescribeFleets", kind="delay", delay_seconds=3, times=99)
    began = time.monotonic()
    answer = client.post("/apps/studio/launch/")
    took = (time.monotonic() - began) * 10
    assert answer.status_code == 303, f"{answer.status_code} after {took:.0f} s"


def test_where_appstream_hangs_people_are_told_so(hurried, streaming, client_for, rider):
    streaming.fleet()
    streaming.application()
    client = client_for(rider)
    client.raise_request_exception = False
    streaming.settle()
    for action in ("DescribeFleets", "ListAssociatedFleets", "CreateStreamingURL"):
        streaming.cloud.faults.add(service="appstream", action=action, kind="delay", delay_seconds=3, times=99)
    answer = client.post("/apps/studio/launch/")
    assert answer.status_code == 503
    assert "Nothing was started" in answer.content.decode()


def test_where_sessions_hang_the_page_of_applications_is_shown(hurried, run, streaming, client_for, rider):
    streaming.fleet()
    streaming.application()
    run(rider)
    client = client_for(rider)
    client.raise_request_exception = False
    streaming.settle()
    for action in ("DescribeFleets", "DescribeSessions"):
        streaming.cloud.faults.add(service="appstream", action=action, kind="delay", delay_seconds=3, times=99)
    assert client.get("/apps/").status_code == 200
    streaming.settle()
    answer = client.post("/apps/studio/end/")
    assert "Perhaps the session goes on" in answer.content.decode()


def test_a_session_whose_end_nobody_knows_is_not_said_to_have_failed(run, streaming, client_for, rider):
    """audit.act: "that it failed, or that nobody knows whether it did"."""
    streaming.fleet()
    streaming.application()
    run(rider)
    [one] = streaming.sessions()
    streaming.cloud.faults.add(service="appstream", action="ExpireSession", kind="lost_reply", times=3)
    client_for(rider).post("/apps/studio/end/", {"session": one["Id"]})
    assert streaming.sessions() == []
    said = [entry["Action"]["S"] for entry in streaming.cloud.items("audit")]
    assert "ended the session, which failed" not in said


def test_whose_session_it_was_is_not_told_the_reason_unless_the_form_says_so(
    run, streaming, rider, operator, client_for
):
    streaming.fleet()
    streaming.application()
    run(rider)
    [session] = streaming.sessions()
    address = f"/admin/streaming/session/{session['Id']}/end/?on=sample-stack/sample-fleet&of={session['UserId']}"
    client = client_for(operator)
    form = client.get(address).content.decode()
    client.post(address, {"reason": "Suspected of mining coins"})
    page = client_for(rider).get("/apps/").content.decode()
    # "It is written into the audit log." is all that the operator reads.
    assert "Suspected of mining" not in page or any(word in form for word in ("see", "told", "shown", "reads"))


def test_the_reason_that_an_operator_gave_is_kept_when_the_write_of_it_fails(
    run, streaming, rider, operator, client_for
):
    """The session is ended, and the page says that nobody answered: the next press says "over already"."""
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    [session] = streaming.sessions()
    address = f"/admin/streaming/session/{session['Id']}/end/?on=sample-stack/sample-fleet&of={session['UserId']}"
    client = client_for(operator)
    streaming.cloud.faults.add(service="dynamodb", action="UpdateItem", kind="throttle", times=3)
    page = client.post(address, {"reason": "An update"}, follow=True).content.decode()
    assert streaming.sessions() == []
    assert "A service did not answer" not in page


def test_a_launch_where_sessions_cannot_be_looked_up_is_no_500(run, ask, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    streaming.cloud.faults.add(
        service="appstream", action="DescribeSessions", kind="error", times=9, code="AccessDeniedException"
    )
    assert ask(rider).status_code != 500


def test_an_application_that_is_full_takes_no_more_when_sessions_cannot_be_looked_up(
    ask, run, streaming, rider, author
):
    """AppStream, whose answer to the launch itself is to do, knows nothing of "Sessions at most"."""
    streaming.fleet(instances=5)
    streaming.application(MostSessions=1)
    run(rider)
    assert ask(author).status_code == 409
    streaming.cloud.faults.add(service="appstream", action="DescribeSessions", kind="throttle", times=20)
    assert ask(author).status_code in (409, 503)


def test_who_is_in_comes_back_where_only_sessions_cannot_be_looked_up(ask, run, streaming, rider):
    """An application with a limit, as one without."""
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    streaming.cloud.faults.add(service="appstream", action="DescribeSessions", kind="throttle", times=20)
    assert ask(rider).status_code == 201


def test_the_window_is_not_told_that_a_session_is_over_which_runs_where_the_application_was(
    run, streaming, client_for, rider
):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-other")
    streaming.application()
    run(rider)
    client = client_for(rider)
    assert client.get("/apps/studio/standing/").json() == {"Running": True}
    streaming.application(Stack="sample-other", Fleet="sample-other")
    answer = client.get("/apps/studio/standing/")
    assert len(streaming.sessions()) == 1
    # window.js then takes the frame away and says "Your session has ended".
    assert answer.status_code != 200 or answer.json()["Running"] is not False


def test_a_session_that_was_ended_counts_though_the_write_of_it_fails(run, streaming, rider, caplog):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    streaming.cloud.faults.add(service="dynamodb", action="UpdateItem", kind="throttle", times=3)
    ended = end_after(61) + end_after(61 + 16)
    assert streaming.sessions() == []
    assert "was not ended" not in caplog.text
    assert ended == 1


def test_what_is_told_of_an_end_after_one_minute_is_said_rightly(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=1)
    run(rider)
    assert end_after(2) == 1
    [one] = offers(user(rider)).ended
    assert "1 minutes" not in one.ended_because
