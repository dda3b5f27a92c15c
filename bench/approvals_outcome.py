"""What must be true of approvals after a rush, whatever came twice and at once."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_DECIDED = {"approved it": "approved", "rejected it": "rejected"}
_ENDS = {"approved": "SUCCEEDED", "rejected": "FAILED"}
_ANSWERED = ("TaskSucceeded", "TaskFailed")
_PAGE = re.compile(r"/approvals/([0-9a-f]{32})/")


@dataclass(frozen=True)
class Answer:
    """What the portal answered somebody who decided: who tried again after a 5xx, the last time."""

    approval_id: str
    username: str
    verdict: str  # "approved" or "rejected"
    status: int
    said: str  # the error's sentence, or nothing
    tries: int = 1


@dataclass
class Outcome:
    """An approval as everybody has it: the tables (plain values), the mails, and the execution that waited for it."""

    approval: Mapping[str, Any]
    assignments: Sequence[Mapping[str, Any]]
    audited: Sequence[Mapping[str, Any]]
    execution: Mapping[str, Any]  # as DescribeExecution answers
    events: Sequence[str]  # the types of its history's events
    answers: list[Answer] = field(default_factory=list)
    mailed: Counter[str] = field(default_factory=Counter)  # by address, the mails that ask

    def wrongs(self) -> list[str]:
        """Return what is wrong, in words; nothing where all is as it must be."""
        return [f"{self.approval['ApprovalId']}: {wrong}" for wrong in [*self._stored(), *self._said(), *self._told()]]

    def _stored(self) -> Iterable[str]:
        """Decided once, brought to its end once, and out of everybody's inbox."""
        approval, actions = self.approval, Counter(one["Action"] for one in self.audited)
        decided = [one for one in self.audited if one["Action"] in _DECIDED]
        if len(decided) != 1:
            yield f"it was decided {len(decided)} times"
            return
        if (_DECIDED[decided[0]["Action"]], decided[0]["ActorSub"]) != (approval["State"], approval["DecidedBy"]):
            yield "the audit log has another answer than the table"
        if actions["has got the answer"] != 1 or not approval.get("FinishedAt") or "Shelf" in approval:
            yield "it was not brought to its end, or twice"
        if approval.get("IsLate") or "Stuck" in approval or approval["Round"] != 1:
            yield f"it hangs: {approval.get('Problem')}"
        if any(not one["Shelf"].endswith("#closed") for one in self.assignments):
            yield "it is still in an inbox"
        mailed = [1] * len(self.assignments)
        if actions["was asked by mail"] != len(mailed) or [*self.mailed.values()] != mailed:
            yield f"the mails are {dict(self.mailed)}"

    def _said(self) -> Iterable[str]:
        """One was told that they decided it, or, where that reply was a 5xx, that they have; all others who did."""
        approval = self.approval
        winner = next((one["Username"] for one in self.assignments if one["Sub"] == approval["DecidedBy"]), "nobody")
        for one in self.answers:
            clear = f"{approval['DecidedByName']} {approval['State']} this on "
            if one.status == 409 and one.said.startswith(clear):
                is_right = one.username != winner or one.tries > 1
            else:
                is_right = (one.status, one.username, one.verdict) == (200, winner, approval["State"])
            if not is_right:
                yield f"{winner} {approval['State']} it, and {one.username} was told {one.status} {one.said!r}"

    def _told(self) -> Iterable[str]:
        """The workflow is over, with the answer that is stored, which it got once."""
        if self.execution["status"] != _ENDS.get(self.approval["State"]):
            yield f"the workflow is {self.execution['status']}"
            return
        got = json.loads(self.execution.get("output") or self.execution["cause"])
        if (got["Decision"], got["DecisionId"]) != (self.approval["State"], self.approval["DecisionId"]):
            yield "the workflow has another answer than the table"
        if sum(self.events.count(one) for one in _ANSWERED) != 1:
            yield "the workflow was answered more than once"


def outcomes(
    *,
    approvals: Iterable[Mapping[str, Any]],
    assignments: Iterable[Mapping[str, Any]],
    audited: Iterable[Mapping[str, Any]],
    executions: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]],
    mails: Iterable[Mapping[str, Any]],
    answers: Iterable[Answer],
) -> list[Outcome]:
    """Put together what belongs to each approval. `executions` are DescribeExecution's answers and the types of the
    history's events, by ARN; `mails` the local cloud's."""
    asked, said = _by("ApprovalId", assignments), _by("Object", audited)
    found = {
        one["ApprovalId"]: Outcome(
            one,
            asked[one["ApprovalId"]],
            said[f"approvals.approval/{one['ApprovalId']}"],
            *executions[one["ExecutionArn"]],
        )
        for one in approvals
    }
    for answer in answers:
        found[answer.approval_id].answers.append(answer)
    for mail in mails:
        page = _PAGE.search(mail["BodyText"])
        if page and page[1] in found:
            found[page[1]].mailed.update(mail["To"])
    return list(found.values())


def _by(key: str, items: Iterable[Mapping[str, Any]]) -> defaultdict[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in items:
        found[item[key]].append(item)
    return found


def naming_approvers(definition: str) -> str:
    """Return the promotion's definition with approvers that the input names, `{"approvers": ["person:…"]}`."""
    changed = json.loads(definition)
    for state in changed["States"].values():
        if "Parameters" in state:
            state["Parameters"]["MessageBody"]["Approvers.$"] = "$.approvers"
    return json.dumps(changed)
