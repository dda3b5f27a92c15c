"""A signed-in person's own account: who they are, and their password."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import TemplateView

from documents.list_views import newest
from portal import aws
from portal.accounts import cognito, forms, refusals, second_factor, session
from portal.accounts.models import User
from portal.accounts.views import AskCognito, end_other_sessions, proceed, start_again


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


class CognitoAccountOnly:
    """A page about a password or a second factor; whoever has neither here is told where theirs are."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_cognito_account(request):
            return render(request, "accounts/managed_elsewhere.html", {"door": session.door(request)})
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc,no-any-return]


@method_decorator(never_cache, name="dispatch")
class Profile(OwnAccount, TemplateView):
    template_name = "accounts/profile.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        has_account = session.has_cognito_account(self.request)
        return super().get_context_data(
            has_account=has_account,
            door=session.door(self.request),
            second_factor=self._second_factor() if has_account else "",
            **self._made(),
            **kwargs,
        )

    def _made(self) -> dict[str, Any]:
        """Return the page of everything that they made which the address asks for, or that it cannot be had now."""
        try:
            return newest(self.request, more_url=resolve_url("accounts:profile"))
        except Exception as error:
            if not aws.is_transient(error):
                raise
            return {"page": None}

    def _second_factor(self) -> str:
        """Return "on", "off", "required" where one must still be set up, "none" where the pool has none, or "unknown"
        while Cognito does not answer: the page is about more than that."""
        try:
            policy, factors = second_factor.policy(), second_factor.of(self.access_token)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            return "unknown"
        if factors.kinds:
            return "on"
        return ("required" if policy.is_required else "off") if policy.kinds else "none"


class ChangePassword(OwnAccount, CognitoAccountOnly, AskCognito):
    form_class = forms.ChangePasswordForm
    template_name = "accounts/change_password.html"

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        cognito.change_password(self.access_token, old=answers["password"], new=answers["new_password"])
        messages.success(self.request, "Your password is changed.")
        user = self.user
        end_other_sessions(self.request, user.username, sub=user.sub)
        try:
            outcome = cognito.sign_in(user.username, answers["new_password"])
        except refusals.Refused as error:
            return start_again(self.request, error)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            # The old session is over and the new password is set: the form cannot be sent again.
            return start_again(self.request, refusals.SignedOut())
        return proceed(self.request, outcome, resolve_url("accounts:profile"))
