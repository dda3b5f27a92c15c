"""AppStream: fleets, stacks, sessions, and the URL that starts one.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.streaming.fleet import Fleet, FleetState, Kind, Session, Stack

T = TypeVar("T")
# How long what AppStream told is believed.
FLEET_SECONDS, STACK_SECONDS, TROUBLE_SECONDS = 5, 30, 120
# That find out what AppStream does not tell at once.
MOST_CALLS = 10
PAGE = 50  # sessions; AppStream gives no more at a time
_NOT_THERE = "ResourceNotFoundException"
# The stack or the fleet is not there, or they do not belong together, or the application is not in the image.
_WRONG = frozenset({_NOT_THERE, "InvalidParameterCombinationException"})
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})


class Trouble(StrEnum):
    """Why a fleet or a stack cannot be looked at."""

    MISSING = "missing"
    REFUSED = "refused"  # the portal's role does not reach it
    ODD = "odd"  # AppStream tells of it in a way that this portal does not know
    UNKNOWN = "unknown"  # there was no time to find out


class NotStarted(Exception):
    """AppStream gave no URL, and trying again does not help. `why` is its own name of it."""

    def __init__(self, why: str, *, is_set_up_wrongly: bool) -> None:
        super().__init__("AppStream refused to start it.")
        self.why, self.is_set_up_wrongly = why, is_set_up_wrongly


class NotReached(Exception):
    """The stack or the fleet is not one that the portal's role reaches."""


class Changing(Exception):
    """The fleet is in a state in which it cannot be started or stopped; the sentence says so."""


@dataclass(frozen=True)
class Sessions:
    """Some sessions, and where there are more, the token that fetches the next ones."""

    sessions: list[Session]
    more: str = ""


# --- Fleets and stacks ------------------------------------------------------------------------------------------------


class _Seen(Generic[T]):
    """What AppStream told of names, for some seconds. Several threads may look at once."""

    def __init__(self, describe: Callable[[list[str]], Iterable[tuple[str, T | Trouble]]], seconds: float) -> None:
        self._describe, self._seconds = describe, seconds
        # Never changed, only replaced: what a thread has begun to read stays as it is.
        self._seen: Mapping[str, tuple[float, T | Trouble]] = {}
        # Among which there is one that AppStream refuses, and that was not found yet.
        self._suspects: frozenset[str] = frozenset()

    def known(self, name: str) -> T | Trouble | None:
        """Return what AppStream told of a name, however long ago. No call."""
        return self._seen.get(name, (0, None))[1]

    def of(self, names: Iterable[str]) -> dict[str, T | Trouble]:
        """Return each name's, or the trouble with it. One call, and its further pages, if any of it is not fresh; some
        more on the first look at what is not there."""
        now = time.monotonic()
        found = {name: one for name, (until, one) in self._seen.items() if until > now}
        wanted = set(names)
        if not wanted <= found.keys():
            # All of it that may be there, so that the next page asks once again and not once for each.
            found |= self._ask(sorted(name for name in wanted if not isinstance(found.get(name), Trouble)))
        return {name: found[name] for name in wanted}

    def _ask(self, names: list[str]) -> dict[str, T | Trouble]:
        """Ask for names together. AppStream tells of none where one is not there or not the portal's: it is looked for
        in AppStream's words, or else by halves, one after the other, so that a look finds some of many. Those for
        which there were no calls left are unknown, for this once."""
        found: dict[str, T | Trouble] = {}
        # The last one is asked for first: what is likely to be there, and then where the last look broke off.
        suspects = [name for name in names if name in self._suspects]
        groups = [one for one in (suspects, [name for name in names if name not in self._suspects]) if one]
        calls = 0
        while groups and calls < MOST_CALLS:
            group, calls = groups.pop(), calls + 1
            told: dict[str, T | Trouble]
            try:
                described = dict(self._describe(group))
                told = {name: described.get(name, Trouble.MISSING) for name in group}
            except ClientError as error:
                trouble = _trouble(error)
                if len(group) > 1:
                    groups += _parted(group, error)
                    continue
                told = dict.fromkeys(group, trouble)
            self._keep(told)
            found |= told
        self._suspects = frozenset(name for group in groups for name in group)
        return found | dict.fromkeys(self._suspects, Trouble.UNKNOWN)

    def _keep(self, told: Mapping[str, T | Trouble]) -> None:
        now = time.monotonic()
        # Not all of it becomes due again at the same moment.
        seconds = {
            name: TROUBLE_SECONDS * random.uniform(1, 2) if isinstance(one, Trouble) else self._seconds  # noqa: S311
            for name, one in told.items()
        }
        self._seen = {**self._seen, **{name: (now + seconds[name], one) for name, one in told.items()}}

    def forget(self) -> None:
        self._seen, self._suspects = {}, frozenset()


