"""The way in by password: signing in and out, signing up, and setting a forgotten password anew.

What one step must remember for the next is in the session on the server, never in the form.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST
from django.views.generic import FormView

from portal import aws
from portal.accounts import cognito, forms, refusals, second_factor, session, totp
from portal.accounts.doors import federation
from portal.middleware import reference

Outcome = cognito.Tokens | cognito.Challenge

# What the session remembers between two steps.
CHALLENGE, CONFIRMING, RECOVERING, USERNAME = "challenge", "confirming", "recovering", "username"
MAILED_TO, NEXT = "mailed-to", "next"

log = logging.getLogger(__name__)


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class AskCognito(FormView):  # type: ignore[type-arg]
    """A form that Cognito answers: what it refuses is shown beside the field it is about."""

    def form_valid(self, form: Form) -> HttpResponse:
        try:
            return self.ask(form.cleaned_data)
        except refusals.SignedOut as error:
            session.sign_out(self.request)
            return start_again(self.request, error)
        except refusals.Refused as error:
            form.add_error(error.about if error.about in form.fields else None, str(error))
            return self.form_invalid(form)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            return self.form_kept(form, error)

    def form_kept(self, form: Form, error: Exception) -> HttpResponse:
        """Answer 503 where Cognito does not answer: what was filled in stays, but for passwords and codes."""
        log.warning("Cognito did not answer a form (%s).", type(error).__name__)
        form.add_error(
            None,
            "This does not work just now: the service that knows your account does not answer. Try again in a moment. "
            f"Reference: {reference.get()}",
        )
        answer = self.form_invalid(form)
        answer.status_code = 503
        answer["Retry-After"] = "2"
        return answer

    def ask(self, answers: dict[str, str]) -> HttpResponse:
        raise NotImplementedError


def start_again(request: HttpRequest, why: refusals.Refused) -> HttpResponse:
    messages.info(request, str(why))
    return redirect("accounts:sign-in")


# --- Signing in -------------------------------------------------------------------------------------------------------


def after_sign_in(request: HttpRequest) -> str:
    """Return where the person was going: `next`, if it is a page of ours."""
    target = request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if ours else resolve_url(settings.LOGIN_REDIRECT_URL)


def sign_in_next(request: HttpRequest) -> HttpResponse:
    """Go to sign in, and from there to where the person was going before they signed up or forgot their password."""
    target = request.session.pop(NEXT, "")
    return redirect(reverse("accounts:sign-in") + (f"?{urlencode({'next': target})}" if target else ""))


def proceed(
    request: HttpRequest, outcome: Outcome, target: str, *, joining: dict[str, Any] | None = None
) -> HttpResponse:
    """Sign in with the tokens, or go on to the page of the challenge. `joining`: whom to join with the account, once it
    is proven."""
    if isinstance(outcome, cognito.Tokens):
        session.sign_in(request, outcome)
        if joining:
            from portal.accounts.doors.joining import finish

            target = finish(request, joining, target)
        return HttpResponseRedirect(target)
    state: dict[str, Any] = {}
    if outcome.name == cognito.SETUP:
        state["secret"], outcome = second_factor.start_totp_at_sign_in(outcome)
    # From here on the session is worth something: it gets a new key.
    request.session.flush()
    request.session[CHALLENGE] = {**asdict(outcome), "next": target, "joining": joining, **state}
    pages = {
        cognito.TOTP: "accounts:sign-in-code",
        cognito.SMS: "accounts:sign-in-code",
        cognito.SELECT: "accounts:sign-in-choose",
        cognito.SETUP: "accounts:sign-in-two-factor",
        cognito.NEW_PASSWORD: "accounts:sign-in-new-password",
    }
    return redirect(pages[outcome.name])


class SignIn(AskCognito):
    form_class = forms.SignInForm
    template_name = "accounts/sign_in.html"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_authenticated:
            return HttpResponseRedirect(after_sign_in(request))
        # Not where the page has something to say, or somebody just left: they would be sent round and round.
        if "stay" not in request.GET and not messages.get_messages(request):
            provider = settings.SIGN_IN_PROVIDER
            if provider and provider in federation.providers():
                query = urlencode({"provider": provider, "next": request.GET.get("next", "")})
                return HttpResponseRedirect(f"{reverse('accounts:hosted')}?{query}")
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        takes_assertions = bool(settings.SAML_PROVIDER_ARN and settings.SAML_SIGN_IN_URL)
        return super().get_context_data(providers=federation.providers(), takes_assertions=takes_assertions, **kwargs)

    def get_initial(self) -> dict[str, Any]:
        return {"username": self.request.GET.get("username") or self.request.session.get(USERNAME, "")}

    def get_form(self, form_class: type[Form] | None = None) -> Form:
        form: Form = super().get_form(form_class)
        if form.initial["username"]:
            form.fields["password"].widget.attrs["autofocus"] = form.fields["username"].widget.attrs.pop("autofocus")
        return form

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        try:
            outcome = cognito.sign_in(answers["username"], answers["password"])
        except refusals.UserNotConfirmed:
            self.request.session[CONFIRMING] = answers["username"]
            return redirect("accounts:sign-up-confirm")
        except refusals.PasswordResetRequired as error:
            messages.info(self.request, str(error))
            self.request.session[RECOVERING] = answers["username"]
            return redirect("accounts:forgot-password-confirm")
        return proceed(self.request, outcome, after_sign_in(self.request))


class AnswerChallenge(AskCognito):
    """The step between the password and the tokens."""

    names: ClassVar[tuple[str, ...]]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.session.get(CHALLENGE, {}).get("name") not in self.names:
            return redirect("accounts:sign-in")
        return super().dispatch(request, *args, **kwargs)

    @property
    def challenge(self) -> cognito.Challenge:
        state = self.request.session[CHALLENGE]
        return cognito.Challenge(
            state["name"], state["username"], state["session"], tuple(state["kinds"]), state["sent_to"]
        )

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        state = self.request.session[CHALLENGE]
        try:
            outcome = self.answer(self.challenge, answers)
            return proceed(self.request, outcome, state["next"], joining=state.get("joining"))
        except refusals.ChallengeExpired as error:
            self.request.session.flush()
            return start_again(self.request, error)

    def answer(self, challenge: cognito.Challenge, answers: dict[str, str]) -> Outcome:
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(challenge=self.challenge, **kwargs)


class SignInCode(AnswerChallenge):
    template_name = "accounts/sign_in_code.html"
    names = (cognito.TOTP, cognito.SMS)

    def get_form_class(self) -> type[Form]:
        return forms.TextCodeForm if self.challenge.name == cognito.SMS else forms.AuthenticatorCodeForm

    def answer(self, challenge: cognito.Challenge, answers: dict[str, str]) -> Outcome:
        return cognito.answer_challenge(challenge, **{f"{challenge.name}_CODE": answers["code"]})


class SignInChoose(AnswerChallenge):
    """Choose which second factor to show, where somebody has two."""

    form_class = forms.ChooseFactorForm
    template_name = "accounts/sign_in_choose.html"
    names = (cognito.SELECT,)

    def answer(self, challenge: cognito.Challenge, answers: dict[str, str]) -> Outcome:
        return cognito.answer_challenge(challenge, ANSWER=answers["kind"])


class SignInNewPassword(AnswerChallenge):
    form_class = forms.ChoosePasswordForm
    template_name = "accounts/sign_in_new_password.html"
    names = (cognito.NEW_PASSWORD,)

    def answer(self, challenge: cognito.Challenge, answers: dict[str, str]) -> Outcome:
        return cognito.answer_challenge(challenge, NEW_PASSWORD=answers["new_password"])


class SignInTwoFactor(AnswerChallenge):
    """Set a second factor up on the way in, where the user pool demands one."""

    form_class = forms.AuthenticatorCodeForm
    template_name = "accounts/two_factor_scan.html"
    names = (cognito.SETUP,)

    def answer(self, challenge: cognito.Challenge, answers: dict[str, str]) -> Outcome:
        return second_factor.finish_totp_at_sign_in(challenge, answers["code"])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        state = self.request.session[CHALLENGE]
        invitation = totp.invitation(state["secret"], state["username"])
        return super().get_context_data(must=True, **invitation, **kwargs)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    target = session.way_out(request)
    session.sign_out(request)
    messages.success(request, "You are signed out.")
    return HttpResponseRedirect(target)


# --- Signing up -------------------------------------------------------------------------------------------------------


class SignUp(AskCognito):
    form_class = forms.SignUpForm
    template_name = "accounts/sign_up.html"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_authenticated:
            return HttpResponseRedirect(after_sign_in(request))
        return super().get(request, *args, **kwargs)

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        mailed_to = cognito.sign_up(
            answers["username"],
            answers["new_password"],
            email=answers["email"],
            given_name=answers["given_name"],
            family_name=answers["family_name"],
        )
        self.request.session[CONFIRMING] = answers["username"]
        self.request.session[MAILED_TO] = mailed_to
        self.request.session[NEXT] = self.request.GET.get("next", "")
        return redirect("accounts:sign-up-confirm")


class SignUpConfirm(AskCognito):
    form_class = forms.ConfirmForm
    template_name = "accounts/sign_up_confirm.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Who comes back another day signs in, and is sent here.
        if CONFIRMING not in request.session:
            return redirect("accounts:sign-in")
        return super().dispatch(request, *args, **kwargs)

    def ask(self, answers: dict[str, str]) -> HttpResponse:
        username = self.request.session[CONFIRMING]
        cognito.confirm(username, answers["code"])
        del self.request.session[CONFIRMING]
        self.request.session[USERNAME] = username
        messages.success(self.request, "Your e-mail address is confirmed. Now sign in.")
        return sign_in_next(self.request)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        state = self.request.session
        return super().get_context_data(username=state[CONFIRMING], mailed_to=state.get(MAILED_TO), **kwargs)


@require_POST
def resend_code(request: HttpRequest) -> HttpResponse:
    """Mail another code to who is about to confirm their address."""
    username = request.session.get(CONFIRMING)
    if username is None:
        return redirect("accounts:sign-in")
    try:
        cognito.resend(username)
        messages.success(request, "A new code is on its way. Only the newest one works.")
    except refusals.Refused as error:
        messages.error(request, str(error))
    return redirect("accounts:sign-up-confirm")


def end_other_sessions(request: HttpRequest, username: str, *, sub: str | None = None) -> None:
    """End all sessions of someone who has a new password, and tell them where that is not certain."""
    if not session.end_everywhere(request, username, sub=sub):
        messages.warning(
            request,
            "You could not be signed out elsewhere. If someone else may know your password, change it once more.",
        )


# --- A forgotten password ---------------------------------------------------------------------------------------------


class ForgotPassword(AskCognito):
    form_class = forms.ForgotPasswordForm
    template_name = "accounts/forgot_password.html"

    def ask(self, answers: dict[str, str]) -> HttpResponse:
        cognito.forgot_password(answers["username"])
        self.request.session[RECOVERING] = answers["username"]
        self.request.session[NEXT] = self.request.GET.get("next", "")
        return redirect("accounts:forgot-password-confirm")


class ForgotPasswordConfirm(AskCognito):
    form_class = forms.ResetPasswordForm
    template_name = "accounts/forgot_password_confirm.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if RECOVERING not in request.session:
            return redirect("accounts:forgot-password")
        return super().dispatch(request, *args, **kwargs)

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        username = self.request.session[RECOVERING]
        cognito.confirm_forgot_password(username, answers["code"], answers["new_password"])
        target = self.request.session.get(NEXT, "")
        end_other_sessions(self.request, username)
        self.request.session.update({USERNAME: username, NEXT: target})
        messages.success(self.request, "Your new password is set. Now sign in.")
        return sign_in_next(self.request)
