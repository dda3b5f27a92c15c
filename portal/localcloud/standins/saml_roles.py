"""STS AssumeRoleWithSAML: a role for whom a SAML provider of IAM names. MiniStack does not have the call.

Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html
"""

import base64
import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from portal.localcloud.standins import saml_assertions
from portal.localcloud.standins.role_sessions import DEFAULT_SECONDS, SHORTEST_SECONDS, Bearer, Refusal
from portal.localcloud.standins.saml_assertions import Assertion
from portal.localcloud.standins.sts_calls import Params, StsCalls, one, opened, seconds_of
from portal.localcloud.standins.touchpoints import module_with

ACTION = "AssumeRoleWithSAML"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
TAG_PREFIX = f"{ATTRIBUTES}PrincipalTag:"
_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


def install(calls: StsCalls) -> None:
    """Answer the call. Raises TouchpointMissing."""
    iam = module_with("ministack.services.iam", "_saml_providers.get_scoped")

    def assume(params: Params) -> dict[str, Any]:
        role_arn, provider_arn = one(params, "RoleArn"), one(params, "PrincipalArn")
        account, provider_name = (provider_arn.split(":") + [""] * 5)[4], provider_arn.rpartition("/")[2]
        provider = iam._saml_providers.get_scoped(account, None, provider_arn)
        if provider is None:
            raise Refusal("InvalidIdentityToken", "Specified provider doesn't exist")
        now = datetime.now(UTC)
        assertion = saml_assertions.read(one(params, "SAMLAssertion"), provider["SAMLMetadataDocument"], now=now)
        _check_role(assertion, role_arn, provider_arn)
        subject_type = _subject_type(assertion)
        qualifier = hashlib.sha1(f"{assertion.issuer}{account}/{provider_name}".encode(), usedforsecurity=False)
        name_qualifier = base64.b64encode(qualifier.digest()).decode()
        bearer = Bearer(
            action=f"sts:{ACTION}",
            provider=provider_arn,
            keys={
                "saml:aud": assertion.recipient,
                "saml:doc": f"{account}/{provider_name}",
                "saml:iss": assertion.issuer,
                "saml:namequalifier": name_qualifier,
                "saml:sub": assertion.subject,
                "saml:sub_type": subject_type,
            },
            tags={
                name.removeprefix(TAG_PREFIX): values[0]
                for name, values in assertion.attributes.items()
                if name.startswith(TAG_PREFIX) and values
            },
        )
        session = calls.roles.open(
            role_arn,
            _session_name(assertion),
            bearer,
            seconds=_seconds(assertion, params, now),
            policies=calls.roles.session_policies(params, account),
        )
        return {
            **opened(session),
            "Subject": assertion.subject,
            "SubjectType": subject_type,
            "Issuer": assertion.issuer,
            "Audience": assertion.recipient,
            "NameQualifier": name_qualifier,
        }

    calls.add(ACTION, assume)


def _check_role(assertion: Assertion, role_arn: str, provider_arn: str) -> None:
    """Raise Refusal unless the assertion offers the role with this provider, in either order."""
    offered = [
        {part.strip() for part in value.split(",")} for value in assertion.attributes.get(f"{ATTRIBUTES}Role", [])
    ]
    if not offered:
        raise Refusal("InvalidIdentityToken", "Role is required in AuthnResponse")
    if {role_arn, provider_arn} not in offered:
        raise Refusal("AccessDenied", f"Not authorized to perform sts:{ACTION}", status=403)


def _session_name(assertion: Assertion) -> str:
    names = assertion.attributes.get(f"{ATTRIBUTES}RoleSessionName", [])
    if len(names) != 1:
        raise Refusal("InvalidIdentityToken", "RoleSessionName is required in AuthnResponse")
    if not re.fullmatch(r"[a-zA-Z_0-9+=,.@-]{2,64}", names[0]):
        message = "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"
        raise Refusal("InvalidIdentityToken", message)
    return names[0]


def _subject_type(assertion: Assertion) -> str:
    """Return "persistent" or "transient", or the whole format of another kind of name."""
    kind = assertion.subject_format.removeprefix(_FORMAT)
    return kind if kind in ("persistent", "transient") else assertion.subject_format


def _seconds(assertion: Assertion, params: Params, now: datetime) -> int:
    """Return how long the session is to be: as asked, as the assertion says, and never past its own end."""
    given = assertion.attributes.get(f"{ATTRIBUTES}SessionDuration", [str(DEFAULT_SECONDS)])[0]
    if not given.isdecimal():
        raise Refusal("InvalidIdentityToken", "SessionDuration in AuthnResponse is not a number")
    seconds = seconds_of(params) if one(params, "DurationSeconds") else int(given)
    if assertion.session_ends_at is None:
        return seconds
    left = int((assertion.session_ends_at - now).total_seconds())
    if left < SHORTEST_SECONDS:
        raise Refusal("ExpiredTokenException", "The session that the assertion speaks of ends too soon")
    return min(seconds, left)
