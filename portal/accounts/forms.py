"""What is asked on the way in. Cognito has the last word on every answer; its refusals are shown beside the field."""

from __future__ import annotations

from django import forms
from django.core.validators import RegexValidator

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
    code = CodeField("Code from your authenticator app", autofocus="autofocus")


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


class TurnOffForm(forms.Form):
    password = password_field("Current password", autocomplete="current-password")
