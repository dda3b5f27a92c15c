"""The page "Where you are signed in": every browser of one's own, and the end of any of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from portal.accounts import session
from portal.accounts.models import User
from portal.accounts.profile import OwnAccount
from portal.dynamo import sessions
from portal.dynamo.table import BadCursor


@method_decorator(never_cache, name="dispatch")
class SignedIn(OwnAccount, TemplateView):
    template_name = "accounts/signed_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        after = self.request.GET.get("after")
        try:
            page = sessions.of(self.user.sub, now=datetime.now(UTC), cursor=after)
        except BadCursor as error:
            raise Http404 from error
        return super().get_context_data(page=page, after=after, here=_here(self.request), **kwargs)


@require_POST
@login_required
def end(request: HttpRequest) -> HttpResponse:
    if request.POST.get("session") == _here(request):
        target = session.way_out(request)
        session.sign_out(request)
        return HttpResponseRedirect(target)
    if not session.end(request.POST.get("session") or "-", sub=_sub(request)):
        raise Http404
    messages.success(request, "That session is ended.")
    return redirect("accounts:sessions")


@require_POST
@login_required
def end_others(request: HttpRequest) -> HttpResponse:
    ended = session.end_all(_sub(request), but=_here(request), now=datetime.now(UTC))
    messages.success(
        request,
        f"{ended} other session{'s are' if ended != 1 else ' is'} ended."
        if ended
        else "You are signed in nowhere else.",
    )
    return redirect("accounts:sessions")


@require_POST
@login_required
def end_all(request: HttpRequest) -> HttpResponse:
    user, target = request.user, session.way_out(request)
    assert isinstance(user, User)  # noqa: S101 - what login_required is for
    if session.end_everywhere(request, user.username, sub=user.sub):
        messages.success(request, "You are signed out everywhere.")
    else:
        messages.warning(
            request, "You are signed out here, but perhaps not everywhere. Sign in and try again in a few minutes."
        )
    return HttpResponseRedirect(target)


def _here(request: HttpRequest) -> str:
    return sessions.session_id(request.session.session_key or "")


def _sub(request: HttpRequest) -> str:
    assert isinstance(request.user, User)  # noqa: S101 - what login_required is for
    return request.user.sub