def _trouble(error: ClientError) -> Trouble:
    """Return what a refusal says of one of the names. Raises it, if it says something else."""
    code = aws.error_code(error)
    if code == _NOT_THERE:
        return Trouble.MISSING
    if code in _REFUSED:
        return Trouble.REFUSED
    raise error


def _parted(names: list[str], error: ClientError) -> list[list[str]]:
    """Part names of which one is refused, so that the last part is the one to look at first: what the refusal seems to
    name is asked for alone, as it may be a word of the sentence."""
    message = error.response.get("Error", {}).get("Message", "")
    named = [one for one in names if re.search(rf"(?<![\w.-]){re.escape(one)}(?![\w-]|\.\w)", message)]
    if len(named) == 1:
        return [[one for one in names if one not in named], named]
    middle = len(names) // 2
    return [names[middle:], names[:middle]]


def _describe_fleets(names: list[str]) -> Iterator[tuple[str, Fleet | Trouble]]:
    for one in _pages("DescribeFleets", "Fleets", Names=names):
        try:
            yield one["Name"], _fleet(one)
        except ValueError:  # a state or a type that is newer than this portal
            yield one["Name"], Trouble.ODD


def _describe_stacks(names: list[str]) -> Iterator[tuple[str, Stack]]:
    for one in _pages("DescribeStacks", "Stacks", Names=names):
        yield one["Name"], Stack(one["Name"], one.get("DisplayName", ""), tuple(one.get("EmbedHostDomains", ())))


