"""What may be turned on and off: the rules alone."""

from __future__ import annotations

import itertools

import pytest

from portal.accounts.cognito import SMS, TOTP
from portal.accounts.second_factor import Factors, Policy

BOTH = (TOTP, SMS)
SOME = [(), (TOTP,), (SMS,), BOTH]


@pytest.mark.parametrize(
    ("has", "kind", "offered", "is_required", "may"),
    [
        ((TOTP,), TOTP, BOTH, False, True),
        ((TOTP,), TOTP, BOTH, True, False),
        (BOTH, TOTP, BOTH, True, True),
        # One that the pool no longer knows does not count.
        (BOTH, TOTP, (TOTP,), True, False),
        (BOTH, SMS, (TOTP,), True, True),
        ((SMS,), TOTP, BOTH, False, False),
        ((), TOTP, BOTH, False, False),
        ((TOTP,), TOTP, (), False, True),
    ],
)
def test_last_one_stays_on_where_one_is_needed(
    has: tuple[str, ...], kind: str, offered: tuple[str, ...], is_required: bool, may: bool
) -> None:
    assert Factors(has).may_turn_off(kind, Policy(offered, is_required)) is may


@pytest.mark.parametrize(
    ("has", "preferred", "kind", "then"),
    [
        ((), "", TOTP, TOTP),
        ((TOTP,), TOTP, SMS, TOTP),
        ((TOTP,), TOTP, TOTP, TOTP),
        # Who is asked each time stays asked each time.
        (BOTH, "", SMS, ""),
    ],
)
def test_first_one_is_preferred_and_a_second_one_changes_nothing_about_that(
    has: tuple[str, ...], preferred: str, kind: str, then: str
) -> None:
    assert Factors(has, preferred).with_one(kind).preferred == then


@pytest.mark.parametrize(("has", "kind"), list(itertools.product(SOME, BOTH)))
def test_on_and_off_are_what_they_say(has: tuple[str, ...], kind: str) -> None:
    for preferred in ("", *has):
        on, off = Factors(has, preferred).with_one(kind), Factors(has, preferred).without(kind)
        assert set(on.kinds) == {*has, kind}
        assert set(off.kinds) == {*has} - {kind}
        for factors in (on, off):
            assert factors.preferred in ("", *factors.kinds)
        # With one left there is nothing to choose.
        assert off.preferred or len(off.kinds) != 1
