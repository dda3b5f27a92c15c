"""The HTML of Cognito's hosted sign-in pages, without any styling."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

from portal.localcloud.standins import pages
from portal.localcloud.standins.faults import Reply

TITLE = "Sign in"
# A pool's own users among the providers of a client.
OWN_USERS = "COGNITO"


def address(query: Mapping[str, str]) -> str:
    return f"/oauth2/authorize?{urlencode(query)}"


def password_page(login: str, query: Mapping[str, str], client: Any, username: str, problem: str = "") -> Reply:
    """Ask for a password, or offer the client's other providers. query is what the app asked for, login the token."""
    supported = client.get("SupportedIdentityProviders", [])
    links = "".join(
        f'<p><a href="{escape(address({**query, "identity_provider": name}))}">{escape(name)}</a></p>'
        for name in supported
        if name != OWN_USERS
    )
    own = pages.form(
        "/login",
        pages.field("username", "Username", value=username, autocomplete="username"),
        pages.field("password", "Password", type="password", autocomplete="current-password"),
        button=TITLE,
        login=login,
    )
    return pages.html(TITLE, pages.paragraph(problem, role="alert") + links + (own if OWN_USERS in supported else ""))


def challenge_page(login: str, challenge: str, parameters: Mapping[str, str], problem: str = "") -> Reply:
    """Ask for what a challenge asks for."""
    code = pages.field("code", "Code", inputmode="numeric", autocomplete="one-time-code")
    match challenge:
        case "NEW_PASSWORD_REQUIRED":
            text = "Choose a password of your own."
            fields = pages.field("password", "New password", type="password", autocomplete="new-password")
        case "SMS_MFA":
            text, fields = f"We sent a code to {parameters['CODE_DELIVERY_DESTINATION']}.", code
        case "SELECT_MFA_TYPE":
            text = "How do you want to confirm that it is you?"
            fields = "".join(
                f'<p><label><input type="radio" name="answer" value="{choice}" required> {choice}</label></p>'
                for choice in json.loads(parameters["MFAS_CAN_CHOOSE"])
            )
        case "MFA_SETUP":
            text, fields = f"Add this key to your authenticator app: {parameters['SECRET']}", code
        case _:
            text, fields = "Enter the code that your authenticator app shows.", code
    form = pages.form("/login", fields, button=TITLE, login=login)
    return pages.html(TITLE, pages.paragraph(problem, role="alert") + pages.paragraph(text) + form)


def problem_page(text: str) -> Reply:
    """Say why the browser is sent nowhere."""
    return pages.html("An error was encountered with the requested page.", pages.paragraph(text), status=400)
