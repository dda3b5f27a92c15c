"""What a SAML response says, where there is only one way to read it: the checks that come before AWS's.

AWS checks the signature and says whom it names. What is read here is what AWS verified: the document holds one
assertion, in its one place, and each signature is about the very element that it stands in. Knows nothing of Django or
AWS.

Reference: https://docs.oasis-open.org/security/saml/v2.0/saml-profiles-2.0-os.pdf, 4.1.4.3, and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html; for the attacks
https://www.usenix.org/system/files/conference/usenixsecurity12/sec12-final91.pdf
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from portal.accounts.refusals import AssertionRefused

MAX_CHARACTERS = 100_000  # AWS takes no more
MAX_NAME_CHARACTERS = 256
LEEWAY = timedelta(seconds=60)
# AWS wants an assertion within five minutes of its making.
MAX_AGE = timedelta(minutes=5)
# For whom AWS says that an assertion must be. Which portal it is for is said by Recipient.
AUDIENCE = "urn:amazon:webservices"
# The one kind of name that stays with one person for good.
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"

_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
# Any other transform would let something else be signed than what stands there.
_TRANSFORMS = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
)
_CONDITIONS = frozenset({f"{_SAML}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")})
_ID = re.compile(r"[A-Za-z_][\w.-]{0,255}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


@dataclass(frozen=True)
class Assertion:
    """Whom a company names, and for how long it does."""

    assertion_id: str
    issuer: str
    subject: str
    recipient: str
    # The request that it answers; empty where the company began.
    in_response_to: str
    session_ends_at: datetime | None
    attributes: Mapping[str, str] = field(repr=False)


def read(encoded: str, *, acs: str, now: datetime) -> Assertion:
    """Return what a response (base64) says that was sent to `acs`. Raises AssertionRefused, whose reason names the
    first check that failed and nothing that the response holds."""
    if len(encoded) > MAX_CHARACTERS:
        raise AssertionRefused("it is too long")
    root = _parse(encoded)
    assertion = _one_assertion(root)
    _check_signatures(root, assertion)
    _check_response(root, acs)
    name = _name(assertion)
    confirmation = _confirmation(assertion, acs, now)
    _check_conditions(assertion, now)
    in_response_to = confirmation.get("InResponseTo", "")
    if root.get("InResponseTo", in_response_to) != in_response_to:
        raise AssertionRefused("it answers two requests")
    issuer = _text(_only(assertion, f"{_SAML}Issuer"))
    stated = root.findall(f"{_SAML}Issuer")
    if not issuer or any(_text(one) != issuer for one in stated):
        raise AssertionRefused("its issuer is missing or not the response's")
    return Assertion(
        assertion_id=assertion.get("ID"),
        issuer=issuer,
        subject=name,
        recipient=acs,
        in_response_to=in_response_to,
        session_ends_at=_session_end(assertion, now),
        attributes=_attributes(assertion),
    )


# --- One way to read it -----------------------------------------------------------------------------------------------


class _Builder:
    """Builds the tree, and refuses what a signature does not see or two readers read in two ways."""

    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self.start, self.end, self.data = self._tree.start, self._tree.end, self._tree.data
        self.close = self._tree.close

    def comment(self, text: str) -> None:
        raise AssertionRefused("it holds a comment")

    def pi(self, target: str, data: str | None = None) -> None:
        raise AssertionRefused("it holds a processing instruction")


def _parse(encoded: str) -> Any:
    try:
        document = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AssertionRefused("it is not base 64") from error
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(document)
        return parser.close()
    except DefusedXmlException as error:
        raise AssertionRefused("it has a document type") from error
    # LookupError: an encoding that nobody knows.
    except (ParseError, LookupError, ValueError) as error:
        raise AssertionRefused("it is not XML") from error


def _one_assertion(root: Any) -> Any:
    """Return the assertion of a response in which there is nothing else that could be taken for one."""
    if root.tag != f"{_PROTOCOL}Response":
        raise AssertionRefused("it is no response")
    names = [_local(element.tag) for element in root.iter()]
    if any(name.startswith("Encrypted") for name in names):
        raise AssertionRefused("it is encrypted")
    if names.count("Response") != 1 or names.count("Assertion") != 1:
        raise AssertionRefused("it does not hold one assertion")
    assertion = root.find(f"{_SAML}Assertion")
    if assertion is None:
        raise AssertionRefused("its assertion is not in its place")
    ids = [value for element in root.iter() for name, value in element.items() if _local(name).lower() == "id"]
    if len(set(ids)) != len(ids):
        raise AssertionRefused("two elements have one ID")
    for element in (root, assertion):
        if element.get("Version") != "2.0" or not _ID.fullmatch(element.get("ID", "")):
            raise AssertionRefused("its version or an ID is wrong")
    return assertion


def _check_signatures(root: Any, assertion: Any) -> None:
    """Each signature stands in the response or in the assertion, and is about the one that it stands in."""
    signed = [(parent, child) for parent in (root, assertion) for child in parent if child.tag == f"{_DS}Signature"]
    if not signed:
        raise AssertionRefused("it is not signed")
    everywhere = sum(_local(element.tag) == "Signature" for element in root.iter())
    if len(signed) != everywhere or len({parent.get("ID") for parent, _ in signed}) != len(signed):
        raise AssertionRefused("a signature is not in its place")
    for parent, signature in signed:
        names = [_local(element.tag) for element in signature.iter()]
        reference = signature.find(f"{_DS}SignedInfo/{_DS}Reference")
        if names.count("Reference") != 1 or {"Object", "Manifest"} & set(names):
            raise AssertionRefused("a signature is about more than one thing")
        if reference is None or reference.get("URI") != f"#{parent.get('ID')}":
            raise AssertionRefused("a signature is about something else")
        if not {one.get("Algorithm") for one in signature.iter(f"{_DS}Transform")} <= _TRANSFORMS:
            raise AssertionRefused("a signature is about something that is made of it")


# --- What it says -----------------------------------------------------------------------------------------------------


def _check_response(root: Any, acs: str) -> None:
    if root.get("Destination", acs) != acs:
        raise AssertionRefused("it was sent to another address")
    if _only(root, f"{_PROTOCOL}Status/{_PROTOCOL}StatusCode").get("Value") != _SUCCESS:
        raise AssertionRefused("the company reports a failure")


def _name(assertion: Any) -> str:
    name = _only(assertion, f"{_SAML}Subject/{_SAML}NameID")
    text = _text(name)
    if not text or text != text.strip() or len(text) > MAX_NAME_CHARACTERS or not text.isprintable():
        raise AssertionRefused("its name cannot be anybody's")
    if name.get("Format") != PERSISTENT:
        raise AssertionRefused("its name is not a persistent one")
    return text


def _confirmation(assertion: Any, acs: str, now: datetime) -> Any:
    confirmation = _only(assertion, f"{_SAML}Subject/{_SAML}SubjectConfirmation")
    data = _only(confirmation, f"{_SAML}SubjectConfirmationData")
    if confirmation.get("Method") != _BEARER:
        raise AssertionRefused("it is not for its bearer")
    if data.get("Recipient") != acs:
        raise AssertionRefused("it is for another recipient")
    until = _instant(data, "NotOnOrAfter")
    if until is None or "NotBefore" in data.keys():  # noqa: SIM118 - an element, not a dict
        raise AssertionRefused("it does not say until when it may be used")
    if now - LEEWAY >= until:
        raise AssertionRefused("it has expired")
    return data


def _check_conditions(assertion: Any, now: datetime) -> None:
    issued_at = _instant(assertion, "IssueInstant")
    if issued_at is None or now - LEEWAY - MAX_AGE >= issued_at:
        raise AssertionRefused("it is too old")
    conditions = _only(assertion, f"{_SAML}Conditions")
    not_before, until = _instant(conditions, "NotBefore"), _instant(conditions, "NotOnOrAfter")
    if now + LEEWAY < issued_at or (not_before and now + LEEWAY < not_before):
        raise AssertionRefused("it is not valid yet")
    if until and now - LEEWAY >= until:
        raise AssertionRefused("it has expired")
    if not {one.tag for one in conditions} <= _CONDITIONS:
        raise AssertionRefused("it has a condition that is not known")
    restrictions = conditions.findall(f"{_SAML}AudienceRestriction")
    audiences = [{_text(one) for one in restriction.findall(f"{_SAML}Audience")} for restriction in restrictions]
    if not audiences or not all(AUDIENCE in any_of for any_of in audiences):
        raise AssertionRefused("it is for another audience")


def _session_end(assertion: Any, now: datetime) -> datetime | None:
    statements = assertion.findall(f"{_SAML}AuthnStatement")
    if not statements:
        raise AssertionRefused("it does not say that anybody signed in")
    ends = [end for end in (_instant(one, "SessionNotOnOrAfter") for one in statements) if end]
    if any(end <= now for end in ends):
        raise AssertionRefused("the company's session is over")
    return min(ends, default=None)


def _attributes(assertion: Any) -> dict[str, str]:
    """Return the first value of each attribute that has a plain one: they are shown, and decide nothing."""
    found: dict[str, str] = {}
    for attribute in assertion.findall(f"{_SAML}AttributeStatement/{_SAML}Attribute"):
        value = attribute.find(f"{_SAML}AttributeValue")
        if value is not None and len(value) == 0:
            found.setdefault(attribute.get("Name", ""), (value.text or "").strip())
    return found


# --- XML --------------------------------------------------------------------------------------------------------------


def _only(element: Any, path: str) -> Any:
    """Return what stands at a path; each step of it is there once."""
    for tag in _steps(path):
        found = element.findall(tag)
        if len(found) != 1:
            raise AssertionRefused(f"it does not hold one {_local(tag)} where that belongs")
        element = found[0]
    return element


def _steps(path: str) -> Iterator[str]:
    # The namespaces have slashes, too.
    return (match[0] for match in re.finditer(r"\{[^}]*\}\w+", path))


def _text(element: Any) -> str:
    if len(element):
        raise AssertionRefused(f"its {_local(element.tag)} is not plain text")
    return element.text or ""


def _instant(element: Any, name: str) -> datetime | None:
    text = element.get(name)
    if text is None:
        return None
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass  # the 31st of February
    raise AssertionRefused(f"its {name} is not a time in UTC")


def _local(name: str) -> str:
    return name.rpartition("}")[2]
