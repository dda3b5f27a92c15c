"""The sample company Acme's sign-in: a SAML provider to click through, at /_portico/saml-provider/.

It asks for no password: whoever is at this machine may be any of the sample people. It serves the user pools that have
its metadata address and the portal, which it finds by the role that trusts it in IAM.
Reference: http://docs.oasis-open.org/security/saml/v2.0/saml-bindings-2.0-os.pdf, sections 3.4 and 3.5, and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
"""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from portal.localcloud.standins import pages
from portal.localcloud.standins.cognito_federation import RESPONSE_PATH, audience_of
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.pages import Page, Request
from portal.localcloud.standins.saml_messages import Response, SigningKey, metadata, signed
from portal.localcloud.standins.saml_signatures import NAMESPACES, SamlRefused, parse
from portal.localcloud.standins.touchpoints import module_with

PREFIX = "/_portico/saml-provider/"
COMPANY = "Acme Company"
AWS = "urn:amazon:webservices"
LARGEST_REQUEST = 50_000


@dataclass(frozen=True)
class Employee:
    """Someone at the company. The number is what they are called for good; a name or an address can change."""

    number: str
    given_name: str
    family_name: str
    email: str
    email_verified: bool = True
    note: str = ""


EMPLOYEES = (
    Employee("acme-1001", "Ada", "Lovelace", "rider@example.com", note="has the address of the sample person rider"),
    Employee("acme-1002", "Grace", "Newcomer", "grace.newcomer@acme.example", note="is new to Portico"),
    Employee("acme-1003", "Mary", "Shelley", "author@example.com", False, "the company has not verified this address"),
)


@dataclass(frozen=True)
class ServiceProvider:
    """An app that people are sent to: its name, where it takes responses, and what they must say for it."""

    name: str
    acs: str
    audience: str
    role: str = ""

    @property
    def takes_unasked(self) -> bool:
        """Whether it takes a response it has not asked for; a user pool does not."""
        return bool(self.role)


