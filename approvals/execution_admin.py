"""The workflows' executions in the admin, as Step Functions tells of them: lists, and a page with what each did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from approvals import history, operator_words, workflow
from approvals.approval import Approval, of_execution
from approvals.models import Execution as ExecutionScreen
from approvals.workflow import Event, Execution
from portal import aws
from portal.dynamo.records import RecordAdmin
from portal.dynamo.values import instant

T = TypeVar("T")
STATUSES = {
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timed out",
    "ABORTED": "stopped",
}
COLOURS = {"RUNNING": "good", "FAILED": "warm", "TIMED_OUT": "warm", "ABORTED": "warm"}
# Of one that is in a long loop, the last ones.
MOST_EVENTS = 500
MOST_OF_A_STATE = 2_000  # characters of what goes into a state, and of what comes out
LONGEST_TOKEN = 1_024
GONE = "Step Functions does not have this execution. It keeps them for 90 days after their end."


@admin.register(ExecutionScreen)
class ExecutionAdmin(RecordAdmin[Any]):
    longest_key = 400  # of an ARN

    # --- The list ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        every = workflow.machines()
        name = request.GET.get("machine", "")
        name = name if name in every else next(iter(every), "")
        status = request.GET.get("status", "")
        status = status if status in STATUSES else ""
        more = request.GET.get("more", "")
        found, problem = workflow.Executions([]), ""
        if name:
            try:
                if len(more) > LONGEST_TOKEN:
                    raise workflow.Missing
                found, problem = _or_why(lambda: workflow.executions(every[name], status=status, more=more), found)
            except workflow.Missing:
                if more:
                    said = "That page was left open for too long. Here is the first one."
                    self.message_user(request, said, messages.INFO)
                    return HttpResponseRedirect(f"{request.path}{_query(name, status)}")
                problem = "There is no such state machine."
        context = {
            **self._context(request, "Workflow executions"),
            "heading": f"{name}: {STATUSES[status]}" if status else name,
            "machines": [(one, _query(one, status), one == name) for one in every],
            "statuses": [
                (words.capitalize(), _query(name, key), key == status)
                for key, words in [("", "all"), *STATUSES.items()]
            ],
            "rows": [_Row(one) for one in found.executions],
            "problem": problem,
            "more": _query(name, status, found.more) if found.more else "",
            "first": _query(name, status) if more else "",
        }
        return TemplateResponse(request, "admin/approvals/execution/list.html", context)

    # --- An execution's page ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self._refuse(request)
        arn = unquote(object_id)
        found = of_execution(arn) if 0 < len(arn) <= self.longest_key else []
        if not found and not _is_known(arn):
            raise Http404("There is no such execution.")
        events: list[Event] = []
        try:
            execution, problem = _or_why(lambda: workflow.find(arn), None)
            events, events_problem = _or_why(lambda: workflow.history(arn, most=MOST_EVENTS), events)
        except workflow.Missing:
            execution, problem, events_problem = None, GONE, ""
        context = {
            **self._context(request, f"Execution {arn.rpartition(':')[2]}"),
            "arn": arn,
            "row": _Row(execution) if execution else None,
            "input": _pretty(execution.input if execution else "", found),
            "output": _pretty(execution.output if execution else "", found),
            "cause": _pretty(execution.cause if execution else "", found),
            "approvals": [(one, reverse("admin:approvals_approval_change", args=[one.approval_id])) for one in found],
            "stages": [_shown(one, execution, found) for one in history.stages(events)],
            "is_cut": len(events) >= MOST_EVENTS,
            "most": MOST_EVENTS,
            "problems": list(dict.fromkeys(filter(None, [problem, events_problem]))),
        }
        is_gone = problem == GONE
        return TemplateResponse(
            request, "admin/approvals/execution/record.html", context, status=404 if is_gone else 200
        )

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}


class _Row:
    """An execution in words."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.status = STATUSES.get(execution.status, execution.status.lower())
        self.colour = COLOURS.get(execution.status, "")
        until = execution.stopped_at or datetime.now(UTC)
        self.lasted = history.lasted(until - execution.started_at)


def _is_known(arn: str) -> bool:
    """Tell whether an execution is of one of the state machines that the portal starts."""
    return any(arn.startswith(workflow.execution_arn(machine, "")) for machine in workflow.machines().values())


def _or_why(read: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """Return what AWS tells, or what it refused, in words. Raises what passes, for which the page is to be asked for
    again, and workflow.Missing."""
    try:
        return read(), ""
    except Exception as error:
        if aws.is_transient(error) or not (why := aws.refused(error)):
            raise
        return otherwise, f"{why} The portal may not read this."


def _pretty(text: str, found: list[Approval], most: int = 20_000) -> str:
    return operator_words.pretty(text, hiding=[one.task_token for one in found], most=most)


def _shown(one: history.Stage, execution: Execution | None, found: list[Approval]) -> dict[str, Any]:
    # What the whole of it failed with is said above.
    said = execution.cause if execution and not one.name else ""
    return {
        "stage": one,
        "at": _to_the_second(one.at),
        "happenings": [
            (
                happening,
                _to_the_second(happening.at),
                "" if happening.cause == said else _pretty(happening.cause, found, MOST_OF_A_STATE),
            )
            for happening in one.happenings
        ],
        "input": _pretty(one.input, found, MOST_OF_A_STATE),
        "output": _pretty(one.output, found, MOST_OF_A_STATE),
    }


def _to_the_second(at: datetime) -> SafeString:
    said = f"{at.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"
    return format_html('<time datetime="{}" data-format="seconds">{}</time>', instant(at), said)


def _query(machine: str, status: str, more: str = "") -> str:
    given = {"machine": machine, "status": status, "more": more}
    return f"?{urlencode({name: value for name, value in given.items() if value})}"
