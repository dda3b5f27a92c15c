"""Whom a question goes to: people of the user pool, as they are when it is asked, and again when they answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from approvals import absence, assignment
from approvals.approval import Approval
from approvals.assignment import MOST, Assignment, How, Mail, assignments
from approvals.rules import MOST_NAME, Named, plain
from portal.dynamo.table import Conflict
from portal.people import directory, membership
from portal.people.directory import Person

# Whom nobody has named who asks: they stay, whoever is named the next time.
_ADDED = frozenset({How.OPERATOR, How.DELEGATE, How.ESCALATION})
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


def called(person: Person) -> str:
    return plain(person.name or person.username, MOST_NAME)


class Asked:
    """The people whom a question goes to, each once, the first reason first; and the groups whose members may answer.

    `but` is who may not: the sub of who asks for it, and their address, under which they may have another account.
    """

    def __init__(
        self,
        approval_id: str,
        *,
        but: str | None,
        but_email: str,
        round: int,  # noqa: A002 - the attribute's name
        now: datetime,
    ) -> None:
        self._approval_id = approval_id
        self._but, self._but_email = but, but_email.lower()
        self._round = round
        self._now = now
        self._before: dict[str, Assignment] = {}
        self._ended: list[Assignment] = []
        self.assignments: dict[str, Assignment] = {}
        self.people: dict[str, Person] = {}
        self.groups: list[str] = []

    @classmethod
    def of(cls, approval: Approval, *, now: datetime) -> Asked:
        """Begin with nobody, for an approval that is open."""
        return cls(
            approval.approval_id,
            but=approval.requester_sub,
            but_email=approval.requester_email,
            round=approval.round,
            now=now,
        )

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
                self.add(delegate, How.DELEGATE, instead_of=person)

    def add(self, person: Person, how: How, *, group: str = "", instead_of: Person | None = None) -> None:
        """Add one person, unless they are there already, may not answer, or there are too many."""
        if self.is_requester(person) or person.sub in self.assignments or len(self.assignments) >= MOST:
            return
        self.people[person.sub] = person
        self.assignments[person.sub] = Assignment(
            approval_id=self._approval_id,
            sub=person.sub,
            username=person.username,
            name=called(person),
            how=how,
            asked_at=self._now,
            round=self._round,
            group=group,
            for_sub=instead_of.sub if instead_of else "",
            for_name=called(instead_of) if instead_of else "",
            shelf=assignment.open_shelf(person.sub),
        )

    def is_requester(self, person: Person) -> bool:
        return person.sub == self._but or bool(self._but_email and person.email.lower() == self._but_email)

    def go_on(self, before: list[Assignment], *, keeps_all: bool) -> None:
        """Take over what operators, deadlines and absences have made of who was asked before: those who were replaced
        stay replaced, and those who were added are asked again. Others who are not named any more may not answer any
        more, unless it keeps all."""
        self._before = {one.sub: one for one in before}
        for one in before:
            if one.ended_at is not None:
                self.assignments.pop(one.sub, None)
            elif one.may_decide and one.sub not in self.assignments:
                person = of_sub(one.sub) if keeps_all or one.how in _ADDED else None
                if person is None:
                    self._ended.append(one)
                else:
                    self.add(person, one.how, group=one.group)
                    update = {"for_sub": one.for_sub, "for_name": one.for_name}
                    for again in [self.assignments[one.sub]] if one.sub in self.assignments else []:
                        self.assignments[one.sub] = again.model_copy(update=update)

    def mail(self, key: str) -> None:
        """Note that each of them is being sent the mail that asks."""
        update = {"mail": Mail.SENDING, "mail_key": key, "mail_at": self._now}
        self.assignments = {sub: one.model_copy(update=update) for sub, one in self.assignments.items()}

    def writes(self) -> list[dict[str, Any]]:
        """Return the members of a DynamoDB transaction that write the assignments, and fail where somebody was replaced
        meanwhile."""
        puts = []
        for sub, one in self.assignments.items():
            put = assignments.putting(one)
            if sub in self._before:
                put |= {"ConditionExpression": "attribute_not_exists(EndedAt)"}
                put.pop("ExpressionAttributeNames")
            puts.append({"Put": put})
        ends = [one.model_copy(update={"ended_at": self._now, "shelf": None}) for one in self._ended]
        for one in ends:
            put = assignments.putting(one)
            put.pop("ConditionExpression")
            put.pop("ExpressionAttributeNames")
            puts.append({"Put": put})
        return puts


def groups_of(person: Person) -> list[str]:
    return membership.of(person.username)


def add_to(approval: Approval, person: Person, how: How, *, now: datetime, instead_of: Person | None = None) -> bool:
    """Ask one more person, who may have been asked before. Return whether they are to be mailed: they were not asked,
    or have had no mail so far."""
    asked = Asked.of(approval, now=now)
    asked.add(person, how, instead_of=instead_of)
    new = asked.assignments.get(person.sub)
    if new is None:
        return False
    was = assignment_of(approval, person.sub)
    if was is None:
        assignments.add(new)
        return True
    if was.may_decide and was.shelf == new.shelf:
        return not was.mailed
    kept = {"mail": was.mail, "mail_key": was.mail_key, "mail_at": was.mail_at, "mailed": was.mailed}
    assignments.replace(new.model_copy(update=kept), was=was)
    return True


def assignment_of(approval: Approval, sub: str) -> Assignment | None:
    return assignments.find(approval.approval_id, sub, consistent=True)


def put(one: Assignment) -> None:
    """Add an assignment, unless somebody else was quicker."""
    with contextlib.suppress(Conflict):
        assignments.add(one)
