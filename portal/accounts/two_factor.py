"""The pages on which somebody turns their second factors on and off: an app's codes, and codes in text messages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import cached_property
from django.views.decorators.debug import sensitive_variables

from portal.accounts import cognito, forms, second_factor, totp
from portal.accounts.cognito import SMS, TOTP
from portal.accounts.profile import CognitoAccountOnly, OwnAccount
from portal.accounts.views import AskCognito
from portal.dynamo import audit

# What the session keeps until the first code is right: the secret of a new app, the number that a code went to.
TOTP_SECRET, PHONE = "totp-secret", "phone"


# What they are called in addresses.
KINDS = {"app": TOTP, "phone": SMS}


class SecondFactor(OwnAccount, CognitoAccountOnly, AskCognito):
    @cached_property
    def factors(self) -> second_factor.Factors:
        return second_factor.of(self.access_token)

    def done(self, act: str, said: str) -> HttpResponse:
        audit.record(act, by=self.user, object=f"accounts.user/{self.user.sub}", object_name=self.user.username)
        messages.success(self.request, said)
        return redirect("accounts:two-factor")

    def turned_on(self, factors: second_factor.Factors, what: str) -> HttpResponse:
        is_only = len(factors.kinds) == 1
        return self.done(
            "turned a second factor on",
            f"From now on, signing in asks for {what}."
            if is_only
            else "It is on. Below, say which one signing in asks for.",
        )


class TwoFactor(SecondFactor):
    """What there is, and, for who has two, which one is asked for."""

    form_class = forms.PreferForm
    template_name = "accounts/two_factor.html"

    def get_initial(self) -> dict[str, Any]:
        return {"kind": self.factors.preferred}

    def ask(self, answers: dict[str, str]) -> HttpResponse:
        second_factor.prefer(self.access_token, answers["kind"])
        return self.done("chose a second factor", "From now on, signing in asks as you said.")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        policy, factors = second_factor.policy(), self.factors
        ways = [
            {
                "kind": kind,
                "slug": slug,
                "is_on": kind in factors.kinds,
                "may_turn_off": factors.may_turn_off(kind, policy),
            }
            for slug, kind in KINDS.items()
            if kind in policy.kinds or kind in factors.kinds
        ]
        return super().get_context_data(ways=ways, policy=policy, factors=factors, **kwargs)


class TurnOn(SecondFactor):
    """Two steps: something is made or named, then a first code proves that it is theirs. It takes the password, as
    turning it off does: who finds an open browser could lock its owner out with a second factor of their own."""

    kind: str
    state: str

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().get(request, *args, **kwargs) if self.is_offered else redirect("accounts:two-factor")

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        if "leave" in request.POST or not self.is_offered:
            request.session.pop(self.state, None)
            return redirect("accounts:two-factor")
        return super().post(request, *args, **kwargs)

    @property
    def is_offered(self) -> bool:
        return self.kind in second_factor.policy().kinds

    @property
    def is_under_way(self) -> bool:
        return self.state in self.request.session

    @cached_property
    def is_on(self) -> bool:
        return self.kind in self.factors.kinds


class App(TurnOn):
    """A secret, shown once as a picture, and a first code to prove that it arrived."""

    kind = TOTP
    state = TOTP_SECRET

    def get_template_names(self) -> list[str]:
        return ["accounts/two_factor_scan.html" if self.is_under_way else "accounts/two_factor_app.html"]

    def get_form_class(self) -> type[Form]:
        if self.is_under_way:
            return forms.AuthenticatorCodeForm
        return forms.PasswordForm

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        if not self.is_under_way:
            cognito.check_password(self.user.username, answers["password"])
            self.request.session[TOTP_SECRET] = second_factor.start_totp(self.access_token)
            return redirect("accounts:two-factor-app")
        factors = second_factor.finish_totp(self.access_token, answers["code"])
        del self.request.session[TOTP_SECRET]
        return self.turned_on(factors, "a code from your app")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if secret := self.request.session.get(TOTP_SECRET):
            return context | totp.invitation(secret, self.user.username)
        return context | {"is_on": self.is_on}


class Phone(TurnOn):
    """A number, and the code that was sent to it."""

    kind = SMS
    state = PHONE

    def get_template_names(self) -> list[str]:
        return ["accounts/two_factor_phone_code.html" if self.is_under_way else "accounts/two_factor_phone.html"]

    def get_form_class(self) -> type[Form]:
        if self.is_under_way:
            return forms.TextCodeForm
        return forms.PhoneForm

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        if "again" in request.POST:
            request.session.pop(PHONE, None)
            return redirect("accounts:two-factor-phone")
        return super().post(request, *args, **kwargs)

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        if not self.is_under_way:
            cognito.check_password(self.user.username, answers["password"])
            if answers["phone_number"] == self.factors.phone_number:
                # Proved before: Cognito sends no code for a number that stays what it is.
                return self.turned_on(second_factor.turn_on(self.access_token, SMS), "a code in a text message")
            second_factor.send_code(self.access_token, answers["phone_number"])
            self.request.session[PHONE] = answers["phone_number"]
            return redirect("accounts:two-factor-phone")
        second_factor.verify_phone(self.access_token, answers["code"])
        factors = second_factor.turn_on(self.access_token, SMS)
        del self.request.session[PHONE]
        return self.turned_on(factors, "a code in a text message")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(phone_number=self.request.session.get(PHONE), **kwargs)
        return context if self.is_under_way else context | {"is_on": self.is_on}


class TurnOff(SecondFactor):
    form_class = forms.PasswordForm
    template_name = "accounts/two_factor_off.html"

    @property
    def kind(self) -> str:
        try:
            return KINDS[self.kwargs["which"]]
        except KeyError as error:
            raise Http404 from error

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.kind not in self.factors.kinds:
            return redirect("accounts:two-factor")
        return super().get(request, *args, **kwargs)

    @sensitive_variables()
    def ask(self, answers: dict[str, str]) -> HttpResponse:
        cognito.check_password(self.user.username, answers["password"])
        second_factor.turn_off(self.access_token, self.kind)
        return self.done("turned a second factor off", "That second factor is off.")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        policy = second_factor.policy()
        return super().get_context_data(
            kind=self.kind,
            is_last=len(self.factors.kinds) == 1,
            may_turn_off=self.factors.may_turn_off(self.kind, policy),
            **kwargs,
        )
