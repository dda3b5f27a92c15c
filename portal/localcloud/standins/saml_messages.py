"""SAML messages as an identity provider makes them: metadata and signed responses."""

import base64
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner

from portal.localcloud.standins.saml_signatures import DS, SAML

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
VALID_SECONDS = 300


@dataclass(frozen=True)
class SigningKey:
    """A key pair of an identity provider, as PEM."""

    private_key: str = field(repr=False)
    certificate: str

    @classmethod
    def make(cls, name: str) -> "SigningKey":
        """Make a key and its own certificate, valid for ten years."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())

    @classmethod
    def kept_in(cls, folder: Path, name: str) -> "SigningKey":
        """Return the folder's key of that name; a new one the first time. Only its owner can read the file."""
        path = folder / f"{name}.pem"
        marker = "-----BEGIN CERTIFICATE-----"
        if not path.exists():
            made = cls.make(name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(made.private_key + made.certificate)
        private_key, _, certificate = path.read_text().partition(marker)
        return cls(private_key, marker + certificate)

    @property
    def certificate_base64(self) -> str:
        """The certificate as it stands in metadata and signatures."""
        return "".join(self.certificate.split("-----")[2].split())


def metadata(entity_id: str, sign_in_url: str, key: SigningKey) -> str:
    """Return an identity provider's metadata; it takes requests at sign_in_url by redirect and by POST."""
    services = "".join(
        f"<md:SingleSignOnService Binding={quoteattr(binding)} Location={quoteattr(sign_in_url)}/>"
        for binding in (REDIRECT, POST)
    )
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID={quoteattr(entity_id)}>'
        '<md:IDPSSODescriptor WantAuthnRequestsSigned="false"'
        ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>'
        f"{key.certificate_base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        f"<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>{services}</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


@dataclass(frozen=True)
class Response:
    """What a response says. Empty means that the element or attribute is left out."""

    issuer: str
    acs: str
    audience: str
    name_id: str
    attributes: Mapping[str, str | Sequence[str]]
    in_response_to: str = ""
    destination: str | None = None  # None: the acs
    recipient: str | None = None  # None: the acs
    name_id_format: str = PERSISTENT
    issued_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    not_before: datetime | None = None  # None: issued_at
    expires_at: datetime | None = None  # None: five minutes after issued_at
    status: str = SUCCESS
    response_id: str = field(default_factory=lambda: f"_{secrets.token_hex(16)}")
    assertion_id: str = field(default_factory=lambda: f"_{secrets.token_hex(16)}")

    def xml(self) -> str:
        """Return the response, not yet signed."""
        destination = self.acs if self.destination is None else self.destination
        head = _attributes(Destination=destination, InResponseTo=self.in_response_to)
        return (
            f'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID={quoteattr(self.response_id)}'
            f' Version="2.0" IssueInstant="{stamp(self.issued_at)}"{head}>'
            f'<saml:Issuer xmlns:saml="{SAML}">{escape(self.issuer)}</saml:Issuer>'
            f"<samlp:Status><samlp:StatusCode Value={quoteattr(self.status)}/></samlp:Status>"
            f"{self._assertion()}</samlp:Response>"
        )

    def _assertion(self) -> str:
        not_before = stamp(self.not_before or self.issued_at)
        expires_at = stamp(self.expires_at or self.issued_at + timedelta(seconds=VALID_SECONDS))
        recipient = self.acs if self.recipient is None else self.recipient
        confirmation = _attributes(Recipient=recipient, InResponseTo=self.in_response_to)
        restriction = f"<saml:Audience>{escape(self.audience)}</saml:Audience>" if self.audience else ""
        statements = "".join(
            f"<saml:Attribute Name={quoteattr(name)}>"
            + "".join(f"<saml:AttributeValue>{escape(one)}</saml:AttributeValue>" for one in _values(value))
            + "</saml:Attribute>"
            for name, value in self.attributes.items()
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID={quoteattr(self.assertion_id)} Version="2.0"'
            f' IssueInstant="{stamp(self.issued_at)}"><saml:Issuer>{escape(self.issuer)}</saml:Issuer>'
            f"<saml:Subject><saml:NameID Format={quoteattr(self.name_id_format)}>{escape(self.name_id)}</saml:NameID>"
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{expires_at}"{confirmation}/>'
            "</saml:SubjectConfirmation></saml:Subject>"
            f'<saml:Conditions NotBefore="{not_before}" NotOnOrAfter="{expires_at}">'
            + (f"<saml:AudienceRestriction>{restriction}</saml:AudienceRestriction>" if restriction else "")
            + f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{stamp(self.issued_at)}"'
            f" SessionIndex={quoteattr(self.assertion_id)}><saml:AuthnContext><saml:AuthnContextClassRef>"
            "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>"
            "</saml:AuthnContext></saml:AuthnStatement>"
            + (f"<saml:AttributeStatement>{statements}</saml:AttributeStatement>" if statements else "")
            + "</saml:Assertion>"
        )


def sign(root: Any, element: Any, key: SigningKey) -> None:
    """Sign an element of a response, in place: RSA-SHA256, the signature after the element's Issuer."""
    identifier = element.get("ID")
    # The signer works on a document of its own: what stands around must not become part of what is signed.
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    issuer = alone.find(f"{{{SAML}}}Issuer")
    place = etree.Element(f"{{{DS}}}Signature", Id="placeholder", nsmap={"ds": DS})
    alone.insert(0 if issuer is None else alone.index(issuer) + 1, place)
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0)
    signed = signer.sign(alone, key=key.private_key, cert=key.certificate, reference_uri=identifier)
    signature = signed.find(f"{{{DS}}}Signature")
    own_issuer = element.find(f"{{{SAML}}}Issuer")
    element.insert(0 if own_issuer is None else element.index(own_issuer) + 1, signature)


def signed(response: Response, key: SigningKey) -> str:
    """Return a response with a signed assertion, in base64 as a form carries it."""
    root = etree.fromstring(response.xml())
    sign(root, root.find(f"{{{SAML}}}Assertion"), key)
    return base64.b64encode(etree.tostring(root)).decode()


def stamp(moment: datetime) -> str:
    """Return a moment as SAML writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _attributes(**values: str) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value)


def _values(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
