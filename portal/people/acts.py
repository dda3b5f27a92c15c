"""What operators do to accounts. Each act is in the audit log before it is done: none is ever missing there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from portal import aws
from portal.accounts import cognito, revocation, session
from portal.accounts.refusals import Refused
from portal.dynamo import audit
from portal.people import directory, membership, operators
from portal.people.directory import Person

# As they are called on the pages and in the audit log.
FIELDS = {"given_name": "Given name", "family_name": "Family name", "email": "E-mail address", "manager": "Manager"}
FACTORS = {cognito.TOTP: "authenticator app", cognito.SMS: "text messages"}

log = logging.getLogger(__name__)


def audit_name(sub: str) -> str:
    """Return a person's name in the audit log."""
    return f"accounts.user/{sub}"


def invite(
    username: str,
    *,
    email: str,
    given_name: str,
    family_name: str,
    groups: Iterable[str],
    by: audit.Actor,
    now: datetime,
) -> tuple[Person, list[str]]:
    """Create an account, mail the invitation and put the person in groups. Return them, and the groups to which they
    could not be added: Cognito failed in passing, or the group is gone. Raises UsernameTaken, AddressTaken …"""
    # Who it is for good, only Cognito's answer says, and an answer can be lost.
    asked = f"accounts.invitation/{username}"
    audit.record("asked to invite", by=by, object=asked, object_name=username)
    person = directory.invite(username, email=email, given_name=given_name, family_name=family_name)
    changes = [audit.Change(field="E-mail address", new=email)]
    audit.record("invited", by=by, object=audit_name(person.sub), object_name=person.username, changes=changes)
    missing = []
    for name in groups:
        try:
            was_added = _passing(partial(change_groups, person, add=[name], by=by, now=now))
        except Refused:
            # They are invited: showing the form again would say that their name is taken.
            was_added = False
        if not was_added:
            missing.append(name)
    return person, missing


def invite_again(person: Person, *, by: audit.Actor) -> None:
    """Raises AlreadyIn, Gone, EmailRefused."""
    with _written_down("invited again", person, by):
        directory.invite_again(person.username)


def edit(person: Person, changed: Mapping[str, str], *, by: audit.Actor) -> None:
    """Change some of given_name, family_name, email and manager. Raises AddressTaken, Gone, InputRefused."""
    changes = [
        audit.Change(field=FIELDS[name], old=getattr(person, name), new=value) for name, value in changed.items()
    ]
    with _written_down(audit.CHANGED, person, by, changes):
        directory.change(person.username, changed)


def change_groups(
    person: Person,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    by: audit.Actor,
    now: datetime,
) -> None:
    """Put somebody in groups and take them out of others. Raises LastOperator, NoSuchGroup, Gone."""
    add, remove = sorted(add), sorted(remove)
    if operators.are_operators(remove):
        have = membership.of(person.username)
        stay = operators.are_operators({*have, *add} - {*remove})
        if person.is_enabled and operators.are_operators(have) and not stay:
            operators.let_go(person.sub, now=now)
    for name in remove:
        with _written_down("took out of a group", person, by, [audit.Change(field="Group", old=name)]):
            membership.remove(person.username, name)
    for name in add:
        with _written_down("put in a group", person, by, [audit.Change(field="Group", new=name)]):
            membership.add(person.username, name)
    if operators.are_operators(add):
        operators.keep(person.sub)


def enable(person: Person, *, by: audit.Actor) -> None:
    """Raises Gone."""
    with _written_down("enabled", person, by, [audit.Change(field="Account", old="disabled", new="enabled")]):
        directory.enable(person.username)
    operators.keep(person.sub)


def disable(person: Person, *, by: audit.Actor, clock: Callable[[], datetime]) -> list[str]:
    """Let somebody in no more, end their sessions and their access to AWS. Return what was done and when, in sentences.
    Raises LastOperator, Gone. Where only the disabling succeeded, a sentence says what is left to do."""
    if person.is_enabled and operators.are_operators(membership.of(person.username)):
        operators.let_go(person.sub, now=clock())
    with _written_down("disabled", person, by, [audit.Change(field="Account", old="enabled", new="disabled")]):
        directory.disable(person.username)
    done = [f"Disabled at {_said(clock())}."]
    done += _or_say(
        "Their sessions could not be ended yet. Sign them out everywhere in a few minutes.",
        lambda: _end_sessions(person, by=by, clock=clock),
    )
    done += _or_say(
        "Their access to AWS could not be ended yet. End it in a few minutes.",
        lambda: end_aws_access(person, by=by),
    )
    return done


def sign_out(person: Person, *, by: audit.Actor, clock: Callable[[], datetime]) -> list[str]:
    """End somebody's sessions and revoke their tokens. Return what was done and when, in sentences."""
    return _end_sessions(person, by=by, clock=clock)


def end_aws_access(person: Person, *, by: audit.Actor) -> list[str]:
    """Refuse somebody's AWS sessions. It takes some seconds, in which it is watched. Return what was seen and when, in
    a sentence."""
    ended = revocation.end(person.sub, person.username, by=by)
    if ended.effective_at is None:
        return [f"AWS was told at {_said(ended.asked_at)} to refuse their keys. It takes effect within a minute."]
    return [f"AWS has refused their keys since {_said(ended.effective_at)}."]


def reset_password(person: Person, *, by: audit.Actor) -> None:
    """Raises CannotReset, TooManyAttempts, Gone."""
    with _written_down("reset the password", person, by):
        directory.reset_password(person.username)


def reset_factor(person: Person, *, by: audit.Actor) -> None:
    """Raises Gone."""
    old = ", ".join(FACTORS[kind] for kind in person.factors)
    with _written_down(
        "reset the second factor", person, by, [audit.Change(field="Second factor", old=old, new="off")]
    ):
        directory.remove_factors(person)


# --- How --------------------------------------------------------------------------------------------------------------


@contextmanager
def _written_down(action: str, person: Person, by: audit.Actor, changes: Iterable[audit.Change] = ()) -> Iterator[None]:
    """Write an act down, do it, and write down as well where it failed or nobody knows whether it did."""
    about = {"by": by, "object": audit_name(person.sub), "object_name": person.username}
    audit.record(action, **about, changes=changes)  # type: ignore[arg-type]
    try:
        yield
    except Exception:  # whatever it was, the log says that the act failed, and it is raised on
        _passing(lambda: audit.record(f"{action}, which failed", **about))  # type: ignore[arg-type]
        raise


def _end_sessions(person: Person, *, by: audit.Actor, clock: Callable[[], datetime]) -> list[str]:
    with _written_down("signed out everywhere", person, by):
        are_revoked = cognito.sign_out_everywhere(person.username)
        ended = session.end_all(person.sub, now=clock())
    where = f"out of {ended} browser{'' if ended == 1 else 's'}" if ended else "out; no browser was signed in"
    if not are_revoked:
        return [f"Signed {where} at {_said(clock())}, but Cognito did not answer. Try again in a few minutes."]
    return [f"Signed {where} at {_said(clock())}."]


def _or_say(failure: str, step: Callable[[], list[str]]) -> list[str]:
    """Return what a step that follows another says, or that it failed in passing: the other stays done."""
    done: list[str] = []
    return done if _passing(lambda: done.extend(step())) else [failure]


def _passing(step: Callable[[], None]) -> bool:
    """Do something and tell whether it was done. False: it failed for a reason that passes."""
    try:
        step()
    except Exception as error:
        if not aws.is_transient(error):
            raise
        log.warning("A step of an operator's act was left out (%s).", type(error).__name__)
        return False
    return True


def _said(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
