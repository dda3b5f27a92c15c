"""What an operator looks for, as the one filter that the user pool takes at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 100  # characters that are searched for; Cognito takes a filter of 256

# What can be searched, and how it is called. Only the beginning of it has to be typed.
ATTRIBUTES = {
    "username": "user name",
    "email": "e-mail address",
    "given_name": "given name",
    "family_name": "family name",
    "sub": "sub",
}
# What somebody's account can be. Cognito keeps two things apart: whether it is enabled, and how far it has come.
STANDINGS = {
    "confirmed": ("Confirmed", 'cognito:user_status = "CONFIRMED"'),
    "invited": ("Invited", 'cognito:user_status = "FORCE_CHANGE_PASSWORD"'),
    "unconfirmed": ("Not confirmed", 'cognito:user_status = "UNCONFIRMED"'),
    "reset": ("Must reset", 'cognito:user_status = "RESET_REQUIRED"'),
    "company": ("Company", 'cognito:user_status = "EXTERNAL_PROVIDER"'),
    "disabled": ("Disabled", 'status = "Disabled"'),
}
_SUB = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{4}[0-9a-f-]{0,23}")


@dataclass(frozen=True)
class Query:
    """One question to the user pool: by a filter, or the members of a group, or everybody.

    Reference: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
    """

    heading: str = "Everybody"
    filter: str = ""
    group: str = ""
    attribute: str = ""  # that was searched


def asked(parameters: Mapping[str, str]) -> Query:
    """Return the query of a page's address: ?q= with in=, or ?group=, or ?is=, or everybody."""
    if text := parameters.get("q", "").strip():
        return for_text(text, parameters.get("in", ""))
    if group := parameters.get("group", "")[:128]:
        return for_group(group)
    return for_standing(parameters.get("is", "")) or Query()


def for_text(text: str, attribute: str = "") -> Query:
    """Ask for those whose attribute begins with a text. Where no attribute is said, the text's looks decide."""
    text = text.strip()[:LONGEST]
    if attribute not in ATTRIBUTES:
        attribute = guess(text)
    if attribute == "family_name" and " " in text:
        text = text.split()[-1]
    return Query(
        f"{ATTRIBUTES[attribute].capitalize()} begins with “{text}”",
        filter=f"{attribute} ^= {quoted(text)}",
        attribute=attribute,
    )


def guess(text: str) -> str:
    """Return the attribute that somebody means who typed this."""
    if "@" in text:
        return "email"
    if _SUB.fullmatch(text):
        return "sub"
    return "family_name" if " " in text.strip() else "username"


def for_standing(name: str) -> Query | None:
    if name not in STANDINGS:
        return None
    heading, filter_ = STANDINGS[name]
    return Query(heading, filter=filter_)


def for_group(name: str) -> Query:
    return Query(f"In the group {name}", group=name)


def quoted(text: str) -> str:
    """Write a text as a value in a filter, so that it cannot end before its end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
