"""A signed-in person's own account: who they are, their password, their second factor."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import TemplateView

from portal.accounts import cognito, forms, refusals, session, totp
from portal.accounts.models import User
from portal.accounts.views import AskCognito, proceed, start_again

TOTP_SECRET = "totp-secret"  # noqa: S105 - what the session calls it until the first code is right


class OwnAccount(LoginRequiredMixin):
    """A page about the signed-in person; someone whom Cognito no longer knows goes to sign in again."""

    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except refusals.SignedOut as error:
            session.sign_out(request)
            return start_again(request, error)

    @property
    def user(self) -> User:
        assert isinstance(self.request.user, User)  # noqa: S101 - what LoginRequiredMixin is for
        return self.request.user

    @property
    def access_token(self) -> str:
        return session.access_token(self.request)


@method_decorator(never_cache, name="dispatch")
class Profile(OwnAccount, TemplateView):
    template_name = "accounts/profile.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(has_totp=cognito.has_totp(self.access_token), **kwargs)


class ChangePassword(OwnAccount, AskCognito):
    form_class = forms.ChangePasswordForm
    template_name = "accounts/change_password.html"

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        cognito.change_password(self.access_token, old=answers["password"], new=answers["new_password"])
        messages.success(self.request, "Your password is changed.")
        session.end_everywhere(self.request, self.user.username)
        try:
            outcome = cognito.sign_in(self.user.username, answers["new_password"])
        except refusals.Refused as error:
            return start_again(self.request, error)
        return proceed(self.request, outcome, resolve_url("accounts:profile"))


class TwoFactor(OwnAccount, AskCognito):
    """Turn the second factor on: a secret, shown once as a picture, and a first code to prove that it arrived.

    Turned on already, it can be turned off with the password.
    """

    def get_template_names(self) -> list[str]:
        return [f"accounts/two_factor_{self.step}.html"]

    def get_form_class(self) -> type[Form]:
        return {"start": Form, "scan": forms.AuthenticatorCodeForm, "on": forms.TurnOffForm}[self.step]

    @property
    def step(self) -> str:
        if not hasattr(self, "_step"):
            if TOTP_SECRET in self.request.session:
                self._step = "scan"
            else:
                self._step = "on" if cognito.has_totp(self.access_token) else "start"
        return self._step

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        if "leave" in request.POST:
            request.session.pop(TOTP_SECRET, None)
            return redirect("accounts:profile")
        return super().post(request, *args, **kwargs)

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        match self.step:
            case "start":
                self.request.session[TOTP_SECRET] = cognito.start_totp(self.access_token)
                return redirect("accounts:two-factor")
            case "scan":
                cognito.finish_totp(self.access_token, answers["code"])
                del self.request.session[TOTP_SECRET]
                messages.success(self.request, "From now on, signing in asks for a code from your app.")
            case "on":
                cognito.check_password(self.user.username, answers["password"])
                cognito.turn_off_totp(self.access_token)
                messages.success(self.request, "From now on, your password alone signs you in.")
        return redirect("accounts:profile")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if secret := self.request.session.get(TOTP_SECRET):
            context |= totp.invitation(secret, self.user.username)
        return context
