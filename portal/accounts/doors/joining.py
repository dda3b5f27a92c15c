"""One person, one account: somebody who comes through the company or another system, and has an account of their own
here, joins the two by proving both.

Nobody is joined by an address alone: it only says whom to ask. docs/decisions/0010-joining-accounts.md has the order of
the steps, and what becomes of either account.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse

from portal import aws
from portal.accounts import identity_pool, people, session
from portal.accounts.doors import federation
from portal.accounts.doors.federation import Account, Identity
from portal.accounts.models import Claims, User
from portal.accounts.refusals import Refused, SignedOut
from portal.dynamo import audit
from portal.dynamo.table import Conflict

# What the session remembers while somebody is asked: where they were going.
JOINING = "joining"
JOINING_SECONDS = 600
# How old a sign-in at the company may be that connects it.
FRESH_SECONDS = 600


class AnotherAddress(Refused):
    sentence = "That account has another e-mail address. Only accounts with the same verified address can be joined."


class ProfileClosed(Refused):
    sentence = "That way in is closed. Ask an operator."


class GroupsOfItsOwn(Refused):
    sentence = "That way in belongs to groups of its own. Ask an operator to move them to your account first."


class NotFresh(Refused):
    sentence = "You signed in there too long ago. Sign out there, then connect again."


@dataclass(frozen=True)
class Visitor:
    """Somebody who came through a door that is not their account's own: who the company, or another system, says they
    are. `person_id` is the sub that they have while they are not joined."""

    person_id: str
    email: str
    is_verified: bool
    # Of those whom the user pool knows from one of its identity providers.
    provider: str = ""
    user_id: str = ""

    @property
    def identity(self) -> Identity | None:
        return Identity(self.provider, self.user_id) if self.provider else None

    @property
    def door(self) -> str:
        """What the door is called, for people."""
        if self.provider:
            return self.provider
        return "your company" if self.person_id.startswith("saml:") else "another system"


def visitor(claims: Claims) -> Visitor | None:
    """Return who claims describe, if they are a visitor and not joined to an account."""
    is_verified = claims.get("email_verified") in (True, "true")
    found = {"person_id": claims["sub"], "email": claims.get("email", ""), "is_verified": is_verified}
    if claims["sub"].startswith(("saml:", "vouched:")):
        return Visitor(**found)
    name = str(claims.get("cognito:username", "")).lower()
    for identity in federation.identities_in(claims):
        if identity.username.lower() == name:
            return Visitor(**found, provider=identity.provider, user_id=identity.user_id)
    return None


# --- Who may be joined ------------------------------------------------------------------------------------------------


def same_address(one: str, other: str) -> bool:
    return bool(one) and one.casefold() == other.casefold()


def may_join(who: Visitor, account: Account, *, was_verified: bool = False) -> bool:
    """Tell whether a visitor may be asked to prove that an account is theirs. `was_verified`: the portal once saw the
    account with this address verified, before the visitor's profile, by having the same one, took that from it."""
    return (
        who.is_verified
        and (account.is_email_verified or was_verified)
        and same_address(who.email, account.email)
        and account.has_password
        and account.sub != who.person_id
    )


def partner(who: Visitor) -> Account | None:
    """Return the account that a visitor may join, or None."""
    if not who.is_verified or not who.email:
        return None
    accounts = [one for one in federation.with_address(who.email) if not one.is_external]
    return next((one for one in accounts if may_join(who, one, was_verified=_was_verified(one))), None)


def _was_verified(account: Account) -> bool:
    """Tell whether the account's address is verified, or was when the portal last saw it. Where addresses are aliases,
    Cognito lets one profile have an address verified, the newest.

    Reference: https://repost.aws/knowledge-center/cognito-email-verified-attribute
    """
    if account.is_email_verified:
        return True
    person = people.find(account.sub)
    return person is not None and same_address(person.verified_address, account.email)


def may_disconnect(*, has_password: bool, others: Iterable[object]) -> bool:
    """Tell whether a way in may go: not the last one."""
    return has_password or any(True for _ in others)


# --- Asking -----------------------------------------------------------------------------------------------------------


def offer(request: HttpRequest, target: str) -> str:
    """Return where somebody who just came in goes on to: the page that asks them to join their account, if they have
    one that they may join and have not declined to, or else their target."""
    user = request.user
    who = visitor(user.claims) if isinstance(user, User) else None
    if who is None:
        return target
    try:
        person = people.find(who.person_id)
        if (person and person.join_declined_at) or (account := partner(who)) is None:
            return target
        if who.identity:
            _may_go(who.identity, account)
    except Refused:
        return target
    except Exception as error:
        if not aws.is_transient(error):
            raise
        # They are in; they can be asked another time.
        return target
    request.session[JOINING] = {"target": target}
    return reverse("accounts:join")


def decline(who: Visitor, *, now: datetime) -> None:
    """Remember not to ask again."""
    people.decline_join(who.person_id, now=now)


# --- Joining ----------------------------------------------------------------------------------------------------------


def begun(who: Visitor, account: Account) -> dict[str, Any]:
    """Return what the session on the server remembers of a proven visitor until they have proven the account, too."""
    return {"visitor": asdict(who), "account": account.sub, "until": time.time() + JOINING_SECONDS}


