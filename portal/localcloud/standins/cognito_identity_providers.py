"""Identity providers of a user pool: their metadata, their template type, and users who are linked to them.

MiniStack never reads the metadata, knows no AWS::Cognito::UserPoolIdentityProvider, and keeps a deleted user's links
for whoever gets the name next.
Reference:
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateIdentityProvider.html and
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cognito-userpoolidentityprovider.html
"""

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from portal.localcloud.standins.cognito_calls import CognitoCalls, Handler, Response, content_of, error
from portal.localcloud.standins.pages import is_loopback
from portal.localcloud.standins.saml_messages import REDIRECT
from portal.localcloud.standins.saml_signatures import NAMESPACES, SamlRefused, certificates_of, parse
from portal.localcloud.standins.touchpoints import module_with

TYPE = "AWS::Cognito::UserPoolIdentityProvider"
LARGEST_METADATA = 100_000
FETCH_SECONDS = 5
_PROPERTIES = ("UserPoolId", "ProviderName", "ProviderType", "ProviderDetails", "AttributeMapping", "IdpIdentifiers")


@dataclass(frozen=True)
class IdpMetadata:
    """What a SAML provider's metadata says."""

    entity_id: str
    sign_in_url: str
    certificates: tuple[x509.Certificate, ...]


def install(calls: CognitoCalls) -> None:
    """Patch the calls about providers and the deletion of users, and add the template type."""
    cognito = module_with(
        "ministack.services.cognito",
        "_create_identity_provider",
        "_update_identity_provider",
        "_delete_identity_provider",
        "_provider_links",
        "_user_pool_for_access_token",
        "_user_pools",
    )

    def checked(handler: Handler, data: dict[str, Any]) -> Response:
        known = (calls.pool_of(data) or {}).get("_identity_providers", {}).get(data.get("ProviderName"), {})
        kind = data.get("ProviderType") or known.get("ProviderType")
        if kind == "SAML" and "ProviderDetails" in data:
            problem = _details_problem(data["ProviderDetails"])
            if problem:
                return error("InvalidParameterException", problem)
        return handler(data)

    def forget_links(handler: Handler, data: dict[str, Any]) -> Response:
        if data.get("UserPoolId"):
            pool = calls.pool_of(data)
            user = calls.find_user(pool, data.get("Username"))
        else:
            user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        response = handler(data)
        if response[0] == 200 and user is not None:
            links = cognito._provider_links(pool)
            for key in [key for key, username in links.items() if username == user["Username"]]:
                del links[key]
        return response

    calls.around("CreateIdentityProvider", "UpdateIdentityProvider", run=checked)
    calls.around("AdminDeleteUser", "DeleteUser", run=forget_links)
    calls.around("AdminLinkProviderForUser", run=_refuse_as_cognito)

    def create(_logical_id: str, properties: dict[str, Any], _stack_name: str) -> Any:
        _apply(lambda data: checked(cognito._create_identity_provider, data), properties)
        return properties["ProviderName"], {}

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], _stack_name: str) -> Any:
        if any(old.get(name) != new.get(name) for name in ("UserPoolId", "ProviderName", "ProviderType")):
            # Reference: "Update requires: Replacement".
            cognito._delete_identity_provider({"UserPoolId": old["UserPoolId"], "ProviderName": physical_id})
            return create("", new, _stack_name)
        empty: dict[str, Any] = {"AttributeMapping": {}, "IdpIdentifiers": []}
        _apply(lambda data: checked(cognito._update_identity_provider, data), {**empty, **new})
        return physical_id, {}

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        if properties.get("UserPoolId") in cognito._user_pools:
            cognito._delete_identity_provider({"UserPoolId": properties["UserPoolId"], "ProviderName": physical_id})

    # Touchpoint: the table of resource handlers; CloudFormation looks the handler up at each call.
    provisioners = module_with("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}


def _refuse_as_cognito(handler: Handler, data: dict[str, Any]) -> Response:
    response = handler(data)
    if content_of(response).get("__type") == "AliasExistsException":
        message = (
            "Merging is not currently supported, provide a SourceUser that has not been signed up in order to link"
        )
        return error("InvalidParameterException", message)
    return response


def metadata_of(provider: Any) -> IdpMetadata:
    """Return a provider's metadata, fetched anew where the provider has an address for it. Raises SamlRefused."""
    details = provider.get("ProviderDetails") or {}
    return read_metadata(
        details["MetadataFile"].encode() if "MetadataFile" in details else fetch(details["MetadataURL"])
    )


def read_metadata(document: bytes) -> IdpMetadata:
    """Read a SAML provider's metadata. Raises SamlRefused."""
    root = parse(document)
    if root.tag != f"{{{NAMESPACES['md']}}}EntityDescriptor" or not root.get("entityID"):
        raise SamlRefused("it is no EntityDescriptor")
    addresses = root.xpath(
        f"md:IDPSSODescriptor/md:SingleSignOnService[@Binding='{REDIRECT}']/@Location", namespaces=NAMESPACES
    )
    certificates = certificates_of(root)
    if not addresses or not certificates:
        raise SamlRefused("it has no sign-in address with the redirect binding, or no signing certificate")
    return IdpMetadata(root.get("entityID"), addresses[0], tuple(certificates))


def fetch(address: str) -> bytes:
    """Return what is at an address of this machine. Raises SamlRefused. Redirects are not followed."""
    if not is_loopback(address):
        raise SamlRefused("the local cloud fetches from this machine only")
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=FETCH_SECONDS)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        content = answer.read(LARGEST_METADATA + 1)
    except (OSError, http.client.HTTPException) as wrong:
        raise SamlRefused("it cannot be fetched") from wrong
    finally:
        connection.close()
    if answer.status != 200 or len(content) > LARGEST_METADATA:
        raise SamlRefused("it cannot be fetched, or is too long")
    return content


def _details_problem(details: dict[str, str]) -> str:
    """Return what is wrong with a SAML provider's details, or nothing.

    What is behind an address is looked at when someone signs in: the address may be this very cloud's.
    """
    if ("MetadataURL" in details) == ("MetadataFile" in details):
        return "Either MetadataURL or MetadataFile must be given."
    if "MetadataURL" in details:
        return "" if is_loopback(details["MetadataURL"]) else "The local cloud fetches metadata from this machine only."
    try:
        read_metadata(details["MetadataFile"].encode())
    except SamlRefused as wrong:
        return f"Invalid MetadataFile: {wrong}."
    return ""


def _apply(call: Callable[[dict[str, Any]], Response], properties: dict[str, Any]) -> None:
    response = call({name: properties[name] for name in _PROPERTIES if name in properties})
    if response[0] != 200:
        raise ValueError(f"{TYPE}: {content_of(response)['message']}")
