"""Contract of cognito_federation.py, cognito_saml.py and cognito_identity_providers.py."""

import base64
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from lxml import etree

from tests import saml
from tests.localcloud.pools import refusal
from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.test_hosted_ui import CALLBACK, OAUTH, HostedPool, claims
from tests.visitor import Page, Visitor

MAPPING = {"email": "email", "email_verified": "email_verified", "given_name": "given_name"}


class FederatedPool(HostedPool):
    """A pool whose users may come from Acme."""

    def __init__(
        self,
        cloud: RunningCloud,
        details: dict[str, str] | None = None,
        pool_settings: dict[str, Any] | None = None,
        **mapping: str,
    ) -> None:
        super().__init__(cloud, pool_settings=pool_settings)
        self.acs = f"{cloud.endpoint}/saml2/idpresponse"
        self.audience = f"urn:amazon:cognito:sp:{self.pool_id}"
        self.cognito.create_identity_provider(
            UserPoolId=self.pool_id,
            ProviderName="Acme",
            ProviderType="SAML",
            ProviderDetails=details or {"MetadataFile": saml.metadata()},
            AttributeMapping=mapping or MAPPING,
        )
        self.cognito.update_user_pool_client(
            UserPoolId=self.pool_id,
            ClientId=self.client_id,
            **{**OAUTH, "SupportedIdentityProviders": ["COGNITO", "Acme"]},
        )

    def start(self, visitor: Visitor) -> Page:
        return self.authorize(visitor, identity_provider="Acme")

    def said(self, started: Page, **what: Any) -> dict[str, Any]:
        """Return what a right response says, with something else in it."""
        right = {"acs": self.acs, "audience": self.audience, "in_response_to": request_of(started).get("ID")}
        return {**right, **what}

    def come_back(self, visitor: Visitor, started: Page, response: str) -> Page:
        return visitor.post(self.acs, SAMLResponse=response, RelayState=started.parameters["RelayState"])

    def arrive(self, visitor: Visitor | None = None, **what: Any) -> Page:
        visitor = visitor or Visitor()
        started = self.start(visitor)
        return self.come_back(visitor, started, saml.response(**self.said(started, **what)))

    def id_token(self, back: Page) -> dict[str, Any]:
        status, tokens = self.redeem(back.parameters["code"])
        assert status == 200, tokens
        return claims(tokens["id_token"])


def request_of(started: Page) -> Any:
    return etree.fromstring(zlib.decompress(base64.b64decode(started.parameters["SAMLRequest"]), -15))


def without_code(back: Page) -> bool:
    return "code" not in back.parameters


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> FederatedPool:
    return FederatedPool(cloud)


def test_app_sends_a_person_to_their_company(pool: FederatedPool) -> None:
    visitor = Visitor()
    page = pool.authorize(visitor)
    started = visitor.follow(page, "Acme")
    assert started.location.startswith(f"{saml.SIGN_IN_URL}?")
    request = request_of(started)
    assert request.get("AssertionConsumerServiceURL") == pool.acs
    assert request.get("Destination") == saml.SIGN_IN_URL
    assert request[0].text == pool.audience


def test_person_comes_back_as_a_user_of_the_pool(pool: FederatedPool) -> None:
    visitor = Visitor()
    back = pool.arrive(visitor, name_id="Persistent-1", email="p1@acme.example")
    assert back.location.startswith(CALLBACK)
    assert back.parameters["state"] == "the-state"
    said = pool.id_token(back)
    expected = {
        "cognito:username": "Acme_Persistent-1",
        "email": "p1@acme.example",
        "email_verified": True,
        "given_name": "Ada",
        "nonce": "the-nonce",
    }
    assert {name: said[name] for name in expected} == expected
    assert "family_name" not in said  # it is not mapped
    identity = said["identities"][0]
    assert identity.pop("dateCreated").isdecimal()
    assert identity == {
        "userId": "Persistent-1",
        "providerName": "Acme",
        "providerType": "SAML",
        "issuer": saml.ENTITY_ID,
        "primary": "true",
    }
    user = pool.cognito.admin_get_user(UserPoolId=pool.pool_id, Username="Acme_Persistent-1")
    assert user["UserStatus"] == "EXTERNAL_PROVIDER"
    # The same person a second time, and within the hour without being asked.
    assert pool.id_token(pool.arrive(name_id="Persistent-1", email="new@acme.example"))["sub"] == said["sub"]
    assert pool.attributes("Acme_Persistent-1")["email"] == "new@acme.example"
    assert pool.id_token(pool.start(visitor))["sub"] == said["sub"]


def test_address_is_not_verified_unless_the_company_says_so(cloud: RunningCloud) -> None:
    pool = FederatedPool(cloud, email="email")
    assert pool.id_token(pool.arrive())["email_verified"] is False


