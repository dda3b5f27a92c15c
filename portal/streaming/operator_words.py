"""What the operators' pages say of applications and fleets, and of what AWS would not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.conf import settings

from portal import aws
from portal.streaming import appstream
from portal.streaming.appstream import Trouble
from portal.streaming.fleet import Fleet, FleetState, Kind
from portal.streaming.models import Application
from portal.streaming.rules import EVERYBODY

T = TypeVar("T")
STATES = {
    FleetState.STARTING: "being started",
    FleetState.RUNNING: "running",
    FleetState.STOPPING: "being stopped",
    FleetState.STOPPED: "stopped",
}
TROUBLES = {
    Trouble.MISSING: "not there",
    Trouble.REFUSED: "out of reach",
    Trouble.ODD: "unknown",
    Trouble.UNKNOWN: "unknown",
}
KINDS = {Kind.ALWAYS_ON: "always on", Kind.ON_DEMAND: "on demand", Kind.ELASTIC: "elastic"}
MEANINGS = {
    Kind.ALWAYS_ON: "its instances run, and cost, for as long as it does",
    Kind.ON_DEMAND: "an instance starts when somebody comes, and costs a small fee until then",
    Kind.ELASTIC: "AWS lends an instance to each session, and only sessions cost",
}
COSTS = {
    Kind.ALWAYS_ON: "From then on, each of its instances costs money until it is stopped, whether anybody is there or"
    " not.",
    Kind.ON_DEMAND: "From then on, each of its instances costs a small fee until it is stopped, and the full price"
    " while somebody is there.",
    Kind.ELASTIC: "Each session costs money for as long as it lasts.",
}
NO_ANSWER = "AppStream did not answer. Look again in a moment."


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def who(application: Application) -> str:
    """Say whose an application is."""
    names = application.group_names
    return "everybody" if EVERYBODY in names else ", ".join(names) or "nobody"


def limits(application: Application) -> str:
    found = []
    if application.most_minutes:
        found.append(counted(application.most_minutes, "minute"))
    if application.most_sessions:
        found.append(counted(application.most_sessions, "session"))
    return ", ".join(found) or "the fleet’s"


def arn(kind: str, name: str) -> str:
    """Return the ARN of a stack or a fleet of the portal's account."""
    _, partition, *_ = settings.PERSON_ROLE_ARN.split(":")
    account = settings.PERSON_ROLE_ARN.split(":")[4]
    return f"arn:{partition}:appstream:{settings.AWS_REGION}:{account}:{kind}/{name}"


def why_out_of_sight(kind: str, name: str, trouble: Trouble) -> str:
    """Say why nothing can be seen of a stack or a fleet, and what to do."""
    if trouble is Trouble.MISSING:
        where = f"AppStream has no {kind} {name} in {settings.AWS_REGION}."
        return f"{where} Make it there, or correct its name in the catalogue."
    if trouble is Trouble.ODD:
        return f"AppStream tells of this {kind} in a way that this portal does not know. Look at it in AWS."
    if trouble is Trouble.UNKNOWN:
        return "There was no time to find out how it stands. Look again in a moment."
    return (
        f"The portal may not reach the {kind} {name}. If it is there, add {arn(kind, name)} to the template’s parameter"
        " MoreStreamingArns."
    )


def or_why(read: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """Return what AppStream tells; or `otherwise`, and in words why it does not tell."""
    try:
        return read(), ""
    except appstream.NotReached as error:
        stack, _, fleet = str(error).partition("/")
        said = f"The portal may not reach the stack {stack} and the fleet {fleet}. If they are there, add"
        return otherwise, f"{said} {arn('stack', stack)} and {arn('fleet', fleet)} to MoreStreamingArns."
    except Exception as error:
        if aws.is_transient(error):
            return otherwise, NO_ANSWER
        if why := aws.refused(error):
            return otherwise, f"{why} If the portal’s role may not do this, add ARNs to MoreStreamingArns."
        raise


@dataclass(frozen=True)
class SeenFleet:
    """A fleet as AppStream tells of it, or why it does not, and what the catalogue has on it."""

    name: str
    found: Fleet | Trouble | None  # None: AppStream was not heard
    applications: tuple[Application, ...] = ()

    @property
    def fleet(self) -> Fleet | None:
        return self.found if isinstance(self.found, Fleet) else None

    @property
    def state(self) -> str:
        if isinstance(self.found, Fleet):
            return "does not start" if self.does_not_start else STATES[self.found.state]
        return TROUBLES[self.found] if self.found else "unknown"

    @property
    def colour(self) -> str:
        if self.fleet:
            return "good" if self._is(FleetState.RUNNING) else "warm" if self.does_not_start else ""
        return "warm" if self.found and self.found is not Trouble.UNKNOWN else ""

    @property
    def sentence(self) -> str:
        return f"{self.name} does not start." if self.does_not_start else f"{self.name} is {self.state}."

    @property
    def trouble(self) -> str:
        return why_out_of_sight("fleet", self.name, self.found) if isinstance(self.found, Trouble) else ""

    @property
    def kind(self) -> str:
        return KINDS[self.fleet.kind] if self.fleet else ""

    @property
    def meaning(self) -> str:
        return MEANINGS[self.fleet.kind] if self.fleet else ""

    @property
    def room(self) -> str:
        return room(self.fleet) if self.fleet else ""

    @property
    def stacks(self) -> list[str]:
        return sorted({one.stack for one in self.applications})

    @property
    def is_changing(self) -> bool:
        return self._is(FleetState.STARTING, FleetState.STOPPING)

    @property
    def does_not_start(self) -> bool:
        return self.fleet is not None and does_not_start(self.fleet)

    @property
    def may_start(self) -> bool:
        return self._is(FleetState.STOPPED)

    @property
    def may_stop(self) -> bool:
        return self._is(FleetState.RUNNING, FleetState.STARTING)

    def _is(self, *states: FleetState) -> bool:
        return isinstance(self.found, Fleet) and self.found.state in states


def does_not_start(fleet: Fleet) -> bool:
    """Tell whether a fleet may never start: AppStream tries for good, and says what is in the way."""
    return fleet.state is FleetState.STARTING and bool(fleet.errors)


def room(fleet: Fleet) -> str:
    """Say how many sessions a fleet has, and has room for."""
    if fleet.state in (FleetState.STOPPED, FleetState.STOPPING) or does_not_start(fleet):
        return f"for {counted(fleet.most, 'session')} once it runs"
    said = [f"{fleet.in_use} of {fleet.most} in use", f"{max(0, fleet.free)} free"]
    if fleet.coming:
        said.append(f"{fleet.coming} being prepared")
    return ", ".join(said)


def seen_fleets(applications: Iterable[Application], *, only: str = "") -> tuple[list[SeenFleet], str]:
    """Return the fleets that the catalogue names and the template's, or only one of them, by name; and in words what
    AppStream would not tell. One call, and its further pages."""
    on: dict[str, list[Application]] = {settings.STREAMING_FLEET: []} if settings.STREAMING_FLEET else {}
    for one in applications:
        if one.fleet:
            on.setdefault(one.fleet, []).append(one)
    if only:
        on = {name: on[name] for name in (only,) if name in on}
    nothing: dict[str, Fleet | Trouble] = {}
    found, problem = or_why(lambda: appstream.fleets(on), nothing) if on else (nothing, "")
    return [SeenFleet(name, found.get(name), tuple(on[name])) for name in sorted(on)], problem
