"""Contract of saml_provider.py: the sample company, from a click to the app."""

import base64
import json
import urllib.request
import zlib
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from portal.localcloud.standins.saml_signatures import certificates_of, parse, signed_assertion
from tests.localcloud.running_cloud import RunningCloud
from tests.localcloud.test_cognito_federation import FederatedPool
from tests.visitor import Page, Visitor

PORTAL_ACS = "http://127.0.0.1:9/sign-in/saml/acs/"
NAMES = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion"}


def company(cloud: RunningCloud) -> str:
    return f"{cloud.endpoint}/_portico/saml-provider/"


def metadata(cloud: RunningCloud) -> bytes:
    with urllib.request.urlopen(f"{company(cloud)}metadata", timeout=5) as answer:
        content: bytes = answer.read()
    return content


@pytest.fixture(scope="module")
def role(cloud: RunningCloud) -> dict[str, str]:
    """Return a role that trusts the company, and the ARN under which IAM knows the company."""
    iam = cloud.client("iam")
    created = iam.create_saml_provider(Name="acme-of-the-tests", SAMLMetadataDocument=metadata(cloud).decode())
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": created["SAMLProviderArn"]},
        "Action": "sts:AssumeRoleWithSAML",
        "Condition": {"StringEquals": {"SAML:aud": PORTAL_ACS}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_role(RoleName="saml-of-the-tests", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    return {"role": arn, "provider": created["SAMLProviderArn"]}


def request(acs: str, issuer: str) -> str:
    document = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_asked" Version="2.0"'
        f' AssertionConsumerServiceURL="{acs}"><saml:Issuer xmlns:saml="{NAMES["saml"]}">{issuer}</saml:Issuer>'
        "</samlp:AuthnRequest>"
    )
    return base64.b64encode(zlib.compress(document.encode())[2:-4]).decode()


def assertion_of(cloud: RunningCloud, page: Page) -> tuple[Any, Any]:
    response = base64.b64decode(page.forms[0].fields["SAMLResponse"])
    return signed_assertion(response, certificates_of(parse(metadata(cloud))))


def test_newcomer_clicks_through_to_the_app(cloud: RunningCloud) -> None:
    pool = FederatedPool(cloud, {"MetadataURL": f"{company(cloud)}metadata"})
    visitor = Visitor()
    page = pool.start(visitor)
    assert "Grace Newcomer" in page.text
    page = visitor.submit(page, button="Grace Newcomer")
    assert page.forms[0].action == pool.acs
    back = visitor.submit(page)
    said = pool.id_token(back)
    assert said["email"] == "grace.newcomer@acme.example"
    assert said["email_verified"] is True


def test_one_has_an_address_that_the_company_has_not_verified(cloud: RunningCloud) -> None:
    pool = FederatedPool(cloud, {"MetadataURL": f"{company(cloud)}metadata"})
    visitor = Visitor()
    back = visitor.submit(visitor.submit(pool.start(visitor), button="Mary Shelley"))
    said = pool.id_token(back)
    assert (said["email"], said["email_verified"]) == ("author@example.com", False)


def test_portal_asks_for_a_response_that_sts_takes(cloud: RunningCloud, role: dict[str, str]) -> None:
    visitor = Visitor()
    asked = request(PORTAL_ACS, "urn:amazon:webservices")
    page = visitor.get(f"{company(cloud)}sso", SAMLRequest=asked, RelayState="/rides/")
    page = visitor.submit(page, button="Ada Lovelace")
    assert page.forms[0].action == PORTAL_ACS
    assert page.forms[0].fields["RelayState"] == "/rides/"
    response, assertion = assertion_of(cloud, page)
    assert response.get("InResponseTo") == "_asked"
    assert assertion.findtext(".//saml:NameID", namespaces=NAMES) == "acme-1001"
    session = cloud.client("sts").assume_role_with_saml(
        RoleArn=role["role"],
        PrincipalArn=role["provider"],
        SAMLAssertion=page.forms[0].fields["SAMLResponse"],
    )
    assert session["Subject"] == "acme-1001"
    assert session["Audience"] == PORTAL_ACS


def test_request_may_come_as_a_form(cloud: RunningCloud, role: dict[str, str]) -> None:
    inflated = zlib.decompress(base64.b64decode(request(PORTAL_ACS, "urn:amazon:webservices")), -15)
    page = Visitor().post(f"{company(cloud)}sso", SAMLRequest=base64.b64encode(inflated).decode())
    assert "Ada Lovelace" in page.text


def test_person_starts_at_the_company(cloud: RunningCloud, role: dict[str, str]) -> None:
    visitor = Visitor()
    page = visitor.follow(visitor.get(company(cloud)), "Portico")
    page = visitor.submit(page, button="Grace Newcomer")
    assert page.forms[0].action == PORTAL_ACS
    assert "RelayState" not in page.forms[0].fields
    response, assertion = assertion_of(cloud, page)
    assert response.get("InResponseTo") is None
    assert assertion.find(".//saml:SubjectConfirmationData", NAMES).get("InResponseTo") is None
    assert assertion.findtext(".//saml:Audience", namespaces=NAMES) == "urn:amazon:webservices"


@pytest.mark.parametrize(
    "asked",
    [
        request("https://evil.example/acs", "urn:amazon:webservices"),
        request("", ""),
        base64.b64encode(zlib.compress(b"x" * 10_000_000)[2:-4]).decode(),
        base64.b64encode(zlib.compress(b"<other/>")[2:-4]).decode(),
        "%%%",
    ],
    ids=["unknown app", "empty", "deflate bomb", "another message", "not base64"],
)
def test_response_goes_to_apps_that_trust_the_company_only(
    cloud: RunningCloud, role: dict[str, str], asked: str
) -> None:
    page = Visitor().get(f"{company(cloud)}sso?SAMLRequest={quote(asked)}")
    assert (page.status, page.forms) == (400, [])


def test_pool_gets_no_response_that_it_has_not_asked_for(cloud: RunningCloud) -> None:
    pool = FederatedPool(cloud, {"MetadataURL": f"{company(cloud)}metadata"})
    assert Visitor().get(f"{company(cloud)}sso", app=pool.acs).status == 400
    fields = {"acs": pool.acs, "issuer": pool.audience, "employee": "acme-1001"}
    assert Visitor().post(f"{company(cloud)}sign-in", **fields).status == 400


def test_other_sites_may_send_people_but_not_rename_the_machine(cloud: RunningCloud) -> None:
    http = urllib3.PoolManager(retries=False)
    for headers, status in (({"Sec-Fetch-Site": "cross-site"}, 200), ({"Host": "evil.example:80"}, 403)):
        assert http.request("GET", company(cloud), headers=headers).status == status


def test_key_is_kept_for_its_owner(tmp_path: Any, start: Any) -> None:
    first = start(CLOUD_KEYS_DIR=str(tmp_path))
    published = metadata(first)
    assert first.stop() == 0
    assert (tmp_path / "saml-provider.pem").stat().st_mode & 0o777 == 0o600
    second = start(CLOUD_KEYS_DIR=str(tmp_path))
    assert parse(metadata(second)).xpath("string(//*[local-name()='X509Certificate'])") == parse(published).xpath(
        "string(//*[local-name()='X509Certificate'])"
    )
