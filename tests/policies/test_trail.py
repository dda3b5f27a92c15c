"""How CloudTrail is asked: in as few stretches of time as the launches are in, and twice a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import lookup, trail

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("hours_ago", "before", "window"),
    [
        ([], 0, None),
        ([1], 0, (1, 1)),
        ([1, 2, 30], 0, (30, 1)),
        ([1, 2, 30], 1.5, (30, 2)),
        ([1, 2, 30], 2, (30, 2)),
        ([1, 2], 3, None),
        ([24 * 91], 0, None),
        ([24 * 91, 1], 0, (1, 1)),
    ],
)
def test_the_stretch_of_time_in_which_launches_are(hours_ago, before, window):
    asked = trail.next_window([NOW - one * HOUR for one in hours_ago], before=NOW - before * HOUR, now=NOW)
    if window is None:
        assert asked is None
    else:
        first, last = window
        end = min(NOW - last * HOUR + trail.AFTER, NOW - before * HOUR)
        assert asked == trail.Window(NOW - first * HOUR - trail.BEFORE, end)


class FakeTrail:
    """A CloudTrail of so many launches, at these seconds before now, that counts how often it is asked."""

    def __init__(self, seconds_ago: list[int]) -> None:
        moments = sorted((NOW - timedelta(seconds=one), f"i-{n:08x}") for n, one in enumerate(seconds_ago))
        self.launches = moments[::-1]
        self.calls = 0

    def pages(self, region: str, window: trail.Window) -> Iterator[trail.Page]:
        found = [(at, one) for at, one in self.launches if window.start <= at <= window.end]
        for start in range(0, max(len(found), 1), 50):
            self.calls += 1
            page = found[start : start + 50]
            is_last = start + 50 >= len(found)
            yield trail.Page([event(at, one) for at, one in page], window.start if is_last else page[-1][0])
            if is_last:
                return


def event(at: datetime, instance_id: str) -> dict[str, Any]:
    answer = {"instancesSet": {"items": [{"instanceId": instance_id}]}}
    detail = {"eventName": "RunInstances", "userIdentity": {"type": "Root"}, "responseElements": answer}
    return {"EventTime": at, "CloudTrailEvent": json.dumps(detail)}


@given(st.lists(st.integers(0, 90 * 24 * 3600 - 3600), max_size=300), st.data())
@settings(deadline=None)
def test_every_launch_is_found_in_no_more_calls_than_the_events_fill(seconds_ago, data):
    fake = FakeTrail(seconds_ago)
    wanted = {one: at for at, one in fake.launches if data.draw(st.booleans())}
    answers, progress = lookup._Answers(), SimpleNamespace(run=SimpleNamespace(started_at=NOW), check=lambda: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup.trail, "launches", fake.pages)
        lookup._look_up_in("eu-west-1", wanted, {}, {}, answers, progress)
    assert set(answers.found) == set(wanted)
    assert fake.calls <= -(-len(fake.launches) // 50)


def test_it_asks_twice_a_second_in_each_region(monkeypatch):
    clock, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(trail, "_turns", {})
    monkeypatch.setattr(trail.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(trail.time, "sleep", sleep)
    for _ in range(4):
        trail._wait_for_turn("eu-west-1")
    trail._wait_for_turn("us-east-1")
    assert slept == [0.0, 0.5, 0.5, 0.5, 0.0]


def test_pages_follow_each_other_newest_first(instances, cloud, monkeypatch):
    # Sooner, and CloudTrail would refuse a call, which is then made once more.
    monkeypatch.setattr(trail, "_SECONDS_BETWEEN_CALLS", 0.6)
    now = datetime.now(UTC)
    ids = [instances.launch({"Name": str(n)}, at=now - timedelta(minutes=n))[0] for n in range(1, 61)]
    window = trail.Window(now - 2 * HOUR, now)
    pages = list(trail.launches("eu-west-1", window))
    events = [event for page in pages for event in page.events]
    assert len(pages[0].events) == 50
    assert cloud.calls()["cloudtrail", "LookupEvents"] == len(pages)
    times = [event["EventTime"] for event in events]
    assert times == sorted(times, reverse=True)
    named = {resource["ResourceName"] for event in events for resource in event["Resources"]}
    assert set(ids) <= named


def test_what_fails_is_one_error(instances, cloud):
    cloud.faults.add(service="cloudtrail", action="LookupEvents", kind="error")
    with pytest.raises(trail.Unavailable):
        list(trail.launches("eu-west-1", trail.Window(NOW - HOUR, NOW)))
