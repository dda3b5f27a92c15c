"""The page of one approval: what is asked, the decision, what has happened, and whether the workflow knows."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from approvals import deciding
from approvals.approval import State
from approvals.forms import CommentForm, DecisionForm
from approvals.seen import SeenBy, SignedIn, is_look, seen_by


@login_required
@require_safe
def approval(request: SignedIn, approval_id: str) -> HttpResponse:
    """Show an approval to who is asked, and to who asks."""
    seen = seen_by(request.user, approval_id)
    note_look(request, seen)
    return show(request, seen)


def note_look(request: SignedIn, seen: SeenBy) -> None:
    """Write into the audit log that one of those who are asked has looked at it."""
    if is_look(request) and not seen.standing.is_requester:
        deciding.looked(seen.approval, by=request.user)


def show(
    request: SignedIn,
    seen: SeenBy,
    *,
    form: DecisionForm | None = None,
    comment_form: CommentForm | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render the page of an approval, with what was typed where something is wrong with it."""
    context |= {
        "seen": seen,
        "approval": seen.approval,
        "form": form or DecisionForm(approval=seen.approval),
        "comment_form": comment_form or CommentForm(),
    }
    return render(request, "approvals/approval.html", context, status=status)


@login_required
@require_safe
def progress(request: SignedIn, approval_id: str) -> HttpResponse:
    """Show how far it is: the part of its page that renews itself. 204 where nothing has changed."""
    seen = seen_by(request.user, approval_id)
    if request.GET.get("was") == seen.mark:
        return HttpResponse(status=204)
    return render(
        request, "approvals/partials/standing.html", {"seen": seen, "approval": seen.approval, "is_renewal": True}
    )


@login_required
@require_POST
def decide(request: SignedIn, approval_id: str) -> HttpResponse:
    """Approve or reject it."""
    seen = seen_by(request.user, approval_id)
    return take(request, seen)


def round_in(text: str) -> int | None:
    """Return the round that a page was of, where a form says so."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def take(request: SignedIn, seen: SeenBy, *, first: str = "", **context: Any) -> HttpResponse:
    """Take somebody's decision, or show the page again with what they typed and why it was not taken."""
    approval_id = seen.approval.approval_id
    if seen.standing.is_requester:
        raise Http404
    form = DecisionForm(request.POST, approval=seen.approval, first=first)
    refusal, status = "", 422
    if form.is_valid():
        reason, now = form.cleaned_data["reason"], timezone.now()
        try:
            shown = round_in(request.POST.get("round", ""))
            deciding.decide(approval_id, form.verdict, reason=reason, by=request.user, now=now, round=shown)
        except deciding.NotYours as error:
            raise Http404 from error
        except deciding.ReasonDue as error:
            form.add_error("reason", error.sentence)
        except deciding.Refused as error:
            refusal, status = error.sentence, 409
        else:
            messages.success(request, "You approved it." if form.verdict is State.APPROVED else "You rejected it.")
            return redirect("approvals:approval", approval_id)
    seen = seen_by(request.user, approval_id)
    return show(request, seen, form=form, refusal=refusal, status=status, **context)


@login_required
@require_POST
def comment(request: SignedIn, approval_id: str) -> HttpResponse:
    """Add a comment, which everybody who may see the approval can read."""
    seen = seen_by(request.user, approval_id)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return show(request, seen, comment_form=form, status=422)
    try:
        deciding.comment(seen.approval, form.cleaned_data["text"], by=request.user, now=timezone.now())
    except deciding.NotYours as error:
        raise Http404 from error
    except deciding.Refused as error:
        form.add_error("text", error.sentence)
        return show(request, seen, comment_form=form, status=422)
    messages.success(request, "Your comment is there.")
    return redirect("approvals:approval", approval_id)
