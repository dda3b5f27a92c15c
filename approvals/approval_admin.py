"""The approvals in the admin: by month, those that are open, those that are stuck, and a page for each of them.

operator_acts.py has what operators do there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals import assignment, deciding, operator_words, timeline
from approvals.approval import OPEN_SHELF, STUCK, Approval, approvals, of_execution
from approvals.assignment import Assignment, How
from approvals.models import Approval as ApprovalScreen
from approvals.operator_acts import ApprovalActs, user_of
from approvals.seen import Seen, is_prefetch
from portal.dynamo import records
from portal.dynamo.records import Listing, RecordPage, moment
from portal.dynamo.values import instant
from portal.people import directory

# Those that are open and of one page are sorted by when they are due: the index knows when each is looked at next.
MOST_OPEN = 100


@admin.register(ApprovalScreen)
class ApprovalAdmin(ApprovalActs):
    month_index = "ByMonth"
    columns = ["called", "state", "requester", "asked_at", "deadline_at", "problem"]
    facts = [
        "state",
        "requester",
        "asked_at",
        "deadline_at",
        "reminders",
        "escalated_at",
        "overdue_at",
        "groups",
        "round",
        "heartbeat_at",
        "answer",
        "finished_at",
        "execution",
        "request_type",
        "approval_id",
    ]
    # Left out where there is nothing to say.
    may_be_missing = frozenset(
        {"escalated_at", "overdue_at", "groups", "round", "heartbeat_at", "answer", "finished_at", "execution"}
    )
    search_help = "An approval’s id, an execution’s ARN, or the user name, e-mail address or sub of who asked."
    longest_key = 300  # of an execution's ARN
    list_template = "admin/approvals/approval/list.html"
    record_template = "admin/approvals/approval/record.html"
    shortcuts = [("Open", "?show=open"), ("Stuck", "?show=stuck")]

    # --- The lists ---

    def search(self, request: HttpRequest, text: str) -> Listing[Approval] | Approval | None:
        if text.startswith("arn:"):
            return next(iter(of_execution(text)), None)
        if found := deciding.find(text.lower()):
            return found
        # As a sub first: somebody may have taken another's sub for a name.
        page = records.page(approvals, text, index="ByRequester", request=request)
        if not page.records and (person := directory.known_as(text)):
            page = records.page(approvals, person.sub, index="ByRequester", request=request, links={"q": person.sub})
        if not page.records:
            return None
        first = page.records[0]
        return Listing(f"Asked for by {first.requester_name or first.requester_username}", page, "")

    def _month(self, request: HttpRequest) -> Listing[Approval]:
        match request.GET.get("show"):
            case "open":
                return self._open(request)
            case "stuck":
                page = records.page(approvals, STUCK, index="ByStuck", request=request)
                return Listing("Stuck", page, "Nothing is stuck.")
        return super()._month(request)

    def _open(self, request: HttpRequest) -> Listing[Approval]:
        page = records.page(
            approvals, OPEN_SHELF, index="ByShelf", request=request, limit=MOST_OPEN, is_soonest_first=True
        )
        soonest = sorted(page.records, key=lambda one: (one.deadline_at or one.asked_at, one.approval_id))
        is_whole = not (page.newer or page.older)
        heading = "Open, soonest due first" if is_whole else "Open, on each page the soonest due first"
        return Listing(heading, RecordPage(soonest, page.newer, page.older, page.is_soonest_first), "Nothing is open.")

    # --- An approval's page ---

    def shown_besides(self, request: HttpRequest, record: Approval) -> dict[str, Any]:
        if request.method == "GET" and not is_prefetch(request):
            deciding.looked(record, by=user_of(request))
        asked = assignment.of(record.approval_id)
        may_act = self.may_act(request)
        return {
            "title": record.called,
            "facts": [
                (self._title(name), cell)
                for name in self.facts
                if (cell := self._cell(record, name)) != "–" or name not in self.may_be_missing
            ],
            "terms": operator_words.terms(record),
            "what_to_do": operator_words.what_to_do(record),
            "asked": [
                (one, self._person(one.sub, one.name or one.username, request), operator_words.how(one), _mail(one))
                for one in sorted(asked, key=lambda one: (one.how is How.REQUESTER, one.asked_at, one.name))
            ],
            "steps": timeline.steps(record, everything=True),
            "input": operator_words.pretty(record.input, hiding=[record.task_token]) if may_act else "",
            "shown_at": instant(datetime.now(UTC)),
            "may_reassign": may_act and record.is_open,
            "may_resend": may_act and record.is_open and any(one.may_decide for one in asked),
            "may_cancel": may_act and operator_words.may_cancel(record),
            "may_pass_on": may_act and operator_words.may_pass_on(record),
            "may_set_aside": may_act and operator_words.may_set_aside(record),
        }

    def _person(self, sub: str, name: str, request: HttpRequest) -> SafeString | str:
        if not sub or not request.user.has_perm("people.view_person"):
            return name
        return format_html('<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[quote(sub)]), name)

    # --- What is shown ---

    @admin.display(description="what is asked")
    def called(self, approval: Approval) -> str:
        return approval.called

    def state(self, approval: Approval) -> SafeString:
        seen = Seen(approval, datetime.now(UTC))
        besides = ""
        if operator_words.may_pass_on(approval):
            besides = "The workflow does not have the answer yet."
        elif approval.is_late:
            besides = "An answer came too late."
        tag = format_html('<span class="tag {}">{}</span>', seen.colour, seen.word)
        return format_html('{} <span class="small soft">{}</span>', tag, besides) if besides else tag

    @admin.display(description="who asked")
    def requester(self, approval: Approval) -> str:
        return approval.requester_name or approval.requester_username or "a workflow"

    @admin.display(description="asked")
    def asked_at(self, approval: Approval) -> datetime:
        return approval.asked_at

    @admin.display(description="deadline")
    def deadline_at(self, approval: Approval) -> datetime | None:
        return approval.deadline_at

    def problem(self, approval: Approval) -> SafeString | str:
        if not approval.stuck:
            return approval.problem
        return format_html('<span class="tag warm">stuck</span> {}', approval.problem)

    def reminders(self, approval: Approval) -> SafeString | str:
        sent = f"{approval.reminded} of at most {approval.terms.reminders} sent"
        if approval.next_reminder_at is None:
            return sent
        return format_html("{}, the next one {}", sent, moment(approval.next_reminder_at))

    @admin.display(description="others asked besides")
    def escalated_at(self, approval: Approval) -> datetime | None:
        return approval.escalated_at

    @admin.display(description="late, with nobody left to ask")
    def overdue_at(self, approval: Approval) -> datetime | None:
        return approval.overdue_at

    @admin.display(description="groups that may answer")
    def groups(self, approval: Approval) -> str:
        return ", ".join(approval.groups)

    @admin.display(description="round")
    def round(self, approval: Approval) -> str:
        return f"the workflow has asked {approval.round} times" if approval.round > 1 else ""

    @admin.display(description="workflow last said that it waits")
    def heartbeat_at(self, approval: Approval) -> datetime | None:
        return approval.heartbeat_at

    def answer(self, approval: Approval) -> SafeString | str:
        if approval.decided_at is None:
            return ""
        said = format_html("{}, {}", approval.decided_by_name, moment(approval.decided_at))
        return format_html("{}: {}", said, approval.reason) if approval.reason else said

    @admin.display(description="finished")
    def finished_at(self, approval: Approval) -> datetime | None:
        return approval.finished_at

    @admin.display(description="workflow")
    def execution(self, approval: Approval) -> SafeString | str:
        if not approval.execution_arn:
            return ""
        address = reverse("admin:approvals_execution_change", args=[quote(approval.execution_arn)])
        name = approval.execution_arn.rpartition(":")[2]
        return format_html('<a href="{}">{}</a>', address, name)

    @admin.display(description="request type")
    def request_type(self, approval: Approval) -> SafeString:
        address = reverse("admin:approvals_requesttype_change", args=[quote(approval.type_id)])
        return format_html('<a href="{}">{}</a>', address, approval.type_id)

    @admin.display(description="id")
    def approval_id(self, approval: Approval) -> SafeString:
        return format_html("<code>{}</code>", approval.approval_id)


def _mail(one: Assignment) -> SafeString | str:
    said = operator_words.mail(one)
    return format_html('<span class="wrong">{}</span>', said) if one.mail is assignment.Mail.UNDELIVERED else said
