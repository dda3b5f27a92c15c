"""Reading a SAML response as AWS does: only what the provider's certificate has signed, and only while it is fresh.

Reference: https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.saml_signatures import (
    NAMESPACES,
    SamlRefused,
    certificates_of,
    decode,
    parse,
    signed_assertion,
)

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
# For whom AWS's own metadata says that it is.
AUDIENCES = frozenset({"urn:amazon:webservices", "https://signin.aws.amazon.com/saml"})
REDEEMABLE = timedelta(minutes=5)


@dataclass(frozen=True)
class Assertion:
    """What was signed."""

    issuer: str
    subject: str
    subject_format: str
    recipient: str
    session_ends_at: datetime | None
    attributes: Mapping[str, list[str]]


def read(encoded: str, metadata: str, *, now: datetime) -> Assertion:
    """Return the assertion in a response (base64) of the provider that the metadata describes. Raises Refusal."""
    try:
        provider = parse(metadata.encode())
        response, signed = signed_assertion(decode(encoded), certificates_of(provider))
    except SamlRefused as refused:
        raise _invalid(f"Response signature invalid: {refused}") from refused
    status = response.find("samlp:Status/samlp:StatusCode", NAMESPACES)
    if status is None or status.get("Value") != SUCCESS:
        raise Refusal("IDPRejectedClaim", "The identity provider reports that authentication failed", status=403)
    assertion = _assertion(signed)
    if assertion.issuer != provider.get("entityID"):
        raise _invalid("Issuer not present in specified provider")
    _check_times(signed, now)
    audiences = {_text(one) for one in signed.findall("saml:Conditions//saml:Audience", NAMESPACES)}
    if not audiences & AUDIENCES:
        raise _invalid("Response does not contain the required audience")
    return assertion


def _assertion(signed: Any) -> Assertion:
    name = _only(signed, "saml:Subject/saml:NameID")
    confirmation = _only(signed, "saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData")
    statement = signed.find("saml:AuthnStatement", NAMESPACES)
    attributes: dict[str, list[str]] = {}
    for attribute in signed.findall("saml:AttributeStatement/saml:Attribute", NAMESPACES):
        values = [_text(value) for value in attribute.findall("saml:AttributeValue", NAMESPACES)]
        attributes.setdefault(attribute.get("Name", ""), []).extend(values)
    return Assertion(
        issuer=_text(_only(signed, "saml:Issuer")),
        subject=_text(name),
        subject_format=name.get("Format", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
        recipient=confirmation.get("Recipient", ""),
        session_ends_at=None if statement is None else _time(statement, "SessionNotOnOrAfter"),
        attributes=attributes,
    )


def _check_times(signed: Any, now: datetime) -> None:
    """Raise Refusal unless an assertion is good now."""
    issued_at = _time(signed, "IssueInstant")
    conditions = _only(signed, "saml:Conditions")
    confirmation = _only(signed, "saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData")
    ends = [_time(one, "NotOnOrAfter") for one in (conditions, confirmation)]
    not_before = _time(conditions, "NotBefore")
    if issued_at is None or ends[1] is None:
        raise _invalid("Response does not say when it was issued and until when it is good")
    if now - issued_at > REDEEMABLE:
        raise Refusal("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
    if any(end is not None and now >= end for end in ends):
        raise Refusal("ExpiredTokenException", "The assertion has expired")
    if issued_at - now > REDEEMABLE or (not_before is not None and not_before - now > REDEEMABLE):
        raise _invalid("The assertion is not good yet")


def _only(element: Any, path: str) -> Any:
    found = element.findall(path, NAMESPACES)
    if len(found) != 1:
        raise _invalid(f"Response must hold {path.rpartition(':')[2]} once")
    return found[0]


def _text(element: Any) -> str:
    """Return an element's whole text: a comment in the middle would otherwise cut a name short."""
    return "".join(element.itertext()).strip()


def _time(element: Any, name: str) -> datetime | None:
    text = element.get(name)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as wrong:
        raise _invalid(f"{name} is not a time") from wrong


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidIdentityToken", message)
