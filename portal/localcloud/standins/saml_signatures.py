"""What an identity provider has really signed of a SAML response: nothing else is ever read.

Reference: http://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf, section 5, and "On Breaking SAML: Be
Whoever You Want to Be" (USENIX Security 2012), whose eight ways to wrap a signed assertion all need a reader that
looks at the document instead of at what was signed.
"""

import base64
import binascii
from typing import Any

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
NAMESPACES = {"saml": SAML, "samlp": SAMLP, "md": METADATA, "ds": DS}
LONGEST_RESPONSE = 100_000
_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
    }
)
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


class SamlRefused(ValueError):
    """The message is not what the identity provider signed, or no message at all; the text says why."""


def parse(document: bytes) -> Any:
    """Return a document's root element. Raises SamlRefused for one that is malformed or declares a document type."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as wrong:
        raise SamlRefused("it is not XML") from wrong
    # A document type can declare entities; nothing in SAML needs one.
    if root.getroottree().docinfo.internalDTD is not None:
        raise SamlRefused("it declares a document type")
    return root


def decode(encoded: str) -> bytes:
    """Return the response a form carried. Raises SamlRefused when it is too long or not base64."""
    if len(encoded) > LONGEST_RESPONSE:
        raise SamlRefused("it is too long")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise SamlRefused("it is not base64") from wrong


def certificates_of(metadata: Any) -> list[x509.Certificate]:
    """Return the signing certificates in an identity provider's metadata (its root element)."""
    found = metadata.xpath(
        "//md:IDPSSODescriptor/md:KeyDescriptor[not(@use) or @use='signing']//ds:X509Certificate",
        namespaces=NAMESPACES,
    )
    try:
        return [x509.load_der_x509_certificate(base64.b64decode("".join((one.text or "").split()))) for one in found]
    except (binascii.Error, ValueError) as wrong:
        raise SamlRefused("a certificate in the metadata cannot be read") from wrong


def signed_assertion(response: bytes, certificates: list[x509.Certificate]) -> tuple[Any, Any]:
    """Return (response element, assertion element), the assertion as it was signed and read anew from what was signed.

    The signature is the response's or its only assertion's, by one of the certificates. The response element is
    signed only if the signature is its; its attributes are for comparison and never for identity. Raises SamlRefused.
    """
    root = parse(response)
    if root.tag != f"{{{SAMLP}}}Response":
        raise SamlRefused("it is no Response")
    assertions = root.findall(f"{{{SAML}}}Assertion")
    if len(assertions) != 1 or len(root.findall(f".//{{{SAML}}}Assertion")) != 1:
        raise SamlRefused("it must have one assertion, in its place, and not encrypted")
    identifiers = [element.get("ID") for element in root.iter(etree.Element) if element.get("ID") is not None]
    if len(identifiers) != len(set(identifiers)):
        raise SamlRefused("two of its elements have the same ID")
    # The assertion's own signature first: it says more.
    for element, location in ((assertions[0], f"./{{{SAML}}}Assertion/"), (root, "./")):
        if element.find(f"{{{DS}}}Signature") is not None:
            signed = _verified(root, location, certificates)
            if signed.tag != element.tag or signed.get("ID") != element.get("ID"):
                raise SamlRefused("what was signed is not what carries the signature")
            assertion = signed if signed.tag == f"{{{SAML}}}Assertion" else signed.find(f"{{{SAML}}}Assertion")
            return (signed if signed.tag == f"{{{SAMLP}}}Response" else root), assertion
    raise SamlRefused("it is not signed")


def _verified(root: Any, location: str, certificates: list[x509.Certificate]) -> Any:
    configuration = SignatureConfiguration(
        location=location, signature_methods=_METHODS, digest_algorithms=_DIGESTS, expect_references=1
    )
    document = etree.tostring(root)
    for certificate in certificates:
        try:
            result = XMLVerifier().verify(document, x509_cert=certificate, expect_config=configuration)
        except (SignXMLException, ValueError, etree.XMLSyntaxError):
            continue
        signed: Any = getattr(result, "signed_xml", None)
        if signed is not None:
            return signed
    raise SamlRefused("its signature is not the identity provider's")
