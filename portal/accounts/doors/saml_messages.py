"""What the portal sends to a company's SAML provider: the request to sign somebody in, and its own metadata.

Reference: https://docs.oasis-open.org/security/saml/v2.0/saml-bindings-2.0-os.pdf, 3.4.4.1, and
https://docs.oasis-open.org/security/saml/v2.0/saml-metadata-2.0-os.pdf
"""

from __future__ import annotations

import base64
import secrets
import zlib
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

from portal.accounts.doors.saml import AUDIENCE, PERSISTENT

_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def new_request_id() -> str:
    # An XML ID does not begin with a digit.
    return f"_{secrets.token_hex(16)}"


def sign_in_address(provider: str, *, request_id: str, acs: str, relay_state: str, now: datetime) -> str:
    """Return the address that takes a browser to the provider's sign-in page (HTTP-Redirect binding)."""
    request = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
        f' ID="{escape(request_id)}" Version="2.0" IssueInstant="{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"'
        f' Destination="{escape(provider)}" AssertionConsumerServiceURL="{escape(acs)}"'
        f' ProtocolBinding="{_POST}">'
        f'<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{AUDIENCE}</saml:Issuer>'
        f'<samlp:NameIDPolicy Format="{PERSISTENT}" AllowCreate="true"/>'
        "</samlp:AuthnRequest>"
    )
    # Raw deflate: without zlib's head and checksum.
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(request.encode()) + packer.flush()
    query = {"SAMLRequest": base64.b64encode(packed).decode()} | ({"RelayState": relay_state} if relay_state else {})
    return f"{provider}{'&' if '?' in provider else '?'}{urlencode(query)}"


def metadata(acs: str) -> str:
    """Return what the company's administrator gives to the provider."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{AUDIENCE}">'
        '<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true"'
        ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>"
        f'<md:AssertionConsumerService Binding="{_POST}" Location="{escape(acs)}" index="0" isDefault="true"/>'
        "</md:SPSSODescriptor></md:EntityDescriptor>\n"
    )
