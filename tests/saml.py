"""A company's SAML provider in the tests' hands: what it would send, and what an attacker would make of it.

    saml.response()                                     signed, as base64, for the portal's own ACS: valid for AWS too
    saml.response(name_id="ada", audience="other")      the same with something else in it: see Response and `response`
    saml.response(signed="none")                        "assertion" (default), "response", "both" or "none"
    saml.response(signing_key=saml.other_key())         signed with a key that is not the provider's
    saml.attack("xsw3")                                 one of saml.ATTACKS, everything that must be refused everywhere
    saml.company(endpoint, folder)                      the sample company's key and so on: `response(**company, …)`
    saml.metadata()                                     the provider's metadata, for CreateSAMLProvider or a user pool
    saml.edited(response, old, new)                     a response changed after it was signed

Everything says "ada", or what you give as name_id, is who signed in; in an attack's unsigned part it says MALLORY.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from lxml import etree

from portal.localcloud.standins import saml_messages
from portal.localcloud.standins.saml_messages import Response, SigningKey
from portal.localcloud.standins.saml_signatures import DS, SAML

ENTITY_ID = "https://idp.acme.example/saml"
SIGN_IN_URL = "https://idp.acme.example/sign-in"
MALLORY = "mallory"
ROLE_ATTRIBUTE = "https://aws.amazon.com/SAML/Attributes/Role"
SESSION_NAME_ATTRIBUTE = "https://aws.amazon.com/SAML/Attributes/RoleSessionName"
AWS = "urn:amazon:webservices"


@cache
def key() -> SigningKey:
    """Return the provider's key pair: a new one in each run of the tests."""
    return SigningKey.make("acme")


@cache
def other_key() -> SigningKey:
    """Return a key pair of which nobody has heard."""
    return SigningKey.make("acme")


def company(endpoint: str, folder: Path) -> dict[str, Any]:
    """Return what makes a response the local cloud's sample company's, which the test cloud's stack trusts:
    `response(**company(cloud.endpoint, cloud.cloud.folder), …)`."""
    entity_id = f"{endpoint}/_portico/saml-provider/metadata"
    return {"issuer": entity_id, "signing_key": SigningKey.kept_in(folder, "saml-provider")}


def metadata(
    *, entity_id: str = ENTITY_ID, sign_in_url: str = SIGN_IN_URL, signing_key: SigningKey | None = None
) -> str:
    return saml_messages.metadata(entity_id, sign_in_url, signing_key or key())


def attributes(
    *, role: str = "", provider: str = "", session_name: str = "ada", email: str = "ada@acme.example", **others: str
) -> dict[str, str | Sequence[str]]:
    """Return the attributes of an assertion; role and provider are ARNs. What is empty is left out."""
    claims: dict[str, str | Sequence[str]] = {
        ROLE_ATTRIBUTE: f"{role},{provider}" if role else "",
        SESSION_NAME_ATTRIBUTE: session_name,
        "email": email,
        "email_verified": "true",
        "given_name": "Ada",
        "family_name": "Lovelace",
        **others,
    }
    return {name: value for name, value in claims.items() if value}


def content(
    *,
    acs: str = "http://127.0.0.1:8000/sign-in/saml/acs/",
    name_id: str = "ada",
    audience: str = AWS,
    role: str = "",
    provider: str = "",
    session_name: str = "ada",
    email: str = "ada@acme.example",
    extra: Mapping[str, str | Sequence[str]] | None = None,
    now: datetime | None = None,
    valid_seconds: int = saml_messages.VALID_SECONDS,
    **others: Any,
) -> Response:
    """Return what a response says. Times: `now` (aware; default: now) and how long from then; the others are Response's
    (in_response_to, destination, recipient, name_id_format, issuer, not_before, expires_at, status, …)."""
    issued_at = now or datetime.now(UTC)
    said = attributes(role=role, provider=provider, session_name=session_name, email=email)
    defaults = {"issuer": ENTITY_ID, "issued_at": issued_at, "expires_at": issued_at + timedelta(seconds=valid_seconds)}
    return Response(
        acs=acs, name_id=name_id, audience=audience, attributes={**said, **(extra or {})}, **{**defaults, **others}
    )


