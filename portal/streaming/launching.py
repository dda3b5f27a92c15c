"""Starting an application as somebody: whether they may, a streaming URL, and what is written down about it."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import datetime, timedelta

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.accounts.models import User
from portal.aws_json import time_of_its_own
from portal.dynamo import audit
from portal.streaming import appstream, launch, models, rules
from portal.streaming.appstream import Trouble
from portal.streaming.fleet import Fleet
from portal.streaming.launch import Launch
from portal.streaming.models import Application
from portal.streaming.rules import Standing, State

LONGEST_CONTEXT = 1000  # characters that AppStream takes
# For what is good to know before a launch.
CHECK_SECONDS = 5
log = logging.getLogger(__name__)


class NotThere(LookupError):
    """There is no such application, or nobody should know; the sentence is for people."""


class NotForYou(Exception):
    """The application is of none of the person's groups; the sentence says what to do."""


class Unnamed(ValueError):
    """The person has several applications, and none was named; the sentence names them."""


class CannotStart(Exception):
    """It cannot be started now; the sentence says why and what to do."""

    def __init__(self, application: Application, standing: Standing) -> None:
        super().__init__(why_not(application, standing))
        self.standing = standing


def find(application_id: str, *, by: User) -> Application:
    """Return an application that a person may start: one GetItem. Raises NotThere and NotForYou."""
    return _theirs(models.application(application_id), by=by)


def chosen(name: str, *, by: User) -> Application:
    """Return the application that a call of the API names, by its id or as AppStream calls it, or else any: the only
    one that the caller may start, or the default one. One call, or two. Raises NotThere, NotForYou and Unnamed."""
    found = models.application(name) if name else None
    if found and found.is_for(by.groups):
        return found
    theirs = [one for one in models.applications() if one.enabled and one.is_for(by.groups)]
    if name:
        theirs = [one for one in theirs if one.application == name]
    if len(theirs) > 1:
        theirs = [one for one in theirs if one.is_default] or theirs
    if not theirs:
        if name:
            return _theirs(found, by=by)  # which says why not
        raise NotForYou("No application is for you: you are in none of their groups. Ask an operator.")
    if len(theirs) > 1:
        raise Unnamed(f"Application: name one of {', '.join(one.application_id for one in theirs)}.")
    return theirs[0]


def _theirs(found: Application | None, *, by: User) -> Application:
    if found is None or not found.is_seen_by(by.groups):
        raise NotThere("There is no such application.")
    if not found.is_for(by.groups):
        raise NotForYou(not_for_you(found))
    return found


@sensitive_variables()
def launch_url(application: Application, *, by: User, now: datetime, context: str = "") -> str:
    """Return a streaming URL for a person who may start the application. The launch is written down before they have
    it; the URL never is. Raises CannotStart."""
    user_id = rules.user_id(by.sub)
    _check(application, user_id)
    try:
        url = appstream.streaming_url(
            stack=application.stack,
            fleet=application.fleet,
            user_id=user_id,
            application=application.application or "",
            context=context,
        )
    except appstream.NotStarted as error:
        log.warning("%s (%s) was not started: %s", application.pk, application.place, error.why)
        # What AppStream said a moment ago may be over.
        appstream.forget()
        raise CannotStart(application, _standing_after(error, application)) from error
    _write_down(application, user_id, by=by, now=now)
    return url


def standing_of(application: Application) -> Standing:
    """Return how an application stands for somebody who has no session: one call, if its fleet was not looked at just
    now."""
    return standing_on(appstream.fleets([application.fleet])[application.fleet], application)


def standing_on(fleet: Fleet | Trouble, application: Application) -> Standing:
    """Return how an application stands whose fleet is this one, or has this trouble."""
    if fleet in (Trouble.ODD, Trouble.UNKNOWN):
        return Standing(State.UNKNOWN)
    found = fleet if isinstance(fleet, Fleet) else None
    return rules.standing(found, most_sessions=application.most_sessions or 0)


def _standing_after(error: appstream.NotStarted, application: Application) -> Standing:
    """Return how an application stands that AppStream has just refused to start."""
    with aws.suppress_transient():
        standing = standing_of(application)
        if not standing.may_launch:
            return standing
    return Standing(State.BROKEN if error.is_set_up_wrongly else State.UNKNOWN)


