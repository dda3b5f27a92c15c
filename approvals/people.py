"""Whom a question goes to: people of the user pool, as they are when it is asked, and again when they answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from approvals import absence, assignment
from approvals.approval import Approval
from approvals.assignment import MOST, Assignment, How, assignments
from approvals.rules import MOST_NAME, Named, plain
from portal.dynamo.table import Conflict
from portal.people import directory, membership
from portal.people.directory import Person

_LONGEST = 128  # characters of a user name or an address in Cognito


def known(name: str) -> Person | None:
    """Return who has this user name, verified e-mail address or sub and may come in, or None."""
    name = name.strip()
    if not name or len(name) > _LONGEST or any(one.isspace() for one in name):
        return None
    person = directory.known_as(name)
    return person if person and person.is_enabled else None


def of_sub(sub: str) -> Person | None:
    """Return who has this sub and may come in, or None. Somebody else may have taken it for a user name."""
    person = directory.known_as(sub)
    if person is None or person.sub != sub:
        person = directory.find_by_sub(sub)
    return person if person and person.is_enabled else None


def manager_of(person: Person) -> Person | None:
    """Return whom the user pool names as somebody's manager, or None."""
    found = known(person.manager) if person.manager else None
    return found if found and found.sub != person.sub else None


class Addressee:
    """Somebody of whom the audit log says that they got a mail."""

    def __init__(self, person: Person) -> None:
        self.sub, self.username = person.sub, person.username


def called(person: Person) -> str:
    return plain(person.name or person.username, MOST_NAME)


class Asked:
    """The people whom a question goes to, each once, the first reason first; and the groups whose members may answer.

    `but` is who may not: the sub of who asks for it.
    """

    def __init__(self, approval_id: str, *, but: str | None, now: datetime) -> None:
        self._approval_id = approval_id
        self._but = but
        self._now = now
        self.assignments: dict[str, Assignment] = {}
        self.people: dict[str, Person] = {}
        self.groups: list[str] = []

    def add_named(self, named: Named, *, manager: Person | None, how: How | None = None) -> None:
        """Add whom a request type or a message names."""
        match named.kind:
            case "person":
                person = known(named.name)
                self._add([person] if person else [], how or How.PERSON)
            case "manager":
                self._add([manager] if manager else [], how or How.MANAGER)
            case "group":
                self.groups.append(named.name)
                members = (one for one in directory.members(named.name) if one.is_enabled)
                self._add(members, how or How.GROUP, group=named.name)

    def _add(self, people: Iterable[Person], how: How, *, group: str = "") -> None:
        for person in people:
            self.add(person, how, group=group)
            away = absence.during(person.sub, now=self._now) if person.sub in self.assignments else None
            delegate = of_sub(away.delegate_sub) if away else None
            if delegate:
                self.add(delegate, How.DELEGATE, for_name=called(person))

    def add(self, person: Person, how: How, *, group: str = "", for_name: str = "") -> None:
        """Add one person, unless they are there already, may not answer, or there are too many."""
        if person.sub == self._but or person.sub in self.assignments or len(self.assignments) >= MOST:
            return
        self.people[person.sub] = person
        self.assignments[person.sub] = Assignment(
            approval_id=self._approval_id,
            sub=person.sub,
            username=person.username,
            name=called(person),
            how=how,
            asked_at=self._now,
            group=group,
            for_name=for_name,
            shelf=assignment.open_shelf(person.sub),
        )


def groups_of(person: Person) -> list[str]:
    return membership.of(person.username)


def add_to(approval: Approval, person: Person, how: How, *, now: datetime, for_name: str = "") -> bool:
    """Ask one more person, who may have been asked before. Return whether anything had to be done."""
    asked = Asked(approval.approval_id, but=approval.requester_sub, now=now)
    asked.add(person, how, for_name=for_name)
    new = asked.assignments.get(person.sub)
    if new is None:
        return False
    was = assignments.find(approval.approval_id, person.sub, consistent=True)
    if was is None:
        assignments.add(new)
        return True
    if was.may_decide and was.shelf == new.shelf:
        return False
    kept = {"mail": was.mail, "mail_key": was.mail_key, "mail_at": was.mail_at, "mailed": was.mailed}
    assignments.replace(new.model_copy(update=kept), was=was)
    return True


def assignment_of(approval: Approval, sub: str) -> Assignment | None:
    return assignments.find(approval.approval_id, sub, consistent=True)


def put(one: Assignment) -> None:
    """Add an assignment, unless somebody else was quicker."""
    with contextlib.suppress(Conflict):
        assignments.add(one)
