"""The rules of streaming, without AWS: who is who, whose is what, and how an application stands."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.streaming.fleet import Fleet, FleetState, Kind, Session
from portal.streaming.launch import Launch
from portal.streaming.rules import Standing, State, is_entitled, mine, standing, user_id

# As AppStream has it.
USER_ID = re.compile(r"[\w+=,.@-]{2,32}", re.ASCII)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

names = st.one_of(
    st.uuids().map(str),
    st.emails(),
    st.text(min_size=1, max_size=300),
    st.text("abc", min_size=200, max_size=200),
    st.characters().map(lambda one: one * 200),
)


@given(names)
@example("")
@example("\ud800")
@example("Zoë")
def test_every_name_has_a_user_id_that_appstream_takes(sub):
    assert USER_ID.fullmatch(user_id(sub))
    assert user_id(sub) == user_id(sub)


@given(st.sets(names, min_size=2, max_size=50))
def test_different_names_have_different_user_ids(subs):
    assert len({user_id(sub) for sub in subs}) == len(subs)


@given(names, st.text(min_size=1, max_size=5))
def test_names_that_differ_after_their_32nd_character_have_different_user_ids(start, end):
    long = start.ljust(40, "x")
    assert user_id(long) != user_id(long + end)


def test_names_that_look_the_same_have_different_user_ids():
    composed, taken_apart = (unicodedata.normalize(form, "Zoë@example.com") for form in ("NFC", "NFD"))
    assert user_id(composed) != user_id(taken_apart)
    assert user_id("Ada") != user_id("ada")


def test_user_ids_have_one_case_so_that_no_system_that_folds_it_takes_two_for_one():
    assert user_id("ada") == user_id("ada").lower()
    assert len(user_id("ada")) == 32


@pytest.mark.parametrize(
    ("groups", "of", "is_theirs"),
    [
        ([], [], False),
        (["designers"], [], False),
        ([], ["designers"], False),
        (["designers"], ["designers"], True),
        (["writers", "designers"], ["designers", "editors"], True),
        (["writers"], ["designers", "editors"], False),
        ([], ["*"], True),
        (["*"], ["designers"], False),
        (["Designers"], ["designers"], False),
    ],
)
def test_whose_an_application_is(groups, of, is_theirs):
    assert is_entitled(groups, of=of) is is_theirs


def fleet(state="RUNNING", kind="ALWAYS_ON", most=2, in_use=0, free=2):
    return Fleet("fleet", FleetState(state), Kind(kind), most, in_use, free)


@pytest.mark.parametrize(
    ("of", "most_sessions", "stands"),
    [
        (None, 0, Standing(State.BROKEN)),
        (fleet("STOPPED", free=0), 0, Standing(State.STOPPED)),
        (fleet("STOPPING", free=0), 0, Standing(State.STOPPED)),
        (fleet("STARTING", free=0), 0, Standing(State.STARTING, 15)),
        (fleet("STARTING", free=1), 0, Standing(State.STARTING, 15)),
        (fleet(), 0, Standing(State.READY)),
        (fleet(in_use=1, free=1), 0, Standing(State.READY)),
        (fleet(kind="ON_DEMAND"), 0, Standing(State.SOON, 2)),
        (fleet(kind="ELASTIC"), 0, Standing(State.SOON, 2)),
        (fleet(in_use=2, free=0), 0, Standing(State.FULL)),
        (fleet(kind="ON_DEMAND", in_use=2, free=0), 0, Standing(State.FULL)),
        (fleet(most=0, free=0), 0, Standing(State.FULL)),
        # Its second instance is still being prepared.
        (fleet(in_use=1, free=0), 0, Standing(State.STARTING, 15)),
        (fleet(in_use=1, free=1), 1, Standing(State.FULL)),
        (fleet(in_use=1, free=1), 2, Standing(State.READY)),
        (fleet(in_use=3, free=-1), 0, Standing(State.FULL)),
    ],
)
def test_how_an_application_stands(of, most_sessions, stands):
    assert standing(of, most_sessions=most_sessions) == stands


@pytest.mark.parametrize("state", State)
def test_what_can_be_launched(state):
    assert Standing(state).may_launch is (state in ("running", "ready", "soon"))


def session(state="ACTIVE", *, minutes=0, ends=600):
    began = NOON + timedelta(minutes=minutes)
    return Session("id", "user", "stack", "fleet", state, True, began, began + timedelta(minutes=ends))


def test_the_session_to_come_back_to_is_the_latest_that_is_not_over():
    old, new, over = session(), session("PENDING", minutes=5), session("EXPIRED", minutes=9)
    assert mine([old, new, over]) is new
    assert mine([over]) is None
    assert mine([]) is None


@pytest.mark.parametrize(
    ("limit", "began", "lasts_until"),
    [
        (None, 0, 600),
        (60, 0, 60),
        (900, 0, 600),
        # One that began later than the launch has its whole time; one that ran already has as much as from the launch.
        (60, 1, 61),
        (60, -180, 60),
    ],
)
def test_a_session_lasts_as_long_as_the_fleet_and_the_portal_let_it(limit, began, lasts_until):
    launched = Launch(
        user_id="ada", place="stack/fleet", sub="ada", username="ada", name="Ada", application_id="studio",
        title="Studio", launched_at=NOON, expires_at=0,
    ).limited(limit)  # fmt: skip
    ends = 600 - began
    assert launched.until(session(minutes=began, ends=ends)) == NOON + timedelta(minutes=lasts_until)


def test_a_fleet_that_cannot_start_is_not_said_to_come():
    """AppStream leaves it STARTING, and says why: https://github.com/hashicorp/terraform-provider-aws/issues/20994"""
    failing = replace(fleet("STARTING", free=0), errors=("The subnet has no free address.",))
    assert standing(failing) == Standing(State.FAILING)
    half = replace(fleet(in_use=1, free=0), errors=("The subnet has no free address.",))
    assert standing(half) == Standing(State.FULL)
