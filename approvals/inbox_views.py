"""What waits for somebody, and what did: several are decided at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import Truncator
from django.views.decorators.http import require_POST, require_safe

from approvals import absence, assignment, deciding
from approvals.approval import Approval, State
from approvals.approval_views import round_in
from approvals.assignment import Assignment
from approvals.forms import VERDICTS, ManyForm
from approvals.rules import may_see
from approvals.seen import Seen, SignedIn
from approvals.words import listed
from portal import aws
from portal.accounts.models import User
from portal.dynamo.table import BadCursor, Page

MOST_AT_ONCE = 25


@login_required
@require_safe
def inbox(request: SignedIn) -> HttpResponse:
    """Show what waits for somebody's answer, on each page the most urgent first."""
    return _inbox(request, ManyForm())


def _inbox(
    request: SignedIn, form: ManyForm, *, selected: Iterable[str] = (), problem: str = "", status: int = 200
) -> HttpResponse:
    now = timezone.now()
    page = _page(request, assignment.inbox)
    # The index follows the table: what was answered a moment ago is left out here.
    waiting = [one for one in _seen(page.records, request.user, now) if one.approval.is_open]
    waiting.sort(key=lambda one: one.approval.deadline_at or one.approval.asked_at)
    chosen = {one.approval.approval_id for one in waiting} if "all" in request.GET else set(selected)
    context = {
        "waiting": waiting,
        "cursor": page.cursor,
        "here": request.GET.get("cursor", ""),
        "form": form,
        "selected": chosen,
        "problem": problem,
        "absence": absence.find(request.user.sub, now=now),
        "now": now,
    }
    return render(request, "approvals/inbox.html", context, status=status)


def _page(request: SignedIn, of: Callable[..., Page[Assignment]]) -> Page[Assignment]:
    try:
        return of(request.user.sub, cursor=request.GET.get("cursor") or None)
    except BadCursor as error:
        raise BadRequest("This list of approvals cannot be continued from there.") from error


def _seen(records: list[Assignment], user: User, now: datetime) -> list[Seen]:
    """Return the approvals of some assignments: one call."""
    found = deciding.find_many(one.approval_id for one in records)
    return [
        Seen(approval, now, one)
        for one in records
        if (approval := found.get(one.approval_id)) and may_see(approval, one, sub=user.sub, groups=user.groups)
    ]


@login_required
@require_safe
def waiting(request: SignedIn) -> HttpResponse:
    """Say how many wait: a part of the portal's home page."""
    page = assignment.inbox(request.user.sub)
    count = sum(one.approval.is_open for one in _seen(page.records, request.user, timezone.now()))
    said = (
        f"More than {count} wait for you." if page.cursor else f"{count} {'waits' if count == 1 else 'wait'} for you."
    )
    return HttpResponse(said if count else "")


@login_required
@require_safe
def decided(request: SignedIn) -> HttpResponse:
    """Show what waited for somebody once."""
    page = _page(request, assignment.closed)
    context = {
        "seen": _seen(page.records, request.user, timezone.now()),
        "cursor": page.cursor,
        "is_older": "cursor" in request.GET,
    }
    return render(request, "approvals/decided.html", context)


# --- Several at once --------------------------------------------------------------------------------------------------


@login_required
@require_POST
def decide_many(request: SignedIn) -> HttpResponse:
    """Approve or reject what is selected, each for itself. Nothing is decided where a reason is due and missing."""
    form = ManyForm(request.POST)
    # Each once, in the order of the page.
    selected = list(dict.fromkeys(request.POST.getlist("selected")))
    pressed = request.POST.get("decision", "")
    problem = ""
    if not selected:
        problem = "Select at least one first. Nothing was decided."
    elif len(selected) > MOST_AT_ONCE:
        problem = f"At most {MOST_AT_ONCE} are decided at once. Nothing was decided."
    elif pressed not in VERDICTS:
        problem = "Press “Approve selected” or “Reject selected”. Nothing was decided."
    if form.is_valid() and not problem:
        verdict, reason = VERDICTS[pressed], form.cleaned_data["reason"]
        if reason or not (needing := _needing_a_reason(selected, verdict, request.user)):
            _decide(request, selected, verdict, reason)
            return redirect("approvals:inbox")
        form.add_error("reason", f"A reason is needed to {pressed} {listed(needing)}. Nothing was decided.")
    return _inbox(request, form, selected=selected, problem=problem, status=422)


def _needing_a_reason(selected: list[str], verdict: State, user: User) -> list[str]:
    by_id = deciding.find_many(selected)
    found = [by_id[one] for one in selected if one in by_id and by_id[one].reason_is_due(verdict)]
    return [
        f"“{Truncator(one.called).chars(60)}”"
        for one in found
        if one.is_open and deciding.standing(one, user).may_decide
    ]


def _decide(request: SignedIn, selected: list[str], verdict: State, reason: str) -> None:
    """Decide each, and say what became of them: one message for each outcome."""
    done: list[Approval] = []
    refused: dict[str, list[str]] = {}
    for approval_id in selected:
        try:
            shown = round_in(request.POST.get(f"round-{approval_id}", ""))
            done.append(
                deciding.decide(approval_id, verdict, reason=reason, by=request.user, now=timezone.now(), round=shown)
            )
        except deciding.NotYours:
            refused.setdefault("not yours to decide.", []).append("")
        except deciding.AlreadyOver as error:
            refused.setdefault(_how_over(error.approval, request.user), []).append(error.approval.called)
        except deciding.Refused as error:
            refused.setdefault(f"not decided: {error.sentence}", []).append("")
        except Exception as error:
            # The others are decided all the same.
            if not aws.is_transient(error):
                raise
            refused.setdefault("perhaps not decided, because a service did not answer. Look again.", []).append("")
    if done:
        names = listed([one.called for one in done])
        messages.success(request, f"{len(done)} {'approved' if verdict is State.APPROVED else 'rejected'}: {names}.")
    for why, names_of in refused.items():
        named = listed([name for name in names_of if name])
        said = f"{len(names_of)} {'was' if len(names_of) == 1 else 'were'} {why}"
        messages.warning(request, f"{said} {named}" if named else said)


def _how_over(approval: Approval, user: User) -> str:
    if approval.state in (State.APPROVED, State.REJECTED, State.WITHDRAWN, State.CANCELLED):
        by = "you" if approval.decided_by == user.sub else approval.decided_by_name or "somebody"
        return f"{approval.state.value} by {by} already:"
    return "not decided, because the workflow did not wait any longer:"
