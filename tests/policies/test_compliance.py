"""The charts of compliance, over time and by tag, and the tables that say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.compliance import chart, points
from policies.runs import Kind, State, TagCount, new
from tests.html import page_problems
from tests.policies.test_screens import LIST, NOW, put
from tests.rides.test_admin import text

pytestmark = pytest.mark.usefixtures("sent")


def test_compliance_is_told_over_time_and_by_tag(asks, cloud):
    now = datetime.now(UTC)
    for hours, present in ((3, 50), (2, 75), (1, 90)):
        tags = {"ProjectCode": TagCount(present=present, missing=100 - present), "Team": TagCount(present=10)}
        put(Kind.ENFORCE, now=now - timedelta(hours=hours), tags=tags)
    others = {"ProjectCode": TagCount(missing=100)}
    put(Kind.PREVIEW, tags=others)
    put(Kind.ENFORCE, tags=others, is_partial=True)
    put(Kind.ENFORCE, tags=others, vpc_ids=("vpc-0a1b2c3d",))
    put(Kind.ENFORCE, tags=others, state=State.CANCELLED)
    response = asks.get(f"{LIST}compliance/")
    data = response.context["chart"]
    assert data["all"] == [54.5, 77.3, 90.9]
    assert data["lines"][0] == {"key": "ProjectCode", "percent": [50.0, 75.0, 90.0]}
    assert data["tags"] == [
        {"key": "ProjectCode", "present": 90, "missing": 10},
        {"key": "Team", "present": 10, "missing": 0},
    ]
    shown = text(response)
    assert "90.9 % 100 10" in shown
    assert "ProjectCode 90.0 % 90 10" in shown
    assert "before it changed anything" in shown
    assert "stopped by the cap" not in shown
    put(Kind.ENFORCE, tags=tags, state=State.CAPPED)
    response = asks.get(f"{LIST}compliance/")
    assert response.context["chart"]["capped"] == [False, False, False, True]
    assert "A run that the cap stopped changed nothing" in text(response)
    assert not page_problems(response.content.decode())


def test_without_a_run_compliance_says_how_to_get_one(asks, cloud):
    response = asks.get(f"{LIST}compliance/")
    assert "After the first run of the rules" in text(response)
    assert not page_problems(response.content.decode())


def test_a_tag_that_no_rule_asked_for_then_has_a_gap_in_its_line():
    early = new(Kind.ENFORCE, now=NOW, tags={"Team": TagCount(present=1)}).model_copy(update={"state": State.DONE})
    late = new(Kind.ENFORCE, now=NOW + timedelta(hours=1), tags={"Cost": TagCount(missing=2)})
    late = late.model_copy(update={"state": State.CAPPED})
    drawn = chart(points([late, early]))
    assert drawn["lines"] == [{"key": "Cost", "percent": [None, 0.0]}]
    assert drawn["all"] == [100.0, 0.0]
