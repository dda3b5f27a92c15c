"""The pages about one's ways to sign in: seeing, joining, connecting and disconnecting them."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from portal.accounts import cognito, forms, people, session
from portal.accounts.doors import federation, hosted, joining
from portal.accounts.doors.federation import Identity
from portal.accounts.models import Claims, User
from portal.accounts.profile import OwnAccount
from portal.accounts.refusals import Refused
from portal.accounts.views import AskCognito, proceed
from portal.dynamo import sessions

# What the session remembers of an identity that was proven, until its owner says yes.
CONNECTING = "connecting"


@method_decorator(never_cache, name="dispatch")
class Connections(OwnAccount, TemplateView):
    template_name = "accounts/connections.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        who = joining.visitor(self.user.claims)
        if who:
            return super().get_context_data(visitor=who, partner=joining.partner(who), **kwargs)
        account, links = _ways(self.user)
        linked = {one.provider for one in account.identities}
        return super().get_context_data(
            account=account,
            links=[{"id": link, "kind": link.partition(":")[0]} for link in links],
            may_disconnect=_may_disconnect(account, links),
            providers=[one for one in federation.providers() if one not in linked]
            if session.has_cognito_account(self.request)
            else [],
            **kwargs,
        )


@method_decorator(never_cache, name="dispatch")
class Join(OwnAccount, AskCognito):
    """Ask a visitor for the password of the account with their address, or to be left alone."""

    form_class = forms.AccountPasswordForm
    template_name = "accounts/connections_join.html"

    @cached_property
    def who(self) -> joining.Visitor | None:
        return joining.visitor(self.user.claims)

    @cached_property
    def partner(self) -> federation.Account | None:
        return joining.partner(self.who) if self.who else None

    @property
    def target(self) -> str:
        target: str = self.request.session.get(joining.JOINING, {}).get("target", "")
        return target or resolve_url("accounts:connections")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().get(request, *args, **kwargs) if self.partner else redirect("accounts:connections")

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        if self.who and "decline" in request.POST:
            joining.decline(self.who, now=datetime.now(UTC))
            return HttpResponseRedirect(self.target)
        return super().post(request, *args, **kwargs) if self.partner else redirect("accounts:connections")

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        if not (self.who and self.partner):
            raise Http404
        outcome = cognito.sign_in(self.partner.username, answers["password"])
        return proceed(self.request, outcome, self.target, joining=joining.begun(self.who, self.partner))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(visitor=self.who, partner=self.partner, **kwargs)


def proven(request: HttpRequest, flow: hosted.Flow, claims: Claims) -> HttpResponse:
    """Go on from a sign-in at the company that is to be connected: its owner is asked once more. A way of signing in is
    not added by a link that somebody followed."""
    user = request.user
    if not isinstance(user, User) or user.sub != flow.connecting:
        raise hosted.Astray
    try:
        who = joining.proven(claims, to=user)
    except Refused as error:
        messages.error(request, str(error))
        return redirect("accounts:connections")
    if who is None:
        messages.info(request, f"{flow.provider} leads to this account already.")
        return redirect("accounts:connections")
    request.session[CONNECTING] = {
        "visitor": asdict(who),
        "sub": user.sub,
        "until": time.time() + joining.JOINING_SECONDS,
    }
    return redirect("accounts:connect")


@login_required
@never_cache
def connect(request: HttpRequest) -> HttpResponse:
    """Connect the identity that was just proven, once its owner says so."""
    user, state = request.user, request.session.get(CONNECTING)
    assert isinstance(user, User)  # noqa: S101 - what login_required is for
    if state is None or state["sub"] != user.sub or state["until"] < time.time():
        return redirect("accounts:connections")
    who = joining.Visitor(**state["visitor"])
    if request.method != "POST":
        return render(request, "accounts/connections_connect.html", {"visitor": who})
    if "leave" not in request.POST:
        try:
            joining.join(who, by=user, id_token=session.id_token(request))
            messages.success(request, f"{who.door} is connected. It leads to this account from now on.")
        except Refused as error:
            messages.error(request, str(error))
    del request.session[CONNECTING]
    return redirect("accounts:connections")


@require_POST
@login_required
def disconnect(request: HttpRequest) -> HttpResponse:
    """Take a way in away, unless it is the last, and end the person's other sessions: somebody else may have them."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - what login_required is for
    if joining.visitor(user.claims):
        raise Http404
    account, links = _ways(user)
    identity = Identity(request.POST.get("provider", ""), request.POST.get("user", ""))
    link = request.POST.get("link", "")
    # One of the two, and one's own.
    is_own = identity in account.identities if not link else link in links and identity == Identity("", "")
    if not is_own:
        raise Http404
    if not _may_disconnect(account, links):
        messages.error(request, "This is your only way to sign in. Set a password first: sign out and press Forgot.")
        return redirect("accounts:connections")
    try:
        if link:
            joining.disconnect_person(link, by=user)
        else:
            joining.disconnect(identity, by=user)
    except Refused as error:
        messages.error(request, str(error))
        return redirect("accounts:connections")
    session.end_all(user.sub, but=sessions.session_id(request.session.session_key or ""), now=datetime.now(UTC))
    messages.success(request, "That way is disconnected, and your other sessions are ended.")
    return redirect("accounts:connections")


def _ways(user: User) -> tuple[federation.Account, list[str]]:
    """Return the account of a person of the pool, and the other doors' people who are them."""
    account = federation.find(user.username)
    if account is None or account.sub != user.sub:
        raise Http404
    person = people.find(user.sub)
    return account, sorted(person.links if person else ())


def _may_disconnect(account: federation.Account, links: list[str]) -> bool:
    return joining.may_disconnect(has_password=account.has_password, others=[*account.identities, *links][1:])