def finish(request: HttpRequest, state: Mapping[str, Any], target: str) -> str:
    """Join the visitor whom `begun` remembers with the account that was just signed in to, and return where to go on
    to. Whatever goes wrong now, they are signed in, and are told."""
    user = request.user
    if not isinstance(user, User) or user.sub != state["account"] or state["until"] < time.time():
        return target
    try:
        join(Visitor(**state["visitor"]), by=user, id_token=session.id_token(request))
    except Refused as error:
        messages.error(request, str(error))
    except Exception as error:
        if not aws.is_transient(error):
            raise
        messages.error(request, "Your accounts could not be joined just now. Connect them here in a moment.")
    else:
        messages.success(request, f"Your accounts are joined. Both ways lead to this one from now on: {user.username}.")
        return target
    return reverse("accounts:connections")


def join(who: Visitor, *, by: User, id_token: str | None) -> None:
    """Let a visitor's way in lead to the account of `by`, who have proven both. It can be done again after it failed
    half way. Raises LinkedElsewhere, TooManyLinked, ProfileInTheWay, ProfileClosed, GroupsOfItsOwn, IdentityInUse,
    SignedOut."""
    with _audited("connect", who.user_id or who.person_id, door=who.provider, by=by):
        if who.identity:
            _join_profile(who.identity, by=by, address=who.email)
        else:
            _join_person(who.person_id, by=by, id_token=id_token)


def _join_profile(identity: Identity, *, by: User, address: str) -> None:
    account = federation.find(by.username)
    if account is None or account.sub != by.sub:
        raise SignedOut
    if identity not in account.identities:
        _may_go(identity, account)
        # Between the two, the identity leads nowhere: its next sign-in makes a new profile, and asks again.
        federation.delete_profile(identity)
        try:
            federation.link(identity, username=by.username)
        except federation.ProfileInTheWay:
            # They signed in once more in between.
            federation.delete_profile(identity)
            federation.link(identity, username=by.username)
    federation.give_address_back(by.username, address)


def _may_go(identity: Identity, account: Account) -> None:
    """Look, before a profile is deleted, at all that would keep it from being joined for good. Raises TooManyLinked,
    ProfileClosed, GroupsOfItsOwn."""
    if len(account.identities) >= federation.MOST_LINKED:
        raise federation.TooManyLinked
    profile = federation.find(identity.username)
    if profile and not profile.is_enabled:
        raise ProfileClosed
    # They would be gone without a word, and with them perhaps the last operator.
    if profile and federation.has_groups(identity):
        raise GroupsOfItsOwn


def _join_person(person_id: str, *, by: User, id_token: str | None) -> None:
    identity = ""
    # First what may be refused: each of them may have a corner in AWS already, and two are never made one.
    if id_token:
        known = people.find(by.sub)
        identity, _ = identity_pool.vouch(
            person_id, sub=by.sub, identity_id=(known and known.identity_id) or None, id_token=id_token
        )
    try:
        if identity:
            people.remember_identity(by.sub, identity)
        people.link(person_id, sub=by.sub, username=by.username)
    except Exception as error:
        if identity:
            # Nobody who is not joined comes into the account's corner in AWS.
            identity_pool.unlink(person_id, identity_id=identity)
        if isinstance(error, Conflict):
            raise federation.LinkedElsewhere from error
        raise


def disconnect(identity: Identity, *, by: User) -> None:
    """Let an identity of the pool no longer lead to the account of `by`."""
    with _audited("disconnect", identity.user_id, door=identity.provider, by=by):
        federation.unlink(identity)


def disconnect_person(person_id: str, *, by: User) -> None:
    """Let another door's person no longer be `by`. Raises LinkedElsewhere."""
    with _audited("disconnect", person_id, door="", by=by):
        # Or they would still come into the account's corner in AWS.
        if (known := people.find(by.sub)) and known.identity_id:
            identity_pool.unlink(person_id, identity_id=known.identity_id)
        try:
            people.unlink(person_id, sub=by.sub)
        except Conflict as error:
            raise federation.LinkedElsewhere from error


@contextmanager
def _audited(verb: str, name: str, *, door: str, by: User) -> Iterator[None]:
    """Write down what is asked for before it is begun, and that it was done."""
    way = f"{door}: {name}" if door else name
    change = audit.Change(field="Ways to sign in", **({"old": way} if verb == "disconnect" else {"new": way}))

    def write(action: str) -> None:
        audit.record(action, by=by, object=f"accounts.user/{by.sub}", object_name=by.username, changes=[change])

    write(f"asked to {verb} a way to sign in")
    yield
    write(f"{verb}ed a way to sign in")


# --- Connecting from one's own account --------------------------------------------------------------------------------


def proven(claims: Claims, *, to: User, now: datetime | None = None) -> Visitor | None:
    """Return the visitor whom a sign-in at the company just proved, to be connected to somebody's account; None if it
    leads there already. Raises LinkedElsewhere, AnotherAddress, NotFresh, and what `_may_go` does."""
    if claims["sub"] == to.sub:
        return None
    who = visitor(claims)
    if who is None:
        raise federation.LinkedElsewhere
    moment = (now or datetime.now(UTC)).timestamp()
    if moment - int(claims.get("auth_time", 0)) > FRESH_SECONDS:
        raise NotFresh
    account = federation.find(to.username)
    if account is None or not may_join(who, account, was_verified=_was_verified(account)):
        raise AnotherAddress
    if who.identity:
        _may_go(who.identity, account)
    return who
