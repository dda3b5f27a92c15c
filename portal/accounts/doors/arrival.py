"""Someone whom a company or another system names, between its word and their own "yes, that is me".

The word comes in a form that another site posts, so it alone must not sign anybody in: whoever sends a browser here
with their own word would have somebody else work in their account. It waits in a signed cookie until the person
continues.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from portal.accounts import people
from portal.accounts.doors import cookies, local_account, once
from portal.accounts.models import Claims
from portal.accounts.refusals import AccountGone, ArrivalExpired, SignedOut

COOKIE = "arrival"
SECONDS = 5 * 60
# What is shown of someone is theirs to choose elsewhere: enough of it for a page, and for a cookie.
_LONGEST = 200


@dataclass(frozen=True)
class Arrival:
    """Who has come, by which door, and where they were going."""

    # "saml:…" or "vouched:…": who they are for good.
    person_id: str
    door: str
    # The company or system that says so.
    origin: str
    claims: Claims
    # When the session will end, in seconds since 1970.
    until: float
    target: str
    # The request of a browser that this answers; empty where the other side began.
    in_response_to: str = ""
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @property
    def seen(self) -> str:
        """What the page says that shows this arrival and no other."""
        return hashlib.sha256(self.nonce.encode()).hexdigest()


def claims(person_id: str, said: Mapping[str, Any], *, origin: str, name: str) -> Claims:
    """Return what is shown of someone: decides nothing, and their name here cannot be that of a local account."""
    found: Claims = {
        key: str(said[key])[:_LONGEST]
        for key in ("email", "given_name", "family_name")
        if isinstance(said.get(key), str) and said[key].isprintable()
    }
    found["email_verified"] = said.get("email_verified") in (True, "true")
    return {"sub": person_id, "cognito:username": f"{origin}_{name}"[:_LONGEST], **found}


def wait(response: HttpResponse, arrival: Arrival) -> None:
    """Let the browser keep an arrival until the person continues, for five minutes at most."""
    cookies.put(response, COOKIE, asdict(arrival), seconds=SECONDS)


def find(request: HttpRequest) -> Arrival | None:
    kept = cookies.find(request, COOKIE, seconds=SECONDS)
    return Arrival(**kept) if kept else None


def forget(response: HttpResponse) -> None:
    cookies.drop(response, COOKIE)


def use(arrival: Arrival, *, now: datetime) -> None:
    """Raises ArrivalExpired where somebody continued already, or the session would be over."""
    if now >= datetime.fromtimestamp(arrival.until, UTC) or not once.use("arrival", arrival.nonce, now=now):
        raise ArrivalExpired("it was used already, or is too late")


def whose(arrival: Arrival) -> Claims:
    """Return the claims of who has come: the account that they are linked to, or what was said of them. Raises
    AccountClosed where that account is disabled; one that is deleted leads nowhere, and they are themselves again."""
    return _claims(arrival.person_id, arrival.claims)


def refreshed(claims: Claims) -> Claims:
    """Return the claims of a session without tokens as they are now. Raises SignedOut where the account is closed, or
    the person is another one now: linked to an account since, or no longer."""
    fresh = _claims(claims["developer_user"], claims)
    if fresh["sub"] != claims["sub"]:
        raise SignedOut
    return fresh


def _claims(person_id: str, said: Claims) -> Claims:
    person = people.find(person_id)
    if person and person.linked_sub:
        with suppress(AccountGone):
            theirs = local_account.claims(person.linked_username, sub=person.linked_sub)
            return {**theirs, "developer_user": person_id}
    if said["sub"] != person_id:
        raise SignedOut
    return {**said, "developer_user": person_id}