def test_attributes_that_are_not_mapped_are_not_taken(pool: FederatedPool) -> None:
    extra = {"sub": "somebody-else", "phone_number_verified": "true", "cognito:groups": "operators"}
    said = pool.id_token(pool.arrive(name_id="eager", extra=extra))
    assert said["sub"] != "somebody-else"
    assert "phone_number_verified" not in pool.attributes("Acme_eager")
    assert "operators" not in said["cognito:groups"]


@pytest.mark.parametrize("name", saml.ATTACKS)
def test_wrong_responses_sign_nobody_in(pool: FederatedPool, name: str) -> None:
    visitor = Visitor()
    started = pool.start(visitor)
    back = pool.come_back(visitor, started, saml.attack(name, **pool.said(started)))
    assert without_code(back)
    assert back.parameters["error"] == "server_error"
    users = pool.cognito.list_users(UserPoolId=pool.pool_id, Filter='username ^= "Acme_mallory"')["Users"]
    assert users == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"audience": "urn:amazon:cognito:sp:eu-west-1_Another00"},
        {"audience": ""},
        {"recipient": "https://elsewhere.example/saml2/idpresponse"},
        {"recipient": ""},
        {"destination": "https://elsewhere.example/saml2/idpresponse"},
        {"in_response_to": "_another"},
        {"in_response_to": ""},
        {"issuer": "https://another.example/"},
        {"name_id": ""},
        {"name_id": "x" * 101},
        {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
        {"not_before": datetime.now(UTC) + timedelta(hours=5), "valid_seconds": 6 * 3_600},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_response_must_be_for_this_pool_and_this_request(pool: FederatedPool, wrong: dict[str, Any]) -> None:
    back = pool.arrive(**wrong)
    assert without_code(back)
    assert back.parameters["error"] == "server_error"


@pytest.mark.parametrize("signed", ["response", "both"])
def test_signature_may_be_the_responses(pool: FederatedPool, signed: str) -> None:
    assert pool.id_token(pool.arrive(signed=signed, name_id=signed))["cognito:username"] == f"Acme_{signed}"


def test_comment_in_a_name_does_not_cut_it_short(pool: FederatedPool) -> None:
    visitor = Visitor()
    started = pool.start(visitor)
    response = saml.with_comment_in_name_id(before="victim", after=".mallory", **pool.said(started))
    back = pool.come_back(visitor, started, response)
    assert pool.id_token(back)["cognito:username"] == "Acme_victim.mallory"


def test_response_is_taken_once_and_only_when_asked_for(pool: FederatedPool) -> None:
    visitor = Visitor()
    started = pool.start(visitor)
    response = saml.response(**pool.said(started))
    assert "code" in pool.come_back(visitor, started, response).parameters
    assert pool.come_back(visitor, started, response).status == 400
    assert visitor.post(pool.acs, SAMLResponse=response, RelayState="").status == 400
    assert visitor.post(pool.acs, SAMLResponse=response).status == 400
    # The response to one browser's request, in another's.
    other = pool.start(Visitor())
    assert without_code(pool.come_back(Visitor(), other, response))


def test_required_attribute_must_come(cloud: RunningCloud) -> None:
    schema = [{"Name": "email", "AttributeDataType": "String", "Required": True, "Mutable": True}]
    pool = FederatedPool(cloud, pool_settings={"Schema": schema})
    assert pool.arrive(email="").parameters["error_description"] == "attributes required: [email]"
    assert "code" in pool.arrive().parameters


def test_disabled_person_does_not_come_in(pool: FederatedPool) -> None:
    pool.arrive(name_id="leaver")
    pool.cognito.admin_disable_user(UserPoolId=pool.pool_id, Username="Acme_leaver")
    back = pool.arrive(name_id="leaver")
    assert without_code(back)
    assert back.parameters["error_description"] == "User is disabled."


# --- Joining ----------------------------------------------------------------------------------------------------------


def link(pool: FederatedPool, username: str, name_id: str) -> None:
    pool.cognito.admin_link_provider_for_user(
        UserPoolId=pool.pool_id,
        DestinationUser={"ProviderName": "Cognito", "ProviderAttributeValue": username},
        SourceUser={
            "ProviderName": "Acme",
            "ProviderAttributeName": "Cognito_Subject",
            "ProviderAttributeValue": name_id,
        },
    )


def test_linked_person_comes_in_as_the_local_user(pool: FederatedPool) -> None:
    username = pool.add_confirmed()
    sub, email = pool.attributes(username)["sub"], pool.email(username)
    pool.arrive(name_id="joined", email=email)
    assert refusal(lambda: link(pool, username, "joined"))[0] == "InvalidParameterException"
    pool.cognito.admin_delete_user(UserPoolId=pool.pool_id, Username="Acme_joined")
    link(pool, username, "joined")
    said = pool.id_token(pool.arrive(name_id="joined", email=email))
    assert (said["sub"], said["cognito:username"]) == (sub, username)
    identity = said["identities"][0]
    assert (identity["providerName"], identity["userId"], identity["primary"]) == ("Acme", "joined", "false")
    assert identity["issuer"] == saml.ENTITY_ID
    assert pool.attributes(username)["email_verified"] == "true"
    pool.cognito.admin_disable_provider_for_user(
        UserPoolId=pool.pool_id,
        User={"ProviderName": "Acme", "ProviderAttributeName": "Cognito_Subject", "ProviderAttributeValue": "joined"},
    )
    assert "identities" not in pool.attributes(username)
    assert pool.id_token(pool.arrive(name_id="joined", email=email))["sub"] != sub


def test_links_go_with_the_user(pool: FederatedPool) -> None:
    username = pool.add_confirmed()
    link(pool, username, "orphan")
    pool.cognito.admin_delete_user(UserPoolId=pool.pool_id, Username=username)
    pool.cognito.admin_create_user(UserPoolId=pool.pool_id, Username=username, MessageAction="SUPPRESS")
    assert pool.id_token(pool.arrive(name_id="orphan"))["cognito:username"] == "Acme_orphan"


# --- Metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"MetadataFile": "no XML"},
        {"MetadataFile": "<md/>"},
        {"MetadataFile": saml.metadata().replace('use="signing"', 'use="encryption"')},
        {"MetadataFile": '<!DOCTYPE md [<!ENTITY a "b">]>' + saml.metadata()},
        {"MetadataURL": "https://idp.acme.example/metadata"},
        {"MetadataURL": "http://127.0.0.1.evil.example/"},
        {"MetadataURL": "http://127.0.0.1@evil.example/"},
    ],
    ids=lambda details: str(details)[:40],
)
def test_wrong_metadata_is_refused(pool: FederatedPool, details: dict[str, str]) -> None:
    provider = {"UserPoolId": pool.pool_id, "ProviderName": "Wrong", "ProviderType": "SAML"}
    create = pool.cognito.create_identity_provider
    assert refusal(lambda: create(**provider, ProviderDetails=details))[0] == "InvalidParameterException"


