"""Signing in to a user pool through a SAML provider: /saml2/idpresponse and what it makes of an assertion.

MiniStack takes whatever a response says, signed or not, and stores every attribute under the name the response gives.
Reference:
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-saml-idp-authentication.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html
"""

import base64
import secrets
import time
import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from portal.localcloud.standins import pages
from portal.localcloud.standins.cognito_calls import attributes_of
from portal.localcloud.standins.cognito_hosted_ui import Authorization, HostedUi
from portal.localcloud.standins.cognito_identity_providers import IdpMetadata, metadata_of
from portal.localcloud.standins.cognito_saml import Identity, read
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.pages import Page, Request
from portal.localcloud.standins.saml_messages import POST, stamp
from portal.localcloud.standins.saml_signatures import SAML, SAMLP, SamlRefused
from portal.localcloud.standins.touchpoints import module_with

RELAY_SECONDS = 300
RESPONSE_PATH = "/saml2/idpresponse"
_BAD_RELAY = "Invalid samlResponse or relayState from identity provider"


@dataclass(frozen=True)
class Relay:
    """Someone who was sent to their provider, by the relay state. expires_at in epoch seconds."""

    authorization: Authorization
    provider: str
    request_id: str
    expires_at: float


class Federation:
    """Sends people to SAML providers and takes what they bring back."""

    def __init__(self, hosted_ui: HostedUi) -> None:
        self._hosted_ui = hosted_ui
        self._cognito = module_with(
            "ministack.services.cognito",
            "_get_pool_unscoped",
            "_linked_username_for_federation",
            "_start_federated_profile",
            "_user_identities",
            "_set_user_identities",
            "_MINISTACK_PORT",
        )
        self.acs = f"http://127.0.0.1:{self._cognito._MINISTACK_PORT}{RESPONSE_PATH}"
        self._relays: dict[str, Relay] = {}
        hosted_ui.federation = self.start

    def pages(self) -> dict[tuple[str, str], Page]:
        return {("POST", RESPONSE_PATH): self.finish}

    def start(self, provider: Any, authorization: Authorization) -> Reply:
        """Send the browser to the provider with a request of its own."""
        if provider.get("ProviderType") != "SAML":
            return authorization.refuse("invalid_request", "The local cloud knows SAML providers only")
        try:
            address = metadata_of(provider).sign_in_url
        except SamlRefused as wrong:
            return authorization.refuse("invalid_request", f"The provider's metadata: {wrong}")
        now = time.time()
        self._relays = {key: relay for key, relay in self._relays.items() if relay.expires_at > now}
        request_id, relay_state = f"_{secrets.token_hex(16)}", secrets.token_urlsafe(32)
        self._relays[relay_state] = Relay(authorization, provider["ProviderName"], request_id, now + RELAY_SECONDS)
        document = (
            f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" ID="{request_id}" Version="2.0"'
            f' IssueInstant="{stamp(datetime.now(UTC))}" Destination={quoteattr(address)}'
            f' AssertionConsumerServiceURL={quoteattr(self.acs)} ProtocolBinding="{POST}">'
            f'<saml:Issuer xmlns:saml="{SAML}">{escape(audience_of(authorization.pool_id))}</saml:Issuer>'
            "</samlp:AuthnRequest>"
        )
        deflated = base64.b64encode(zlib.compress(document.encode())[2:-4]).decode()
        return pages.redirect(address, {"SAMLRequest": deflated, "RelayState": relay_state})

    def finish(self, request: Request) -> Reply:
        """Take a response to a request that is still open, once."""
        relay = self._relays.pop(request.form.get("RelayState", ""), None)
        if relay is None or time.time() > relay.expires_at:
            return pages.html("Sign in", pages.paragraph(_BAD_RELAY), status=400)
        pool: Any = self._cognito._get_pool_unscoped(relay.authorization.pool_id)
        provider = pool["_identity_providers"].get(relay.provider) if pool else None
        if provider is None:
            return pages.html("Sign in", pages.paragraph(_BAD_RELAY), status=400)
        authorization = relay.authorization
        try:
            metadata = metadata_of(provider)
            identity = read(
                request.form.get("SAMLResponse", ""),
                metadata,
                audience=audience_of(authorization.pool_id),
                acs=self.acs,
                request_id=relay.request_id,
                now=datetime.now(UTC),
            )
        except SamlRefused as wrong:
            return authorization.refuse("server_error", f"Invalid SAML response received: {wrong}")
        mapping = provider.get("AttributeMapping") or {}
        attributes = {
            name: identity.attributes[claim] for name, claim in mapping.items() if claim in identity.attributes
        }
        required = [one["Name"] for one in pool.get("SchemaAttributes", []) if one.get("Required")]
        missing = [name for name in required if name != "sub" and not attributes.get(name)]
        if missing:
            return authorization.refuse("invalid_request", f"attributes required: [{', '.join(missing)}]")
        user = self._user(pool, provider, metadata, identity, attributes)
        if not user.get("Enabled", True):
            return authorization.refuse("invalid_request", "User is disabled.")
        session = self._hosted_ui.start_session(pool["Id"], user["Username"], relay.provider)
        return self._hosted_ui.finish(authorization, session)

    def _user(
        self, pool: Any, provider: Any, metadata: IdpMetadata, identity: Identity, attributes: dict[str, str]
    ) -> Any:
        """Return the user of an identity: the one it is linked to, or its own profile, new if need be."""
        name, now = provider["ProviderName"], time.time()
        linked = self._cognito._linked_username_for_federation(pool, name, identity.name_id, {})
        username = linked or f"{name}_{identity.name_id}"
        user = pool["_users"].get(username)
        # Where the provider says nothing of it, an address is not verified.
        said = {key: value for key, value in attributes.items() if key != "sub"}
        if "email" in said:
            said = {"email_verified": "false", **said}
        if user is None:
            user = pool["_users"][username] = {
                "Username": username,
                "Attributes": [{"Name": "sub", "Value": str(uuid.uuid4())}],
                "UserCreateDate": now,
                "Enabled": True,
                "UserStatus": "EXTERNAL_PROVIDER",
                "MFAOptions": [],
                "_password": "",
                "_groups": [],
                "_tokens": [],
            }
            pool["EstimatedNumberOfUsers"] = len(pool["_users"])
            self._cognito._start_federated_profile(pool, pool["Id"], user, name, identity.name_id)
        merged = {**attributes_of(user), **said}
        user["Attributes"] = [{"Name": key, "Value": value} for key, value in merged.items()]
        user["UserLastModifiedDate"] = now
        identities = self._cognito._user_identities(user)
        for one in identities:
            if (one.get("providerName"), one.get("userId")) == (name, identity.name_id):
                one["issuer"] = metadata.entity_id
        self._cognito._set_user_identities(user, identities)
        return user


def audience_of(pool_id: str) -> str:
    """Return what a user pool calls itself towards SAML providers."""
    return f"urn:amazon:cognito:sp:{pool_id}"
