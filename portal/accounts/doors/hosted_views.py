"""Setting out to Cognito's hosted UI, and coming back."""

from __future__ import annotations

import logging

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from portal.accounts import cognito, session, tokens
from portal.accounts.doors import connections, cookies, federation, hosted, joining
from portal.accounts.models import User
from portal.accounts.refusals import Refused

log = logging.getLogger(__name__)


@require_safe
@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the hosted UI. Nothing changes on the server: what must be remembered is in a cookie."""
    provider = request.GET.get("provider", "")
    if provider and provider not in federation.providers():
        raise Http404
    connecting = ""
    if "connect" in request.GET:
        if not provider or not session.has_cognito_account(request):
            raise Http404
        assert isinstance(request.user, User)  # noqa: S101 - who has an account is signed in
        connecting = request.user.sub
    flow = hosted.begin(provider=provider, target=request.GET.get("next", ""), connecting=connecting)
    response = HttpResponseRedirect(hosted.authorize_url(flow))
    hosted.keep(request, response, flow)
    return response


@require_safe
@never_cache
@sensitive_variables()
def callback(request: HttpRequest) -> HttpResponse:
    """Take back whom the hosted UI sends. Where Cognito does not answer, the flow is kept: reloading the page tries
    again."""
    try:
        response = _arrive(request)
    except (Refused, tokens.InvalidToken) as error:
        log.warning("A sign-in at the hosted UI was refused (%s).", type(error).__name__)
        refusal = error if isinstance(error, Refused) else hosted.Astray()
        response = render(request, "accounts/hosted_refused.html", {"why": str(refusal)}, status=400)
    hosted.forget(request, response)
    cookies.put(response, hosted.BEEN_THERE, True, seconds=hosted.BEEN_THERE_SECONDS)
    return response


@sensitive_variables()
def _arrive(request: HttpRequest) -> HttpResponse:
    flow = hosted.kept(request)
    issued = hosted.exchange(flow, hosted.code_in(request.GET.dict()))
    claims = hosted.verified(flow, issued)
    if flow.connecting:
        # These tokens only prove who somebody is at the company. The session stays the account's.
        cognito.sign_out(issued.refresh)
        return connections.proven(request, flow, claims)
    session.sign_in(request, issued, door="hosted")
    return HttpResponseRedirect(joining.offer(request, flow.target))