def response(*, signed: str = "assertion", signing_key: SigningKey | None = None, **what: Any) -> str:
    """Return a response in base64, as the form field SAMLResponse carries it. `what` as in `content`."""
    return _encode(_signed(content(**what), signed, signing_key or key()))


def edited(encoded: str, old: str, new: str) -> str:
    """Return a response in which old stands as new, after it was signed."""
    document = base64.b64decode(encoded).decode()
    assert old in document
    return base64.b64encode(document.replace(old, new).encode()).decode()


def attack(name: str, **what: Any) -> str:
    """Return one of ATTACKS: a response that nobody may accept. `what` as in `content`."""
    return _ATTACKS[name](what)


def attacks(**what: Any) -> dict[str, str]:
    """Return all of them, by what is wrong with them. It takes a second: parametrise by ATTACKS where you can."""
    return {name: attack(name, **what) for name in ATTACKS}


def with_comment_in_name_id(*, before: str, after: str, **what: Any) -> str:
    """Return a response, rightly signed for `before + after`, in whose NameID a comment was put after signing.

    A canonical form without comments is signed, so the signature still holds; who reads only the first text node
    takes `before` for the whole name.
    """
    encoded = response(**{**what, "name_id": before + after})
    return edited(encoded, f">{before}{after}</saml:NameID>", f">{before}<!---->{after}</saml:NameID>")


# --- The eight ways to wrap a signed assertion, https://www.usenix.org/system/files/conference/usenixsecurity12/
# sec12-final91.pdf, section 4 -----------------------------------------------------------------------------------------


def xsw1(what: Response) -> Any:
    """The signed response inside the signature of an evil response."""
    good = _signed(what, "response", key())
    evil, signature = _evil(good), copy.deepcopy(_signature(good))
    _remove_signature(evil)
    inner = copy.deepcopy(good)
    _remove_signature(inner)
    signature.append(inner)
    evil.insert(1, signature)
    return evil


def xsw2(what: Response) -> Any:
    """The signed response before the signature of an evil response."""
    good = _signed(what, "response", key())
    evil, signature = _evil(good), copy.deepcopy(_signature(good))
    _remove_signature(evil)
    inner = copy.deepcopy(good)
    _remove_signature(inner)
    evil.insert(1, inner)
    evil.insert(2, signature)
    return evil


def xsw3(what: Response) -> Any:
    """An evil assertion before the signed one."""
    root = _signed(what, "assertion", key())
    root.insert(root.index(_assertion(root)), _evil_assertion(root))
    return root


def xsw4(what: Response) -> Any:
    """The signed assertion inside an evil one."""
    root = _signed(what, "assertion", key())
    good, evil = _assertion(root), _evil_assertion(root)
    root.replace(good, evil)
    evil.append(good)
    return root


def xsw5(what: Response) -> Any:
    """An evil assertion carries the signature, the signed one stands after it."""
    root = _signed(what, "assertion", key())
    good, evil = _assertion(root), _evil_assertion(root)
    signature = _signature(good)
    good.remove(signature)
    evil.insert(1, signature)
    root.insert(root.index(good), evil)
    return root


def xsw6(what: Response) -> Any:
    """An evil assertion carries the signature, which carries the signed one."""
    root = _signed(what, "assertion", key())
    good, evil = _assertion(root), _evil_assertion(root)
    signature = _signature(good)
    good.remove(signature)
    root.replace(good, evil)
    signature.append(good)
    evil.insert(1, signature)
    return root


