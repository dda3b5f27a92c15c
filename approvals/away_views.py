"""Being away: from when until when, and who answers meanwhile."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from approvals import absence, deciding, delegating, people
from approvals.forms import AwayForm
from approvals.seen import SignedIn
from portal.people.directory import Person


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def away(request: SignedIn) -> HttpResponse:
    """Show when somebody is away, or let somebody answer for them."""
    now = timezone.now()
    form = AwayForm(request.POST if request.method == "POST" else None, now=now)
    if request.method == "POST" and form.is_valid():
        delegate = people.known(form.cleaned_data["delegate"])
        if delegate is None:
            form.add_error("delegate", "Nobody who can sign in has this user name or e-mail address.")
        elif _go(request, form, delegate):
            return redirect("approvals:away")
    context = {"form": form, "absence": absence.find(request.user.sub, now=now), "now": now}
    return render(request, "approvals/away.html", context, status=422 if form.errors else 200)


def _go(request: SignedIn, form: AwayForm, delegate: Person) -> bool:
    try:
        gone = delegating.go_away(request.user, delegate, from_at=form.from_at, until_at=form.until_at, now=form.now)
    except deciding.Refused as error:
        form.add_error("delegate", error.sentence)
        return False
    messages.success(request, f"{gone.delegate_name or gone.delegate_username} answers for you.")
    return True


@login_required
@require_POST
def back(request: SignedIn) -> HttpResponse:
    """End an absence."""
    delegating.come_back(request.user, now=timezone.now())
    messages.success(request, "You are back: what is asked from now on comes to you.")
    return redirect("approvals:away")
