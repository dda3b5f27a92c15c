"""Who may do what to whose account. Pure: grants are those of settings.GROUP_PERMISSIONS, people those of the user
pool."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from portal.accounts.rules import Grant, allows

if TYPE_CHECKING:
    from portal.people.directory import Person

# How far an account has come that its owner can sign in to right now.
_ARRIVED = ("CONFIRMED", "EXTERNAL_PROVIDER")
_IN_WORDS = {
    "CONFIRMED": "active",
    "EXTERNAL_PROVIDER": "company user",
    "FORCE_CHANGE_PASSWORD": "invited",
    "RESET_REQUIRED": "must reset",
    "UNCONFIRMED": "not confirmed",
}


class Act(StrEnum):
    """What can be done to an account, as it is called in addresses."""

    EDIT = "edit"
    GROUPS = "groups"
    INVITE_AGAIN = "invite-again"
    RESET_PASSWORD = "reset-password"  # noqa: S105 - the name of an act
    RESET_FACTOR = "reset-second-factor"
    SIGN_OUT = "sign-out"
    END_AWS = "end-aws-access"
    DISABLE = "disable"
    ENABLE = "enable"


def standing(person: Person) -> str:
    """Return in words what state an account is in."""
    return _IN_WORDS.get(person.status, person.status.lower()) if person.is_enabled else "disabled"


def why_not(act: Act, person: Person) -> str:
    """Return why this cannot be done to an account as it is, or nothing where it can."""
    match act:
        case Act.ENABLE:
            return "This account is enabled already." if person.is_enabled else ""
        case Act.DISABLE:
            return "" if person.is_enabled else "This account is disabled already."
        case Act.INVITE_AGAIN:
            if person.status != "FORCE_CHANGE_PASSWORD":
                return "This person is not waiting for an invitation."
            return "" if person.is_enabled else "Enable the account first."
        case Act.RESET_PASSWORD:
            return _why_not_reset(person)
        case Act.RESET_FACTOR:
            return "" if person.factors else "This person has no second factor."
    return ""


def _why_not_reset(person: Person) -> str:
    if person.is_federated:
        return "They sign in with their company, and have no password here."
    if person.status == "FORCE_CHANGE_PASSWORD":
        return "They have not chosen a password yet. Send the invitation again instead."
    if person.status == "UNCONFIRMED":
        return "They have not confirmed their address yet, so no code can be sent to it."
    if not person.is_enabled:
        return "Enable the account first."
    if not (person.email and person.is_email_verified):
        return "Their e-mail address is not verified, so no code can be sent to it."
    return ""


# --- Rank -------------------------------------------------------------------------------------------------------------


def covers(held: Collection[Grant], grant: Grant) -> bool:
    """Tell whether somebody with the grants that they hold may do all that another grant allows."""
    if "all" in held:
        return True
    if isinstance(grant, list):
        return all(any(allows(one, permission) for one in held) for permission in grant)
    return grant in held


def may_act_on(held: Collection[Grant], theirs: Iterable[Grant | None]) -> bool:
    """Tell whether somebody may change the account of someone with these grants: not of one who may do more. What a
    group without a grant (None) opens is not known here."""
    return all(may_give(held, grant) for grant in theirs)


def may_give(held: Collection[Grant], grant: Grant | None, *, has_role: bool = False) -> bool:
    """Tell whether somebody may put others in a group, and take them out. What a group without a grant, or a group's
    role in AWS, opens is not known here."""
    return "all" in held if grant is None or has_role else covers(held, grant)


# --- The last operator ------------------------------------------------------------------------------------------------


def is_anyone_left(operators: Iterable[Person], *, without: Collection[str]) -> bool:
    """Tell whether one of the operators can still come in when these (their subs) are none any more."""
    return any(one.is_enabled and one.status in _ARRIVED and one.sub not in without for one in operators)
