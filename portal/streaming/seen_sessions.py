"""Sessions as operators see them: AppStream's, with the launches that led to them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from portal import aws
from portal.people import directory, search
from portal.streaming import appstream, launch, models, operator_words, rules
from portal.streaming.fleet import Session
from portal.streaming.launch import Launch

LONGEST_TOKEN = 4_096
MOST_PEOPLE = 5  # whose sessions a search looks for
_USER_ID = re.compile(r"[a-z2-7]{32}")  # as rules.user_id makes them


@dataclass(frozen=True)
class Seen:
    """A session, and the launch that led to it, where the portal knows of one."""

    session: Session
    launch: Launch | None

    @property
    def until(self) -> datetime | None:
        return self.launch.until(self.session) if self.launch else self.session.ends_at

    @property
    def owner(self) -> str:
        if not self.launch:
            return f"not known: UserId {self.session.user_id}"
        return self.launch.name or self.launch.username

    @property
    def standing(self) -> str:
        if self.session.state == "PENDING":
            return "being started"
        return "connected" if self.session.is_connected else "not connected"


@dataclass(frozen=True)
class Found:
    """What a list shows."""

    heading: str
    sessions: tuple[Seen, ...] = ()
    empty: str = "Nobody has a session here."
    problem: str = ""
    more: str = ""


def places() -> list[str]:
    """Return the stacks and fleets that the catalogue names, and the template's: one Scan."""
    found = {one.place for one in models.applications() if one.stack and one.fleet}
    if settings.STREAMING_STACK and settings.STREAMING_FLEET:
        found.add(launch.place(settings.STREAMING_STACK, settings.STREAMING_FLEET))
    return sorted(found)


def on(place: str, more: str) -> Found:
    """Return a page of the sessions on a stack and a fleet: two calls. Raises LookupError."""
    if len(more) > LONGEST_TOKEN:
        raise LookupError
    stack, _, fleet = place.partition("/")
    page, problem = operator_words.or_why(lambda: appstream.sessions(stack, fleet, more=more), appstream.Sessions([]))
    live = [one for one in page.sessions if not one.is_over]
    launches = launch.of_many({one.user_id for one in live}, stack=stack, fleet=fleet) if live else {}
    seen = tuple(Seen(one, launches.get(one.user_id)) for one in live)
    return Found(spelt(place), seen, problem=problem, more=page.more)


def of_person(text: str) -> Found:
    """Return the sessions of those whom a text names: a user name, an e-mail address or a sub, or the beginning of one;
    or AppStream's UserId."""
    # As a sub first: not everybody who comes in is in the user pool.
    launches = launch.of(text if _USER_ID.fullmatch(text) else rules.user_id(text))
    if launches:
        return _of_launches(f"Of {launches[0].name or launches[0].username}", launches)
    try:
        known = directory.known_as(text)
        people = [known] if known else directory.page(search.for_text(text), limit=MOST_PEOPLE).people
    except Exception as error:
        if not aws.is_transient(error):
            raise
        return Found(f"“{text}”", problem="The user pool did not answer. Look again in a moment.")
    if not people:
        return Found(f"“{text}”", empty=f"Nobody is known as “{text}”.")
    found = [one for person in people for one in launch.of(rules.user_id(person.sub))]
    names = ", ".join(person.name or person.username for person in people)
    return _of_launches(f"Of {names}", found)


def _of_launches(heading: str, launches: Iterable[Launch]) -> Found:
    seen: list[Seen] = []
    problems: list[str] = []
    for one in launches:
        try:
            page, problem = operator_words.or_why(
                lambda one=one: appstream.sessions(one.stack, one.fleet, user_id=one.user_id),  # type: ignore[misc]
                appstream.Sessions([]),
            )
        except LookupError:  # the stack or the fleet is gone, and its sessions with it
            continue
        problems.append(problem)
        seen += [Seen(session, one) for session in page.sessions if not session.is_over]
        if problem == operator_words.NO_ANSWER:  # each further one would have to be waited for as well
            break
    return Found(heading, tuple(seen), "No session runs.", next(filter(None, problems), ""))


def spelt(place: str) -> str:
    return place.replace("/", " / ")


def listed(session_id: str, place: str, user_id: str) -> tuple[Seen | None, str]:
    """Return a session that AppStream lists now, None if it lists none of this id, and in words what went wrong."""
    stack, _, fleet = place.partition("/")
    if not (2 <= len(user_id) <= 128) or len(place) > 203:
        return None, ""
    known = launch.of_many([user_id], stack=stack, fleet=fleet).get(user_id)
    if known is None and place not in places():
        return None, ""
    try:
        page, problem = operator_words.or_why(
            lambda: appstream.sessions(stack, fleet, user_id=user_id), appstream.Sessions([])
        )
    except LookupError:
        return None, ""
    live = (one for one in page.sessions if one.session_id == session_id and not one.is_over)
    session = next(live, None)
    return (Seen(session, known) if session else None), problem
