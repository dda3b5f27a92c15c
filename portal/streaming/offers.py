"""What somebody is offered: a tile for each application that they may see, and the sessions that they have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from portal import aws
from portal.accounts.models import User
from portal.streaming import appstream, launching, models, own
from portal.streaming.appstream import Trouble
from portal.streaming.fleet import Fleet
from portal.streaming.launch import Launch
from portal.streaming.models import Application
from portal.streaming.own import Own
from portal.streaming.rules import Standing, State

NO_FLEETS = "AppStream did not answer, so this page cannot say what can be started. You can try all the same."
NO_SESSIONS = "Not all of your sessions could be looked up. What runs goes on: reload this page in a moment."
_LAUNCHABLE = (State.RUNNING, State.READY, State.SOON, State.UNKNOWN)
# A session goes on, and can be come back to, while its fleet takes nobody else.
_TAKES_BACK = (State.READY, State.SOON, State.STARTING, State.FULL, State.UNKNOWN)


@dataclass(frozen=True)
class Tile:
    """An application as one person sees it: how it stands, and their session on its stack and fleet."""

    application: Application
    standing: Standing
    own: Own | None = None

    @property
    def state(self) -> State:
        return self.standing.state

    @property
    def is_in_session_of_another(self) -> bool:
        """Whether it opens in a session that another application of the same stack and fleet began."""
        return self.own is not None and self.state is not State.RUNNING

    @property
    def may_launch(self) -> bool:
        return self.state in _LAUNCHABLE

    @property
    def button(self) -> str:
        match self.state:
            case State.RUNNING:
                return "Rejoin"
            case State.UNKNOWN:
                return "Try to start"
        return "Open" if self.is_in_session_of_another else "Start"

    @property
    def tag(self) -> str:
        """How it stands, in a word or three."""
        if self.is_in_session_of_another:
            return "Ready"
        return {
            State.RUNNING: "Running",
            State.READY: "Ready",
            State.SOON: "Available",
            State.STARTING: "Being started",
            State.FULL: "Full",
            State.STOPPED: "Stopped",
            State.NOT_FOR_YOU: "Not for you",
            State.FAILING: "Out of order",
            State.BROKEN: "Set up wrongly",
            State.UNKNOWN: "Unknown",
        }[self.state]

    @property
    def colour(self) -> str:
        if self.state in (State.RUNNING, State.READY, State.SOON):
            return "good"
        return "warm" if self.state in (State.FULL, State.FAILING, State.BROKEN) else ""

    @property
    def words(self) -> str:
        """What to expect of a click, or what to do instead. A session of one's own is told of by its times."""
        if self.is_in_session_of_another:
            return "Opens in your running session."
        match self.state:
            case State.RUNNING:
                return ""
            case State.READY:
                return "Starts at once."
            case State.SOON:
                return f"Starts in about {self.standing.minutes} minutes."
            case State.NOT_FOR_YOU:
                return launching.not_for_you(self.application)
            case State.UNKNOWN:
                return "AppStream did not answer. You can try it."
        return launching.why_not(self.application, self.standing)

    @property
    def initial(self) -> str:
        """The letter of an application that has no picture."""
        return next((one for one in self.application.title if one.isalnum()), "·").upper()

    @property
    def hue(self) -> int:
        """Which of the quiet colours its letter has: always the same one."""
        return int(hashlib.sha256(self.application.application_id.encode()).hexdigest(), 16) % 4

    @property
    def place_in_list(self) -> tuple[int, str, str]:
        """What runs comes first, then what can be started, then the rest."""
        rank = 0 if self.state is State.RUNNING else 1 if self.may_launch else 2
        return rank, self.application.title.casefold(), self.application.application_id


@dataclass(frozen=True)
class Mine:
    """A session of the person who looks, and the application that it was begun with, if they may still start that."""

    own: Own
    application: Application | None = None

    @property
    def title(self) -> str:
        return str(self.application) if self.application else self.own.launch.title

    @property
    def is_pending(self) -> bool:
        return self.own.session.state == "PENDING"

    @property
    def connection(self) -> str:
        if self.is_pending:
            return "being prepared"
        return "connected" if self.own.session.is_connected else "not connected"


@dataclass(frozen=True)
class Offers:
    """All that the page of applications shows to somebody; `problems` are sentences about what could not be asked."""

    tiles: list[Tile]
    sessions: list[Mine]
    ended: list[Launch]
    problems: list[str]

    @property
    def is_changing(self) -> bool:
        """Whether something will be otherwise in a moment or some minutes, without anybody's doing."""
        starting = any(one.state in (State.STARTING, State.FULL, State.UNKNOWN) for one in self.tiles)
        return bool(starting or self.problems or any(one.is_pending for one in self.sessions))

    @property
    def mark(self) -> str:
        """What is another where anything is that the page shows of states and sessions."""
        shown = [
            *([one.application.pk, one.tag, one.words, one.button] for one in self.tiles),
            *(
                [one.own.session.session_id, one.title, one.connection, str(one.own.until), bool(one.application)]
                for one in self.sessions
            ),
            *([one.title, str(one.ended_at)] for one in self.ended),
            *self.problems,
        ]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def offers(user: User) -> Offers:
    """Return what a person is offered: one Scan, one Query, one DescribeFleets, and one DescribeSessions for each stack
    and fleet on which they launched something lately. Where AppStream does not answer, it is said."""
    problems = []
    seen = [one for one in models.applications() if one.is_seen_by(user.groups)]
    theirs = {one.application_id: one for one in seen if one.is_for(user.groups)}
    fleets = _fleets(one.fleet for one in theirs.values())
    if fleets is None:
        problems.append(NO_FLEETS)
    sessions = own.sessions(user)
    if sessions.failure:
        problems.append(NO_SESSIONS)
    by_place = {one.launch.place: one for one in sessions.found}
    tiles = [
        _tile(one, fleets, by_place.get(one.place), is_unknown=one.place in sessions.unknown)
        if one.application_id in theirs
        else Tile(one, Standing(State.NOT_FOR_YOU))
        for one in seen
    ]
    return Offers(
        tiles=sorted(tiles, key=lambda one: one.place_in_list),
        sessions=[Mine(one, _still(one, theirs)) for one in sessions.found],
        ended=sessions.ended,
        problems=problems,
    )


def _tile(
    application: Application, fleets: Mapping[str, Fleet | Trouble] | None, mine: Own | None, *, is_unknown: bool
) -> Tile:
    standing = Standing(State.UNKNOWN)
    if fleets is not None:
        standing = launching.standing_on(fleets[application.fleet], application)
    # It may be their own session that takes the place.
    if is_unknown and standing.state in (State.FULL, State.STARTING):
        standing = Standing(State.UNKNOWN)
    if mine is None or standing.state not in _TAKES_BACK:
        return Tile(application, standing)
    is_its_own = mine.launch.application_id == application.application_id
    return Tile(application, Standing(State.RUNNING if is_its_own else State.READY), mine)


def _fleets(names: Iterable[str]) -> Mapping[str, Fleet | Trouble] | None:
    try:
        return appstream.fleets(names)
    except Exception as error:
        if not aws.is_transient(error):
            raise
        return None


def _still(one: Own, theirs: Mapping[str, Application]) -> Application | None:
    """Return the application that a session began with, if starting it leads back into that session."""
    found = theirs.get(one.launch.application_id)
    return found if found and found.place == one.launch.place else None
