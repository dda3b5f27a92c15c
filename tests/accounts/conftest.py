"""What the tests of signing in share: people made for one test, their mails, and their authenticator app."""

from __future__ import annotations

import base64
import hmac
import json
import re
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from portal import aws
from portal.accounts import second_factor, session
from portal.accounts.doors import federation
from tests import saml
from tests.accounts.company import Company, company
from tests.conftest import TestCloud

PASSWORD = "Portico-2026!"
# What Cognito says of a user name that can be nobody's.
MISFIT = "Value at 'username' failed to satisfy constraint: Member must satisfy regular expression pattern: \\S+"


@pytest.fixture(autouse=True)
def _no_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget that Cognito did not answer another test, and which second factors the pool had there."""
    monkeypatch.setattr(session, "_not_before", 0.0)
    second_factor._policy.cache_clear()
    federation.forget_providers()


@dataclass(frozen=True)
class Someone:
    """A person who exists for one test only, so that it may disable, lock or delete them."""

    username: str
    password: str = PASSWORD

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


@pytest.fixture
def someone(cloud: TestCloud) -> Someone:
    """A confirmed person."""
    person = Someone(f"p{uuid.uuid4().hex[:12]}")
    invite(cloud, person, MessageAction="SUPPRESS")
    cloud.admin("cognito-idp").admin_set_user_password(
        UserPoolId=cloud.outputs["UserPoolId"], Username=person.username, Password=person.password, Permanent=True
    )
    return person


@pytest.fixture
def newcomer() -> Someone:
    """Someone who is not in the pool."""
    return Someone(f"n{uuid.uuid4().hex[:12]}")


def invite(cloud: TestCloud, person: Someone, **parameters: str) -> None:
    cloud.admin("cognito-idp").admin_create_user(
        UserPoolId=cloud.outputs["UserPoolId"],
        Username=person.username,
        UserAttributes=[
            {"Name": "email", "Value": person.email},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "given_name", "Value": "Some"},
            {"Name": "family_name", "Value": "One"},
        ],
        **parameters,
    )


@pytest.fixture
def mails_to(cloud: TestCloud) -> Callable[[Someone], list[str]]:
    """Return a function that returns the texts of the mails to a person, oldest first."""
    return lambda person: [mail["BodyText"] for mail in cloud.mails() if person.email in mail["To"]]


@pytest.fixture
def code_to(mails_to: Callable[[Someone], list[str]]) -> Callable[[Someone], str]:
    """Return a function that returns the code in the last mail to a person."""
    return lambda person: re.findall(r"\b\d{6}\b", mails_to(person)[-1])[-1]


def totp(secret: str, *, steps: int = 0) -> str:
    """Return the code that an app shows, or will show in some steps of 30 seconds. Reference: RFC 6238."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + steps), "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack_from('>I', digest, offset)[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def age(client: Client, *, seconds_left: float) -> dict[str, Any]:
    """Make the session's ID token end in so many seconds, as far as the session knows."""
    session = client.session
    session["claims"] = {**session["claims"], "exp": int(time.time() + seconds_left)}
    session.save()
    return dict(session["tokens"])


@pytest.fixture
def cognito_refuses(cloud: TestCloud) -> Iterator[Callable[[str, str, str], None]]:
    """Return a function that makes Cognito refuse an action in a way that the local cloud does not."""
    events = aws.client("cognito-idp").meta.events
    hooks: list[tuple[str, Any]] = []

    def refuse(action: str, code: str, message: str) -> None:
        answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        name = f"before-call.cognito-identity-provider.{action}"
        hooks.append((name, lambda **_: (SimpleNamespace(status_code=400), answer)))
        events.register_first(*hooks[-1])

    yield refuse
    for hook in hooks:
        events.unregister(*hook)


def errors(answer: object) -> dict[str, list[str]]:
    """Return what a form's page says beside its fields."""
    return {name: list(said) for name, said in answer.context["form"].errors.items()}  # type: ignore[attr-defined]


@pytest.fixture
def acme(cloud: TestCloud) -> Iterator[Company]:
    """The company, with a key that the tests have."""
    with company(cloud) as acme:
        cloud.forget_calls()
        yield acme


@pytest.fixture(scope="session")
def saml_arns(_cloud: TestCloud) -> dict[str, str]:
    """The company's provider in IAM, by a key that the tests have, and a role that trusts it as the template's does."""
    iam = _cloud.admin("iam")
    provider = iam.create_saml_provider(Name="tests", SAMLMetadataDocument=saml.metadata())["SAMLProviderArn"]
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithSAML",
        "Condition": {"StringEquals": {"SAML:aud": f"{_cloud.outputs['Url']}/sign-in/saml/acs/"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="tests-saml", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return {"provider": provider, "role": role}


@pytest.fixture
def assertion(cloud: TestCloud, settings: Any, saml_arns: dict[str, str]) -> Callable[..., str]:
    """Return a function that makes a signed response for the portal; its arguments are those of tests.saml.response."""
    settings.SAML_PROVIDER_ARN, settings.SAML_ROLE_ARN = saml_arns["provider"], saml_arns["role"]
    settings.SAML_SIGN_IN_URL = saml.SIGN_IN_URL
    cloud.forget_calls()

    def make(**what: Any) -> str:
        return saml.response(**{**saml_arns, "acs": f"{settings.PORTAL_URL}/sign-in/saml/acs/", **what})

    return make


def go_on(client: Client, **fields: str) -> HttpResponse:
    """Press "Continue" on the page that asks whether somebody is whom another party names."""
    page = client.get("/sign-in/arrival/")
    seen = page.context["arrival"].seen if page.context and "arrival" in page.context else ""
    return client.post("/sign-in/arrival/", {"seen": seen, **fields})