def _check(application: Application, user_id: str) -> None:
    """Raises CannotStart where AppStream says so. Where it does not answer, or not soon, its answer to the launch
    itself will do; but of an operator's limit it knows nothing."""
    with nullcontext() if application.most_sessions else aws.suppress_transient(), time_of_its_own(CHECK_SECONDS):
        fleets = appstream.fleets_of(application.stack)
        if isinstance(fleets, Trouble) or application.fleet not in fleets:
            raise CannotStart(application, Standing(State.BROKEN))
        standing = standing_of(application)
        if standing.may_launch or standing.state is State.UNKNOWN:
            return
        # Whoever is in already may come back, however full it is.
        if standing.state in (State.FULL, State.STARTING) and _has_session(application, user_id):
            return
        raise CannotStart(application, standing)


def _has_session(application: Application, user_id: str) -> bool:
    try:
        found = appstream.sessions_of(user_id, stack=application.stack, fleet=application.fleet)
    except (LookupError, appstream.NotReached):
        return False
    return rules.mine(found) is not None


def _may_have_session(application: Application, user_id: str) -> bool:
    """Tell whether somebody has a session, or nobody knows."""
    with aws.suppress_transient(), time_of_its_own(CHECK_SECONDS):
        return _has_session(application, user_id)
    return True


def _write_down(application: Application, user_id: str, *, by: User, now: datetime) -> None:
    launched = Launch(
        user_id=user_id,
        place=application.place,
        sub=by.sub,
        username=by.username,
        name=by.get_full_name(),
        application_id=application.application_id,
        title=application.title,
        launched_at=now,
        expires_at=int((now + _longest(application)).timestamp()),
    )
    entry = audit.entry(
        "launched",
        by=by,
        object=audit_name(application.application_id),
        object_name=application.title,
        changes=[audit.Change(field="stack and fleet", new=application.place)],
        now=now,
    )
    launch.note(
        launched.limited(application.most_minutes or None),
        has_session=lambda: _may_have_session(application, user_id),
        together_with=[audit.putting(entry)],
    )


def _longest(application: Application) -> timedelta:
    """Return for how long the session may run that begins now, and then some time for its end."""
    fleet = appstream.known_fleet(application.fleet)
    minutes = fleet.longest_minutes if fleet else 0
    return (timedelta(minutes=minutes) if minutes else launch.LONGEST) + timedelta(hours=1)


def audit_name(application_id: str) -> str:
    return f"streaming.application/{application_id}"


def opens_in_frame(application: Application) -> bool:
    """Tell whether the application opens in a page of the portal: an operator wants it, and its stack lets it. One
    call, if the stack was not looked at just now."""
    if application.opens != Application.FRAME:
        return False
    with aws.suppress_transient(), time_of_its_own(CHECK_SECONDS):
        stack = appstream.stacks([application.stack])[application.stack]
        return not isinstance(stack, Trouble) and settings.STREAMING_EMBED_DOMAIN in stack.embed_domains
    return False  # the whole tab always works


def why_not(application: Application, standing: Standing) -> str:
    """Say why an application cannot be started, and what to do."""
    match standing.state:
        case State.STARTING:
            return f"{application} is being started. Try again in about {standing.minutes} minutes."
        case State.FULL:
            return f"{application} is full: everybody who fits in is in. Try again when somebody has left."
        case State.STOPPED:
            return f"{application} is stopped. Ask an operator to start its fleet."
        case State.FAILING:
            return f"{application} cannot be started: its fleet does not come up. Tell an operator."
        case State.UNKNOWN:
            return f"AppStream did not start {application}. Try again in a moment, and tell an operator if that fails."
    return f"{application} is set up wrongly: its stack has no such fleet, or not for the portal. Tell an operator."


def not_for_you(application: Application) -> str:
    """Say that an application is of none of a person's groups, and what to do."""
    return f"{application} is not for you. Ask an operator to add you to {_one_of(application.group_names)}."


def _one_of(groups: list[str]) -> str:
    """Name the groups of which one is needed."""
    *others, last = groups or ["a group, after giving it one"]
    return f"{', '.join(others)} or {last}" if others else last
