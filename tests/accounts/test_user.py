"""What a person's groups allow, and who the claims say they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from portal.accounts import rules
from portal.accounts.models import User


@pytest.mark.parametrize(
    ("grant", "permission", "is_allowed"),
    [
        ("all", "rides.change_unicorn", True),
        ("all", "anything.at_all", True),
        ("view", "rides.view_unicorn", True),
        ("view", "audit.view_entry", True),
        ("view", "rides.change_unicorn", False),
        ("view", "rides.add_unicorn", False),
        ("view", "rides.delete_unicorn", False),
        ("view", "rides.preview_unicorn", False),
        ("view", "view_unicorn", False),
        (["rides.change_unicorn"], "rides.change_unicorn", True),
        (["rides.change_unicorn"], "rides.delete_unicorn", False),
        ([], "rides.view_unicorn", False),
        ("rides.change_unicorn", "rides.change_unicorn", False),  # a mistake in the setting opens nothing
        ("", "", False),
    ],
)
def test_grant_allows(grant: Any, permission: str, is_allowed: bool) -> None:
    assert rules.allows(grant, permission) is is_allowed


@pytest.mark.parametrize(
    ("grant", "is_reached"),
    [
        ("all", True),
        ("view", True),
        (["rides.view_ride"], True),
        (["ride.view_ride"], False),
        ([], False),
        ("x", False),
    ],
)
def test_grant_reaches_an_app(grant: Any, is_reached: bool) -> None:
    assert rules.reaches(grant, "rides") is is_reached


@pytest.mark.parametrize(
    ("groups", "is_staff", "is_superuser", "may_change", "may_view"),
    [
        ((), False, False, False, False),
        (("riders",), False, False, False, False),
        (("operators",), True, True, True, True),
        (("auditors",), True, False, False, True),
        (("auditors", "operators"), True, True, True, True),
        (("fleet",), True, False, True, False),
        (("fleet", "auditors"), True, False, True, True),
        (("Operators",), False, False, False, False),
    ],
)
def test_groups_give_staff_status_and_permissions(
    settings: Any, groups: tuple[str, ...], is_staff: bool, is_superuser: bool, may_change: bool, may_view: bool
) -> None:
    settings.GROUP_PERMISSIONS = {"operators": "all", "auditors": "view", "fleet": ["rides.change_unicorn"]}
    user = User.from_claims({"sub": "1", "cognito:groups": list(groups)})
    assert (user.is_staff, user.is_superuser) == (is_staff, is_superuser)
    assert user.has_perm("rides.change_unicorn") is may_change
    assert user.has_perm("rides.view_unicorn") is may_view
    assert user.has_perms(["rides.view_unicorn", "rides.change_unicorn"]) is (may_view and may_change)
    assert user.has_module_perms("rides") is is_staff
    assert user.has_module_perms("audit") is (is_staff and groups != ("fleet",))


def test_claims_say_who_someone_is() -> None:
    user = User.from_claims(
        {"sub": "5c1f", "cognito:username": "ada", "email": "ada@example.com", "given_name": "Ada", "family_name": "L"}
    )
    assert (user.pk, user.get_username(), user.email) == ("5c1f", "ada", "ada@example.com")
    assert (user.get_full_name(), user.get_short_name(), str(user)) == ("Ada L", "Ada", "ada")
    assert user.is_authenticated
    assert user.is_active
    assert not user.is_anonymous


def test_someone_without_a_name_is_called_by_their_user_name() -> None:
    user = User.from_claims({"sub": "5c1f", "cognito:username": "ada"})
    assert (user.get_full_name(), user.get_short_name()) == ("ada", "ada")


def test_two_people_are_the_same_by_sub_alone() -> None:
    before = User.from_claims({"sub": "5c1f", "cognito:username": "ada", "email": "old@example.com"})
    after = User.from_claims({"sub": "5c1f", "cognito:username": "ada", "email": "new@example.com"})
    namesake = User.from_claims({"sub": "77aa", "cognito:username": "ada", "email": "old@example.com"})
    assert before == after != namesake


def test_anonymous_visitor_has_no_permission() -> None:
    assert not AnonymousUser().has_perm("rides.view_ride")
    assert not AnonymousUser().has_module_perms("rides")