def xsw7(what: Response) -> Any:
    """An evil assertion among the extensions."""
    root = _signed(what, "assertion", key())
    extensions = etree.Element("{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    extensions.append(_evil_assertion(root))
    root.insert(1, extensions)
    return root


def xsw8(what: Response) -> Any:
    """The signed assertion in an object of the signature that an evil one carries."""
    root = _signed(what, "assertion", key())
    good, evil = _assertion(root), _evil_assertion(root)
    signature = _signature(good)
    good.remove(signature)
    root.replace(good, evil)
    etree.SubElement(signature, f"{{{DS}}}Object").append(good)
    evil.insert(1, signature)
    return root


def same_id(what: Response) -> Any:
    """An evil assertion with the signed one's ID, before it."""
    root = _signed(what, "assertion", key())
    good, evil = _assertion(root), _evil_assertion(root)
    evil.set("ID", good.get("ID"))
    root.insert(root.index(good), evil)
    return root


def _prefixed(prefix: str) -> Callable[[dict[str, Any]], str]:
    """Return the attack of a document type before the response, whose NameID uses its entity `i`."""

    def make(what: dict[str, Any]) -> str:
        document = base64.b64decode(response(**what)).decode()
        return _encode_text(
            prefix + document.replace(f">{what.get('name_id', 'ada')}</saml:NameID>", ">&i;</saml:NameID>")
        )

    return make


def _wrapped(shape: Callable[[Response], Any]) -> Callable[[dict[str, Any]], str]:
    return lambda what: _encode(shape(content(**what)))


_BOMB = "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in pairwise("abcdefghi"))
_HOUR = timedelta(hours=1)
_ATTACKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "not base64": lambda what: "%%%",
    "not XML": lambda what: _encode_text("no XML"),
    "no response": lambda what: _encode_text("<saml/>"),
    "unsigned": lambda what: response(**{**what, "signed": "none"}),
    "another's key": lambda what: response(**{**what, "signing_key": other_key()}),
    "another's key, our certificate": lambda what: _encode(
        _with_our_certificate(_signed(content(**what), "assertion", other_key()))
    ),
    "changed after signing": lambda what: edited(
        response(**what), f">{what.get('name_id', 'ada')}</saml:NameID>", f">{MALLORY}</saml:NameID>"
    ),
    "expired": lambda what: response(**{**what, "now": datetime.now(UTC) - _HOUR}),
    "not yet valid": lambda what: response(
        **{**what, "not_before": datetime.now(UTC) + _HOUR, "valid_seconds": 2 * _HOUR.seconds}
    ),
    "failed": lambda what: response(**{**what, "status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}),
    "too long": lambda what: response(**{**what, "extra": {**(what.get("extra") or {}), "padding": "x" * 90_000}}),
    "document type": _prefixed("<!DOCTYPE samlp:Response>"),
    "entity": _prefixed(f'<!DOCTYPE samlp:Response [<!ENTITY i "{MALLORY}">]>'),
    "entity bomb": _prefixed(f'<!DOCTYPE samlp:Response [<!ENTITY a "lol">{_BOMB}]>'),
    "file entity": _prefixed('<!DOCTYPE samlp:Response [<!ENTITY i SYSTEM "file:///etc/hostname">]>'),
    "outside document type": _prefixed('<!DOCTYPE samlp:Response SYSTEM "http://127.0.0.1:9/a.dtd">'),
    **{shape.__name__: _wrapped(shape) for shape in (xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, same_id)},
}
ATTACKS = tuple(_ATTACKS)


def _signed(what: Response, signed: str, signing_key: SigningKey) -> Any:
    assert signed in ("assertion", "response", "both", "none")
    root = etree.fromstring(what.xml())
    if signed in ("assertion", "both"):
        saml_messages.sign(root, _assertion(root), signing_key)
    if signed in ("response", "both"):
        saml_messages.sign(root, root, signing_key)
    return root


def _assertion(root: Any) -> Any:
    return root.find(f"{{{SAML}}}Assertion")


def _signature(element: Any) -> Any:
    return element.find(f"{{{DS}}}Signature")


def _remove_signature(element: Any) -> None:
    element.remove(_signature(element))


def _evil(good: Any) -> Any:
    """Return a copy of a response with another ID, for another person."""
    evil = copy.deepcopy(good)
    evil.set("ID", "_evil-response")
    assertion = _assertion(evil)
    assertion.set("ID", "_evil")
    assertion.find(f".//{{{SAML}}}NameID").text = MALLORY
    return evil


def _evil_assertion(root: Any) -> Any:
    """Return an unsigned copy of a response's assertion with another ID, for another person."""
    evil = copy.deepcopy(_assertion(root))
    _remove_signature(evil)
    evil.set("ID", "_evil")
    evil.find(f".//{{{SAML}}}NameID").text = MALLORY
    return evil


def _with_our_certificate(root: Any) -> Any:
    root.find(f".//{{{DS}}}X509Certificate").text = key().certificate_base64
    return root


def _encode(root: Any) -> str:
    return base64.b64encode(etree.tostring(root)).decode()


def _encode_text(document: str) -> str:
    return base64.b64encode(document.encode()).decode()