@pytest.fixture
def metadata_address() -> Iterator[str]:
    """Return an address on this machine where the company's metadata is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(saml.metadata().encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metadata"
    server.shutdown()
    thread.join()
    server.server_close()


def test_metadata_is_fetched(cloud: RunningCloud, metadata_address: str) -> None:
    pool = FederatedPool(cloud, {"MetadataURL": metadata_address})
    assert pool.id_token(pool.arrive(name_id="fetched"))["cognito:username"] == "Acme_fetched"


def test_metadata_that_cannot_be_fetched_sends_nobody_away(cloud: RunningCloud) -> None:
    pool = FederatedPool(cloud, {"MetadataURL": "http://127.0.0.1:9/"})
    assert pool.start(Visitor()).parameters["error"] == "invalid_request"


def test_template_declares_a_provider(cloud: RunningCloud, name: str) -> None:
    formation, cognito = cloud.client("cloudformation"), cloud.client("cognito-idp")

    def template(mapping: dict[str, str] | None) -> str:
        provider = {
            "UserPoolId": {"Ref": "Pool"},
            "ProviderName": "Acme",
            "ProviderType": "SAML",
            "ProviderDetails": {"MetadataFile": saml.metadata()},
            "AttributeMapping": mapping,
        }
        resources: dict[str, Any] = {"Pool": {"Type": "AWS::Cognito::UserPool"}}
        if mapping is not None:
            resources["Acme"] = {"Type": "AWS::Cognito::UserPoolIdentityProvider", "Properties": provider}
        reference = {"Acme": {"Value": {"Ref": "Acme"}}} if mapping is not None else {}
        return json.dumps({"Resources": resources, "Outputs": {"Pool": {"Value": {"Ref": "Pool"}}, **reference}})

    def deployed(status: str) -> dict[str, str]:
        def done() -> Any:
            stack = formation.describe_stacks(StackName=name)["Stacks"][0]
            return stack if stack["StackStatus"] == status else None

        return {one["OutputKey"]: one["OutputValue"] for one in wait_until(done)["Outputs"]}

    formation.create_stack(StackName=name, TemplateBody=template({"email": "mail"}))
    outputs = deployed("CREATE_COMPLETE")
    assert outputs["Acme"] == "Acme"
    describe = cognito.describe_identity_provider
    found = describe(UserPoolId=outputs["Pool"], ProviderName="Acme")["IdentityProvider"]
    assert (found["ProviderType"], found["AttributeMapping"]) == ("SAML", {"email": "mail"})
    formation.update_stack(StackName=name, TemplateBody=template({"email": "email"}))
    deployed("UPDATE_COMPLETE")
    found = describe(UserPoolId=outputs["Pool"], ProviderName="Acme")["IdentityProvider"]
    assert found["AttributeMapping"] == {"email": "email"}
    listed = cognito.list_identity_providers(UserPoolId=outputs["Pool"])["Providers"]
    assert [one["ProviderName"] for one in listed] == ["Acme"]
    formation.update_stack(StackName=name, TemplateBody=template(None))
    assert wait_until(lambda: not cognito.list_identity_providers(UserPoolId=outputs["Pool"])["Providers"])
