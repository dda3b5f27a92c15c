"""Sessions that may not last longer: what the schedule ends, and what it leaves alone."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from portal.streaming import appstream, launch
from portal.streaming.rules import user_id
from portal.streaming.tasks import end_overdue
from tests.streaming.conftest import end_after


def audited(cloud):
    return [(one["Action"]["S"], one["ActorName"]["S"]) for one in cloud.items("audit")]


def test_a_session_is_ended_after_its_minutes_and_not_before(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    assert end_after(59) == 0
    assert len(streaming.sessions()) == 1
    assert end_after(61) == 1
    assert streaming.sessions() == []
    assert ("ended the session", "portal") in audited(streaming.cloud)
    assert end_after(120) == 0
    [stored] = streaming.cloud.items("streaming_launches")
    assert not {"Shelf", "LookAt", "MostMinutes"} & stored.keys()


def test_launching_again_does_not_begin_the_minutes_anew(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    [before] = streaming.cloud.items("streaming_launches")
    run(rider)
    [after] = streaming.cloud.items("streaming_launches")
    assert after["LaunchedAt"] != before["LaunchedAt"]
    assert after["LookAt"] == before["LookAt"]


def test_an_application_without_a_limit_does_not_lift_that_of_the_session_that_it_opens_in(run, streaming, rider):
    streaming.fleet()
    streaming.application("studio", MostMinutes=60)
    streaming.application("viewer")
    run(rider, "studio")
    run(rider, "viewer")
    assert end_after(61) == 1


def test_a_session_that_began_after_the_launch_has_its_whole_time(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    [one] = launch.of(user_id(rider.sub))
    # As if they had launched it an hour before, ended it, and now were in a new one.
    before = one.ends_at - timedelta(minutes=59)
    launch.launches.replace(one.model_copy(update={"look_at": before, "ends_at": before}), was=one)
    assert end_after(2) == 0
    [looked] = launch.of(user_id(rider.sub))
    assert looked.look_at > timezone.now() + timedelta(minutes=59)
    assert end_after(61) == 1


def test_what_was_never_opened_is_forgotten(ask, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    assert ask(rider).status_code == 201
    assert end_after(61) == 0
    assert list(launch.due(now=timezone.now() + timedelta(days=9))) == []


def test_without_a_limit_nothing_is_ended_or_looked_at(run, streaming, rider):
    streaming.fleet()
    streaming.application()
    run(rider)
    streaming.cloud.forget_calls()
    assert end_after(60 * 24) == 0
    assert streaming.cloud.calls() == {("dynamodb", "Query"): 1}
    assert len(streaming.sessions()) == 1


def test_one_that_fails_does_not_keep_the_others(run, streaming, rider, author, caplog):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    run(author)
    streaming.cloud.faults.add(service="appstream", action="ExpireSession", kind="error", times=3)
    assert end_after(61) == 1
    assert "was not ended" in caplog.text
    assert len(streaming.sessions()) == 1
    # Not at once, so that it is in nobody's way.
    assert end_after(62) == 0
    assert end_after(61 + 15) == 1
    assert streaming.sessions() == []
    said = [one for one, _ in audited(streaming.cloud) if one != "launched"]
    assert sorted(said) == [
        "ended the session",
        "ended the session",
        "ended the session",
        "ended the session, which may have failed",
    ]


def test_sessions_of_a_fleet_that_is_gone_are_forgotten(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    admin = streaming.cloud.admin("appstream")
    admin.stop_fleet(Name="sample-fleet")
    admin.disassociate_fleet(FleetName="sample-fleet", StackName="sample-stack")
    admin.delete_fleet(Name="sample-fleet")
    admin.delete_stack(Name="sample-stack")
    appstream.forget()
    assert end_after(61) == 0
    assert list(launch.due(now=timezone.now() + timedelta(days=9))) == []


def test_the_schedule_calls_it(run, streaming, rider):
    streaming.fleet()
    streaming.application(MostMinutes=60)
    run(rider)
    [one] = launch.of(user_id(rider.sub))
    past = one.model_copy(update={"look_at": timezone.now() - timedelta(minutes=1)})
    launch.launches.replace(past, was=one)
    context = type("Context", (), {"get_remaining_time_in_millis": lambda self: 300_000})()
    end_overdue({}, context)
    assert len(streaming.sessions()) == 1
    [looked] = launch.of(user_id(rider.sub))
    assert looked.look_at > timezone.now()
