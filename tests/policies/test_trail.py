"""How CloudTrail is asked: in as few stretches of time as the launches are in, and twice a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import trail

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("hours_ago", "stretches"),
    [
        ([], []),
        ([1], [(1, 1)]),
        ([1, 2, 3], [(3, 1)]),
        ([1, 30], [(1, 1), (30, 30)]),
        ([24 * 91], []),
        ([24 * 91, 1], [(1, 1)]),
        ([5, 100, 101, 200], [(5, 5), (101, 100), (200, 200)]),
    ],
)
def test_launches_near_each_other_are_looked_through_as_one(hours_ago, stretches):
    found = trail.windows([NOW - hours * HOUR for hours in hours_ago], now=NOW)
    expected = [(NOW - first * HOUR - trail.BEFORE, NOW - last * HOUR + trail.AFTER) for first, last in stretches]
    assert [(one.start, one.end) for one in found] == expected


@given(st.lists(st.integers(0, 100 * 24 * 60), max_size=30))
def test_every_launch_that_cloudtrail_keeps_is_in_one_stretch(minutes_ago):
    launched = [NOW - timedelta(minutes=one) for one in minutes_ago]
    windows = trail.windows(launched, now=NOW)
    for at in launched:
        assert sum(one.start <= at <= one.end for one in windows) == (at > NOW - trail.KEPT)
    assert all(later.start > earlier.end for later, earlier in pairwise(windows))
    assert all(one.start >= NOW - trail.KEPT and one.end <= NOW for one in windows)


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


def test_pages_follow_each_other_newest_first(instances, cloud):
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
