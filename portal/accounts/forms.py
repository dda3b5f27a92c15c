"""What is asked on the way in. Cognito has the last word on every answer; its refusals are shown beside the field."""

from __future__ import annotations

import re

from django import forms
from django.core.validators import RegexValidator

from portal.accounts.cognito import SMS, TOTP

# The words for infrastructure/portal.yaml's password policy; a test compares the two.
PASSWORD_RULES = "At least 12 characters, among them a small and a capital letter, a digit and a symbol."  # noqa: S105


def username_field(**attributes: str) -> forms.CharField:
    return forms.CharField(
        label="User name or e-mail address",
        max_length=128,
        validators=[RegexValidator(r"^\S+\Z", "There is no space in a user name or an e-mail address.")],
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", **attributes}
        ),
    )


def password_field(label: str, *, autocomplete: str, help_text: str = "", **attributes: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=256,
        strip=False,
        help_text=help_text,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete, **attributes}),
    )


def new_password_field(label: str = "New password", **attributes: str) -> forms.CharField:
    return password_field(label, autocomplete="new-password", help_text=PASSWORD_RULES, **attributes)


class CodeField(forms.CharField):
    """Six digits, however a person or their password manager sets them out."""

    def __init__(self, label: str, **attributes: str) -> None:
        super().__init__(
            label=label,
            max_length=12,
            validators=[RegexValidator(r"^\d{6}\Z", "A code has six digits.")],
            widget=forms.TextInput(
                attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "class": "code", **attributes}
            ),
        )

    def to_python(self, value: object) -> str:
        return "".join((super().to_python(value) or "").split())


class FactorCodeField(CodeField):
    """A second factor's code. Refused, it does not come back with the form: the next one is another."""

    def bound_data(self, data: object, initial: object) -> object:
        return ""


class SignInForm(forms.Form):
    username = username_field(autofocus="autofocus")
    password = password_field("Password", autocomplete="current-password")


class SignUpForm(forms.Form):
    given_name = forms.CharField(
        label="Given name",
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "given-name", "autofocus": ""}),
    )
    family_name = forms.CharField(
        label="Family name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "family-name"})
    )
    email = forms.EmailField(label="E-mail address", help_text="A code is mailed to it.")
    username = username_field()
    new_password = new_password_field("Password")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["email"].widget.attrs["autocomplete"] = "email"
        self.fields["username"].label = "User name"
        self.fields["username"].validators.append(RegexValidator(r"^[^@]+\Z", "A user name has no @ in it."))


class ConfirmForm(forms.Form):
    code = CodeField("Code from the mail", autofocus="autofocus")


class AuthenticatorCodeForm(forms.Form):
    code = FactorCodeField("Code from your authenticator app", autofocus="autofocus")


class TextCodeForm(forms.Form):
    code = FactorCodeField("Code from the text message", autofocus="autofocus")


FACTORS = ((TOTP, "A code from my authenticator app"), (SMS, "A code in a text message"))


class ChooseFactorForm(forms.Form):
    kind = forms.ChoiceField(label="What will you use?", choices=FACTORS, widget=forms.RadioSelect, initial=TOTP)


class PreferForm(forms.Form):
    kind = forms.ChoiceField(
        label="When I sign in, ask for",
        choices=(*FACTORS, ("", "Whichever I choose each time")),
        widget=forms.RadioSelect,
        required=False,
    )


class PhoneForm(forms.Form):
    phone_number = forms.CharField(
        label="Phone number",
        max_length=40,
        help_text="With the country code, such as +44 7700 900123. A code is sent to it.",
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel", "type": "tel", "autofocus": ""}),
    )
    password = password_field("Current password", autocomplete="current-password")

    def clean_phone_number(self) -> str:
        """Return the number in E.164, e.g. +447700900123."""
        # "(0)" is what some write between the country code and the rest, and nobody dials from abroad.
        number = re.sub(r"\(0\)|[\s().\u2010-\u2015/-]", "", self.cleaned_data["phone_number"])
        number = re.sub(r"^00", "+", number)
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
            raise forms.ValidationError("Write the number with its country code, such as +44 7700 900123.")
        return number


class ChoosePasswordForm(forms.Form):
    new_password = new_password_field(autofocus="autofocus")


class ForgotPasswordForm(forms.Form):
    username = username_field(autofocus="autofocus")


class ResetPasswordForm(forms.Form):
    code = CodeField("Code from the mail", autofocus="autofocus")
    new_password = new_password_field()


class ChangePasswordForm(forms.Form):
    password = password_field("Current password", autocomplete="current-password", autofocus="autofocus")
    new_password = new_password_field()


class PasswordForm(forms.Form):
    password = password_field("Current password", autocomplete="current-password", autofocus="autofocus")


class AccountPasswordForm(forms.Form):
    password = password_field("Password of that account", autocomplete="current-password", autofocus="autofocus")