class SamlProvider:
    """The provider's pages. It remembers nothing but its key."""

    def __init__(self, port: int, keys_dir: Path) -> None:
        self._iam = module_with("ministack.services.iam", "_roles", "_saml_providers")
        self._cognito = module_with("ministack.services.cognito", "_user_pools")
        self._cloud = f"http://127.0.0.1:{port}"
        self.entity_id = f"{self._cloud}{PREFIX}metadata"
        self._sign_in_url = f"{self._cloud}{PREFIX}sso"
        self._key = SigningKey.kept_in(keys_dir, "saml-provider")

    def pages(self) -> dict[tuple[str, str], Page]:
        return {
            ("GET", PREFIX): self.home,
            ("GET", f"{PREFIX}metadata"): self.metadata,
            ("GET", f"{PREFIX}sso"): self.choose,
            ("POST", f"{PREFIX}sso"): self.choose,
            ("POST", f"{PREFIX}sign-in"): self.sign_in,
        }

    def metadata(self, _request: Request) -> Reply:
        document = metadata(self.entity_id, self._sign_in_url, self._key)
        return Reply(200, {"Content-Type": "application/samlmetadata+xml"}, document.encode())

    def home(self, _request: Request) -> Reply:
        """List the apps that take a sign-in which begins here."""
        links = "".join(
            f'<li><a href="{PREFIX}sso?{escape(urlencode({"app": one.acs}))}">{escape(one.name)}</a></li>'
            for one in self.service_providers()
            if one.takes_unasked
        )
        return pages.html(COMPANY, f"<p>Your apps:</p><ul>{links}</ul>" if links else pages.paragraph("No apps yet."))

    def choose(self, request: Request) -> Reply:
        """Ask who is signing in, to the app that sent them or that they chose."""
        fields = request.form if request.method == "POST" else request.query
        try:
            acs, issuer, request_id = (
                _read_request(fields["SAMLRequest"], deflated=request.method == "GET")
                if "SAMLRequest" in fields
                else (fields.get("app", ""), "", "")
            )
        except SamlRefused as wrong:
            return _problem(f"The request cannot be read: {wrong}.")
        provider = self._find(acs, issuer, request_id)
        if provider is None:
            return _problem("The company does not know the app that sent you.")
        kept = {"acs": acs, "issuer": issuer, "request": request_id, "relay_state": fields.get("RelayState", "")}
        forms = "".join(
            pages.form(
                f"{PREFIX}sign-in",
                pages.paragraph(f"{one.email} {f'({one.note})' if one.note else ''}"),
                button=f"{one.given_name} {one.family_name}",
                employee=one.number,
                **kept,
            )
            for one in EMPLOYEES
        )
        return pages.html(COMPANY, pages.paragraph(f"Sign in to {provider.name} as") + forms)

    def sign_in(self, request: Request) -> Reply:
        """Hand over the signed response, which the next click carries to the app."""
        fields = request.form
        provider = self._find(fields.get("acs", ""), fields.get("issuer", ""), fields.get("request", ""))
        employee = next((one for one in EMPLOYEES if one.number == fields.get("employee")), None)
        if provider is None or employee is None:
            return _problem("The company does not know this app or this person.")
        response = signed(self._response(provider, employee, fields.get("request", "")), self._key)
        text = pages.paragraph(f"You are {employee.given_name} {employee.family_name}.")
        # IdP-initiated RelayState is left out: the app decides where to begin.
        relay = {"RelayState": fields["relay_state"]} if fields.get("relay_state") else {}
        form = pages.form(provider.acs, button="Continue", SAMLResponse=response, **relay)
        return pages.html(COMPANY, text + form)

    def service_providers(self) -> list[ServiceProvider]:
        """Return the apps that trust this provider."""
        acs = f"{self._cloud}{RESPONSE_PATH}"
        found = [
            ServiceProvider(pool["Name"], acs, audience_of(pool_id))
            for pool_id, pool in self._cognito._user_pools.items()
            for one in pool.get("_identity_providers", {}).values()
            if self.entity_id in (one.get("ProviderDetails") or {}).get("MetadataURL", "")
        ]
        ours = {arn for arn, one in self._iam._saml_providers.items() if self.entity_id in one["SAMLMetadataDocument"]}
        for role in self._iam._roles.values():
            for arn, recipient in _trusted(role):
                if arn in ours:
                    found.append(ServiceProvider("Portico", recipient, AWS, f"{role['Arn']},{arn}"))
        return found

    def _find(self, acs: str, issuer: str, request_id: str) -> ServiceProvider | None:
        """Return the app that takes responses at acs. Of those that share an address, the one that asked."""
        for one in self.service_providers():
            if one.acs == acs and (one.takes_unasked or (one.audience == issuer and request_id)):
                return one
        return None

    def _response(self, provider: ServiceProvider, employee: Employee, request_id: str) -> Response:
        attributes = {
            "email": employee.email,
            "email_verified": str(employee.email_verified).lower(),
            "given_name": employee.given_name,
            "family_name": employee.family_name,
        }
        if provider.role:
            attributes |= {
                "https://aws.amazon.com/SAML/Attributes/Role": provider.role,
                "https://aws.amazon.com/SAML/Attributes/RoleSessionName": employee.number,
            }
        return Response(
            issuer=self.entity_id,
            acs=provider.acs,
            audience=provider.audience,
            name_id=employee.number,
            attributes=attributes,
            in_response_to=request_id,
        )


def _read_request(encoded: str, *, deflated: bool) -> tuple[str, str, str]:
    """Return where the response is wanted, who asks and the request's ID. Raises SamlRefused."""
    try:
        document = base64.b64decode(encoded, validate=True)
        if deflated:
            inflater = zlib.decompressobj(-15)
            document = inflater.decompress(document, LARGEST_REQUEST)
    except (binascii.Error, zlib.error, ValueError) as wrong:
        raise SamlRefused("it is not encoded as SAML asks") from wrong
    root = parse(document)
    if root.tag != f"{{{NAMESPACES['samlp']}}}AuthnRequest":
        raise SamlRefused("it is no AuthnRequest")
    issuer = root.findtext("saml:Issuer", "", NAMESPACES)
    return root.get("AssertionConsumerServiceURL", ""), issuer.strip(), root.get("ID", "")


def _trusted(role: Any) -> list[tuple[str, str]]:
    """Return the SAML providers that a role trusts, each with the recipient it demands."""
    document = role["AssumeRolePolicyDocument"]
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    found = []
    for statement in policy.get("Statement", []):
        arn = (statement.get("Principal") or {}) if isinstance(statement.get("Principal"), dict) else {}
        recipient = ((statement.get("Condition") or {}).get("StringEquals") or {}).get("SAML:aud")
        if statement.get("Effect") == "Allow" and arn.get("Federated") and isinstance(recipient, str):
            found.append((arn["Federated"], recipient))
    return found


def _problem(text: str) -> Reply:
    return pages.html(COMPANY, pages.paragraph(text), status=400)
