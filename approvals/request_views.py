"""What somebody asks for: the form that starts a workflow, the list, withdrawing, and sending the mails again."""

from __future__ import annotations

import secrets

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from approvals import deciding, mailing, requests
from approvals.forms import RequestForm
from approvals.models import RequestType
from approvals.seen import Seen, SeenBy, SignedIn, seen_by
from approvals.words import counted
from portal.dynamo.table import BadCursor
from portal.people.directory import Person


@login_required
@require_safe
def mine(request: SignedIn) -> HttpResponse:
    """Show what somebody has asked for, newest first, and where each stands."""
    try:
        page = requests.of(request.user.sub, cursor=request.GET.get("cursor") or None)
    except BadCursor as error:
        raise BadRequest("This list of requests cannot be continued from there.") from error
    now = timezone.now()
    context = {
        "seen": [Seen(one, now) for one in page.records],
        "cursor": page.cursor,
        "is_older": "cursor" in request.GET,
    }
    return render(request, "approvals/requests.html", context)


@login_required
@require_safe
def types(request: SignedIn) -> HttpResponse:
    """Show what can be asked for."""
    offered = requests.offered()
    if len(offered) == 1:
        return redirect("approvals:new", offered[0].type_id)
    return render(request, "approvals/types.html", {"types": offered})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SignedIn, type_id: str) -> HttpResponse:
    """Ask for something: start its workflow."""
    request_type = next((one for one in requests.offered() if one.type_id == type_id), None)
    if request_type is None:
        raise Http404
    needs_manager = request_type.approver == "manager"
    manager = requests.manager_of(request.user) if needs_manager else None
    asks_manager = needs_manager and manager is None
    if request.method != "POST":
        form = RequestForm(
            request_type=request_type, asks_manager=asks_manager, initial={"key": secrets.token_urlsafe(16)}
        )
        return _form(request, form, request_type, manager)
    form = RequestForm(request.POST, request_type=request_type, asks_manager=asks_manager)
    if not form.is_valid():
        return _form(request, form, request_type, manager, status=422)
    try:
        approval = requests.ask(
            request_type,
            form.given(),
            manager=form.cleaned_data.get("manager", "") if manager is None else manager.email,
            key=form.cleaned_data["key"],
            by=request.user,
            now=timezone.now(),
        )
    except requests.NotPossible as error:
        form.refuse(error.field, error.sentence)
        return _form(request, form, request_type, manager, status=422)
    return redirect("approvals:approval", approval.approval_id)


def _form(
    request: SignedIn, form: RequestForm, request_type: RequestType, manager: Person | None, *, status: int = 200
) -> HttpResponse:
    context = {"form": form, "type": request_type, "manager": manager}
    return render(request, "approvals/new.html", context, status=status)


@login_required
@require_POST
def withdraw(request: SignedIn, approval_id: str) -> HttpResponse:
    seen = _own(request, approval_id)
    try:
        deciding.withdraw(approval_id, by=request.user, now=timezone.now())
    except deciding.NotYours as error:
        raise Http404 from error
    except deciding.Refused as error:
        messages.warning(request, error.sentence)
    else:
        messages.success(request, f"“{seen.approval.called}” is withdrawn.")
    return redirect("approvals:approval", approval_id)


@login_required
@require_POST
def resend(request: SignedIn, approval_id: str) -> HttpResponse:
    _own(request, approval_id)
    try:
        count = mailing.resend(approval_id, by=request.user, now=timezone.now())
    except mailing.TooSoon as error:
        messages.warning(request, error.sentence)
    else:
        if count:
            messages.success(request, f"{counted(count, 'mail')} {'is' if count == 1 else 'are'} on the way again.")
        else:
            messages.warning(request, "Nobody is asked any more, so no mail was sent.")
    return redirect("approvals:approval", approval_id)


def _own(request: SignedIn, approval_id: str) -> SeenBy:
    seen = seen_by(request.user, approval_id)
    if not seen.standing.is_requester:
        raise Http404
    return seen
