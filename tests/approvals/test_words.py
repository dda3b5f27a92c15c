"""How the pages say times and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.words import ago, counted, how_long, listed

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(minutes=59, seconds=45), "1 hour"),
        (timedelta(hours=3, minutes=20), "3 hours 20 minutes"),
        (timedelta(hours=23, minutes=59, seconds=59), "1 day"),
        (timedelta(hours=44), "1 day 20 hours"),
        (timedelta(hours=47, minutes=57), "2 days"),
        (timedelta(days=6, hours=23, minutes=59), "7 days"),
        (timedelta(days=12, hours=5), "12 days"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most(duration, said):
    assert how_long(duration) == said


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_every_duration_is_said(duration):
    said = how_long(duration)
    assert said
    assert "24 hours" not in said
    assert "60 minutes" not in said
    assert " 0 " not in f" {said} "


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(seconds=-9), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=1, minutes=59), "1 hour ago"),
        (timedelta(days=2, hours=20), "2 days ago"),
    ],
)
def test_when_something_was_is_said_in_one_unit(before, said):
    assert ago(NOW - before, NOW) == said


def test_names_are_listed_and_the_rest_counted():
    assert listed([]) == ""
    assert listed(["Ada"]) == "Ada"
    assert listed(["Ada", "Grace"]) == "Ada and Grace"
    assert listed(["Ada", "Grace", "Mary"]) == "Ada, Grace and Mary"
    assert listed(["Ada", "Grace", "Mary", "Florence"]) == "Ada, Grace, Mary and 1 other"
    assert counted(2, "reply", "replies") == "2 replies"
