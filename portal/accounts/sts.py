"""STS: the only module that trades a proof of who someone is for a role's short-lived credentials.

Neither call is signed: the proof is all that they take.
Reference: https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal import aws
from portal.accounts.refusals import AssertionRefused, Refused, SignedOut

SESSION_SECONDS = 3600
SHORTEST_SESSION_SECONDS = 900
# An assertion only proves who someone is: whatever is attached to the role, the session it opens may do nothing.
NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})


@dataclass(frozen=True)
class Credentials:
    """A role's credentials until they expire. The key id is no secret: CloudTrail names it beside each call."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class SamlSession:
    """Whom AWS read in an assertion whose signature it had checked."""

    credentials: Credentials = field(repr=False)
    subject: str
    subject_type: str
    issuer: str
    audience: str
    name_qualifier: str


@sensitive_variables()
def assume_with_web_identity(open_id_token: str, role_arn: str, *, session_name: str = "portico") -> Credentials:
    """Return an hour's credentials of a role for whom an identity pool's token names. Raises SignedOut.

    Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    """
    with _refusals(ExpiredTokenException=SignedOut, InvalidIdentityToken=SignedOut):
        answer = aws.client("sts").assume_role_with_web_identity(
            RoleArn=role_arn,
            RoleSessionName=session_name,
            WebIdentityToken=open_id_token,
            DurationSeconds=SESSION_SECONDS,
        )
    return credentials_of(answer["Credentials"])


@sensitive_variables()
def assume_with_saml(assertion: str) -> SamlSession:
    """Let AWS check a SAML response (base64) and return whom it names, with credentials that may do nothing. Raises
    AssertionRefused.

    Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
    """
    with _refusals(
        AccessDenied=AssertionRefused,
        ExpiredTokenException=AssertionRefused,
        IDPRejectedClaim=AssertionRefused,
        InvalidIdentityToken=AssertionRefused,
        ValidationError=AssertionRefused,
    ):
        answer = aws.client("sts").assume_role_with_saml(
            RoleArn=settings.SAML_ROLE_ARN,
            PrincipalArn=settings.SAML_PROVIDER_ARN,
            SAMLAssertion=assertion,
            Policy=NOTHING,
            DurationSeconds=SHORTEST_SESSION_SECONDS,
        )
    return SamlSession(
        credentials=credentials_of(answer["Credentials"]),
        subject=answer["Subject"],
        subject_type=answer["SubjectType"],
        issuer=answer["Issuer"],
        audience=answer["Audience"],
        name_qualifier=answer["NameQualifier"],
    )


def credentials_of(answer: Mapping[str, Any]) -> Credentials:
    """Read credentials as STS and identity pools write them; the two differ in what they call the secret."""
    return Credentials(
        access_key_id=answer["AccessKeyId"],
        secret_access_key=answer.get("SecretAccessKey") or answer["SecretKey"],
        session_token=answer["SessionToken"],
        expires_at=answer["Expiration"],
    )


@contextmanager
def _refusals(**refusals: type[Refused]) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if refusal := refusals.get(aws.error_code(error)):
            raise refusal(f"AWS says {aws.error_code(error)}") from error
        raise