def _describe_associations(stacks: list[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for stack in stacks:
        yield stack, frozenset(_pages("ListAssociatedFleets", "Names", StackName=stack))


_fleets = _Seen(_describe_fleets, FLEET_SECONDS)
_stacks = _Seen(_describe_stacks, STACK_SECONDS)
_associated = _Seen(_describe_associations, STACK_SECONDS)


def fleets(names: Iterable[str]) -> dict[str, Fleet | Trouble]:
    """Return the fleets with these names, or the trouble with each: at most one call in five seconds, and its pages."""
    return _fleets.of(names)


def known_fleet(name: str) -> Fleet | None:
    """Return a fleet as AppStream told of it some time ago, if it did. No call."""
    found = _fleets.known(name)
    return found if isinstance(found, Fleet) else None


def stacks(names: Iterable[str]) -> dict[str, Stack | Trouble]:
    """Return the stacks with these names, or the trouble with each: one call in half a minute, and its pages."""
    return _stacks.of(names)


def fleets_of(stack: str) -> frozenset[str] | Trouble:
    """Return the names of the fleets that a stack has, or the trouble with it: at most one call in half a
    minute."""
    return _associated.of([stack])[stack]


def forget() -> None:
    """Forget what AppStream told, so that the next look asks."""
    for seen in (_fleets, _stacks, _associated):
        seen.forget()


def start(fleet: str) -> None:
    """Start a fleet. Raises Changing, and LookupError where it is not there."""
    _move("StartFleet", fleet)


def stop(fleet: str) -> None:
    """Stop a fleet, and with it every session on it. Raises Changing, and LookupError where it is not there."""
    _move("StopFleet", fleet)


def _move(action: str, fleet: str) -> None:
    try:
        aws.client("appstream").call(action, Name=fleet)
    except ClientError as error:
        code = aws.error_code(error)
        if code == _NOT_THERE:
            raise LookupError(fleet) from error
        if aws.is_transient(error) or code in _REFUSED:
            raise
        message = error.response.get("Error", {}).get("Message", "")
        raise Changing(f"AppStream refused: {message or code}") from error
    finally:
        _fleets.forget()


def _fleet(found: Mapping[str, Any]) -> Fleet:
    count = found.get("ComputeCapacityStatus") or {}
    kind = Kind(found.get("FleetType") or Kind.ALWAYS_ON)
    if kind is Kind.ELASTIC:
        most = found.get("MaxConcurrentSessions", 0)
        in_use = count.get("ActiveUserSessions", count.get("InUse", 0))
        free = most - in_use
    elif found.get("MaxSessionsPerInstance", 1) > 1:
        most, in_use = count.get("DesiredUserSessions", 0), count.get("ActiveUserSessions", 0)
        free = count.get("AvailableUserSessions", 0)
    else:
        most, in_use, free = count.get("Desired", 0), count.get("InUse", 0), count.get("Available", 0)
    return Fleet(
        name=found["Name"],
        state=FleetState(found["State"]),
        kind=kind,
        most=most,
        in_use=in_use,
        free=free,
        instance_type=found.get("InstanceType", ""),
        display_name=found.get("DisplayName", ""),
        view=found.get("StreamView", "APP"),
        longest_minutes=found.get("MaxUserDurationInSeconds", 0) // 60,
        errors=tuple(one.get("ErrorMessage") or one.get("ErrorCode", "") for one in found.get("FleetErrors", ())),
    )


# --- Sessions ---------------------------------------------------------------------------------------------------------


@sensitive_variables()
def streaming_url(*, stack: str, fleet: str, user_id: str, application: str = "", context: str = "") -> str:
    """Return a URL that starts a session, or leads back into the one that runs. It works once, for
    settings.STREAMING_URL_SECONDS, for whoever has it. Raises NotStarted."""
    optional = {"ApplicationId": application, "SessionContext": context}
    try:
        answer = aws.client("appstream").call(
            "CreateStreamingURL",
            StackName=stack,
            FleetName=fleet,
            UserId=user_id,
            Validity=settings.STREAMING_URL_SECONDS,
            **{name: value for name, value in optional.items() if value},
        )
    except ClientError as error:
        if aws.is_transient(error):
            raise
        code = aws.error_code(error)
        raise NotStarted(code, is_set_up_wrongly=code in _REFUSED or code in _WRONG) from error
    url: str = answer["StreamingURL"]
    address = urlsplit(url)
    if f"{address.scheme}://{address.netloc}" not in settings.STREAMING_ORIGINS:
        # A browser would not follow a form there.
        why = f"PORTICO_STREAMING_ORIGINS lacks {address.scheme}://{address.netloc}"
        raise NotStarted(why, is_set_up_wrongly=False)
    return url


def sessions(stack: str, fleet: str, *, user_id: str = "", more: str = "") -> Sessions:
    """Return a page of the sessions on a stack and a fleet, or of one person's there: one call. Raises LookupError
    where stack or fleet is not there, or the token is of another list, and NotReached."""
    parameters: dict[str, Any] = {"AuthenticationType": "API"}
    if user_id:
        parameters["UserId"] = user_id
    if more:
        parameters["NextToken"] = more
    try:
        answer = aws.client("appstream").call(
            "DescribeSessions", StackName=stack, FleetName=fleet, Limit=PAGE, **parameters
        )
    except ClientError as error:
        if aws.error_code(error) in (_NOT_THERE, "InvalidParameterCombinationException", "ValidationException"):
            raise LookupError(f"{stack}/{fleet}") from error
        if aws.error_code(error) in _REFUSED:
            raise NotReached(f"{stack}/{fleet}") from error
        raise
    return Sessions([_session(one) for one in answer["Sessions"]], answer.get("NextToken", ""))


def sessions_of(user_id: str, *, stack: str, fleet: str) -> list[Session]:
    """Return one person's sessions on a stack and a fleet: one call, as there is one at most. Raises LookupError where
    stack or fleet is not there, and NotReached."""
    found, more = [], ""
    while True:
        page = sessions(stack, fleet, user_id=user_id, more=more)
        found += page.sessions
        if not (more := page.more):
            return found


def end(session_id: str) -> None:
    """End a session; nothing is done to one that is over."""
    try:
        aws.client("appstream").call("ExpireSession", SessionId=session_id)
    except ClientError as error:
        if aws.error_code(error) != _NOT_THERE:
            raise
    _fleets.forget()


def _session(found: Mapping[str, Any]) -> Session:
    return Session(
        session_id=found["Id"],
        user_id=found["UserId"],
        stack=found["StackName"],
        fleet=found["FleetName"],
        state=found["State"],
        is_connected=found.get("ConnectionState") == "CONNECTED",
        started_at=_moment(found.get("StartTime")) or datetime.now(UTC),
        ends_at=_moment(found.get("MaxExpirationTime")),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _pages(action: str, member: str, **parameters: Any) -> Iterator[Any]:
    more: dict[str, str] = {}
    while True:
        answer = aws.client("appstream").call(action, **parameters, **more)
        yield from answer[member]
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}
