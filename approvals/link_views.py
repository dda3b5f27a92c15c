"""The links in mails. They only open a page, for one person who is signed in; to everybody else all of them are alike:
those that are not there, belong to somebody else, or have been used."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from approvals import link as links
from approvals import mailing
from approvals.approval_views import note_look, show, take
from approvals.forms import VERDICTS, DecisionForm
from approvals.link import Link
from approvals.seen import SeenBy, SignedIn, seen_by


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: SignedIn, secret: str, choice: str = "") -> HttpResponse:
    """Show the decision that a mail asks for, with the choice of the link made, or take it."""
    found = links.find(secret, sub=request.user.sub)
    seen = _seen(request, found) if found else None
    # Whoever wrote a reason while somebody else decided is told so, with what they wrote.
    is_good = found and seen and _is_current(found, seen) and (seen.may_decide or request.method == "POST")
    if seen is None or not is_good:
        return render(request, "approvals/link.html", {"seen": seen}, status=404)
    choice = choice if choice in VERDICTS else ""
    context: dict[str, Any] = {"link": {"secret": secret, "choice": choice}}
    if request.method == "POST":
        return take(request, seen, first=choice, **context)
    note_look(request, seen)
    return show(request, seen, form=DecisionForm(approval=seen.approval, first=choice), **context)


def _seen(request: SignedIn, found: Link) -> SeenBy | None:
    try:
        return seen_by(request.user, found.approval_id)
    except Http404:
        return None


def _is_current(found: Link, seen: SeenBy) -> bool:
    is_latest = found.round == seen.approval.round and found.expires_at > time.time()
    return is_latest and not seen.standing.is_requester


@login_required
@require_POST
def fresh_link(request: SignedIn, approval_id: str) -> HttpResponse:
    """Send one of those who are asked a new mail with a new link."""
    seen = seen_by(request.user, approval_id)
    if seen.standing.is_requester or seen.assignment is None:
        raise Http404
    if not seen.may_decide:
        messages.warning(request, "It is over, so there is nothing left to decide.")
        return redirect("approvals:approval", approval_id)
    try:
        mailing.fresh_link(seen.approval, seen.assignment, now=timezone.now())
    except mailing.TooSoon as error:
        messages.warning(request, error.sentence)
    else:
        messages.success(request, "A new mail with a new link is on its way to you.")
    return redirect("approvals:approval", approval_id)
