"""What a user pool believes of a SAML response.

Reference:
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-saml-idp-things-to-know.html and
http://docs.oasis-open.org/security/saml/v2.0/saml-profiles-2.0-os.pdf, section 4.1.4.3
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.localcloud.standins.cognito_identity_providers import IdpMetadata
from portal.localcloud.standins.saml_messages import SUCCESS
from portal.localcloud.standins.saml_signatures import NAMESPACES, SamlRefused, decode, signed_assertion

CLOCK_LEEWAY = timedelta(seconds=60)
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


@dataclass(frozen=True)
class Identity:
    """Who a provider says someone is. Several values of an attribute are one text, as Cognito keeps them."""

    name_id: str
    attributes: Mapping[str, str]


def read(encoded: str, metadata: IdpMetadata, *, audience: str, acs: str, request_id: str, now: datetime) -> Identity:
    """Return whom a response (base64) names, from what the provider signed. Raises SamlRefused."""
    response, assertion = signed_assertion(decode(encoded), list(metadata.certificates))
    status = response.find("samlp:Status/samlp:StatusCode", NAMESPACES)
    _require(status is not None and status.get("Value") == SUCCESS, "the provider did not sign anybody in")
    _require(response.get("Destination") in (None, acs), "its Destination is another")
    _require(response.get("InResponseTo") == request_id, "it answers another request")
    _require(text(_one(assertion, "saml:Issuer")) == metadata.entity_id, "its Issuer is another")
    subject = _one(assertion, "saml:Subject")
    confirmation = _one(subject, "saml:SubjectConfirmation")
    _require(confirmation.get("Method") == BEARER, "its subject is not confirmed as its bearer")
    data = _one(confirmation, "saml:SubjectConfirmationData")
    _require(data.get("Recipient") == acs, "its Recipient is another")
    _require(data.get("InResponseTo") == request_id, "it answers another request")
    conditions = _one(assertion, "saml:Conditions")
    restrictions = conditions.findall("saml:AudienceRestriction", NAMESPACES)
    _require(bool(restrictions), "it is restricted to no audience")
    for restriction in restrictions:
        audiences = [text(one) for one in restriction.findall("saml:Audience", NAMESPACES)]
        _require(audience in audiences, "it is for another audience")
    for element in (data, conditions):
        ends_at, starts_at = _moment(element, "NotOnOrAfter"), _moment(element, "NotBefore")
        _require(ends_at is None or now < ends_at, "it has expired")
        _require(starts_at is None or now >= starts_at - CLOCK_LEEWAY, "it is not valid yet")
    _require(_moment(data, "NotOnOrAfter") is not None, "it does not say until when it is valid")
    name_id = text(_one(subject, "saml:NameID"))
    _require(0 < len(name_id) <= 100, "its NameID is empty or too long")
    attributes: dict[str, list[str]] = {}
    for attribute in assertion.findall("saml:AttributeStatement/saml:Attribute", NAMESPACES):
        values = [text(value) for value in attribute.findall("saml:AttributeValue", NAMESPACES)]
        attributes.setdefault(attribute.get("Name", ""), []).extend(values)
    joined = {name: values[0] if len(values) == 1 else f"[{', '.join(values)}]" for name, values in attributes.items()}
    return Identity(name_id, joined)


def text(element: Any) -> str:
    """Return the whole text of an element: a comment within would otherwise cut a name short."""
    return "".join(element.itertext()).strip()


def _one(element: Any, path: str) -> Any:
    found = element.findall(path, NAMESPACES)
    _require(len(found) == 1, f"it must have one {path.partition(':')[2]}")
    return found[0]


def _moment(element: Any, name: str) -> datetime | None:
    value = element.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as wrong:
        raise SamlRefused(f"its {name} is no time") from wrong
    _require(moment.tzinfo is not None, f"its {name} has no time zone")
    return moment.astimezone(UTC)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SamlRefused(otherwise)
