"""The company's SAML door at the portal itself: what the ACS takes, what it refuses, and what it leaves behind."""

from __future__ import annotations

import base64
import json
import logging
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from defusedxml import ElementTree
from django.conf import settings as portal_settings
from django.core import signing
from django.test import Client

from portal.accounts.doors import cookies, saml_views
from tests import saml
from tests.accounts.conftest import go_on
from tests.conftest import SignedUp, TestCloud

ACS = "/sign-in/saml/acs/"
ARRIVAL = "/sign-in/arrival/"
Assertion = Callable[..., str]


def post(client: Client, response: str, relay_state: str = "") -> Any:
    return client.post(ACS, {"SAMLResponse": response, "RelayState": relay_state})


def asked(client: Client, target: str = "") -> str:
    """Set out to the company and return the ID of the request."""
    answer = client.get("/sign-in/saml/", {"next": target})
    query = parse_qs(urlsplit(answer["Location"]).query)
    return ElementTree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), wbits=-15)).get("ID")


def waiting(client: Client) -> dict[str, Any]:
    """Return what the browser keeps of who has come."""
    return signing.loads(client.cookies["portico-arrival"].value, salt=cookies._salt("arrival"))


def assert_refused(client: Client, answer: Any, caplog: pytest.LogCaptureFixture, reason: str = "") -> None:
    assert answer.status_code == 403
    assert "You are not signed in" in answer.content.decode()
    assert client.get(ARRIVAL).status_code == 302  # nobody waits there
    [line] = [one.getMessage() for one in caplog.records if one.name.endswith("arrival_views")]
    assert reason in line


def used(cloud: TestCloud) -> list[dict[str, Any]]:
    return cloud.items("idempotency")


# --- There and back ---------------------------------------------------------------------------------------------------


def test_an_assertion_waits_for_the_person_and_signs_nobody_in(cloud: TestCloud, assertion: Assertion) -> None:
    client = Client()
    answer = post(client, assertion(name_id="ada"), relay_state="/rides/")
    assert (answer.status_code, answer["Location"]) == (303, ARRIVAL)
    assert answer["Cache-Control"].startswith("max-age=0")
    assert list(client.cookies) == ["portico-arrival"]
    assert cloud.items("sessions") == []
    page = client.get(ARRIVAL)
    assert "Continue as Ada Lovelace?" in page.content.decode()
    assert "go_on.js" not in page.content.decode()
    assert page.wsgi_request.user.is_anonymous


def test_continuing_signs_in_for_an_hour(cloud: TestCloud, assertion: Assertion) -> None:
    client = Client()
    post(client, assertion(name_id="ada"), relay_state="/rides/?a=b")
    answer = go_on(client)
    assert (answer.status_code, answer["Location"]) == (302, "/rides/?a=b")
    user = client.get("/profile/").wsgi_request.user
    assert re.fullmatch(r"saml:[0-9a-f]{32}", user.sub)
    assert (user.username, user.email, user.groups) == ("tests_ada@acme.example", "ada@acme.example", ())
    [session] = cloud.items("sessions")
    assert (session["Sub"]["S"], session["Door"]["S"]) == (user.sub, "saml")
    hour = datetime.now(UTC) + timedelta(hours=1)
    assert abs(int(session["ExpiresAt"]["N"]) - hour.timestamp()) < 10


def test_somebody_is_the_same_person_each_time_whatever_else_is_said_of_them(assertion: Assertion) -> None:
    def person(**what: Any) -> str:
        client = Client()
        post(client, assertion(**what))
        return str(waiting(client)["person_id"])

    ada = person(name_id="ada")
    assert person(name_id="ada", email="new@acme.example") == ada
    assert person(name_id="ada.", email="ada@acme.example") != ada


def test_the_session_ends_with_the_companys(cloud: TestCloud, assertion: Assertion) -> None:
    """The end stands in what is signed."""
    client = Client()
    until = datetime.now(UTC) + timedelta(minutes=30)
    post(client, with_session_end(assertion, until))
    go_on(client)
    [session] = cloud.items("sessions")
    assert abs(int(session["ExpiresAt"]["N"]) - until.timestamp()) < 5


def with_session_end(assertion: Assertion, until: datetime) -> str:
    """Return a response, rightly signed, that says until when the company's session is."""
    from lxml import etree

    from portal.localcloud.standins import saml_messages

    root = etree.fromstring(base64.b64decode(assertion(signed="none")))
    [statement] = root.iter("{*}AuthnStatement")
    statement.set("SessionNotOnOrAfter", saml_messages.stamp(until))
    saml_messages.sign(root, root.find("{*}Assertion"), saml.key())
    return base64.b64encode(etree.tostring(root)).decode()


def test_what_is_asked_of_aws_may_do_nothing(cloud: TestCloud, assertion: Assertion) -> None:
    post(Client(), assertion())
    assert {call for call in cloud.calls() if call[0] != "dynamodb"} == {("sts", "AssumeRoleWithSAML")}


def test_this_browsers_own_request_goes_on_unasked(assertion: Assertion) -> None:
    client = Client()
    post(client, assertion(in_response_to=asked(client, "/rides/")), relay_state="/rides/")
    assert "go_on.js" in client.get(ARRIVAL).content.decode()
    assert go_on(client)["Location"] == "/rides/"
    assert client.cookies["portico-saml"].value == ""


def test_several_tabs_may_be_under_way(assertion: Assertion) -> None:
    client = Client()
    first, second = asked(client), asked(client)
    post(client, assertion(in_response_to=first))
    assert go_on(client).status_code == 302
    post(client, assertion(in_response_to=second))
    assert "go_on.js" in client.get(ARRIVAL).content.decode()


def test_where_somebody_was_going_is_sent_along_while_it_is_short() -> None:
    client = Client()
    relay_state = {
        target: parse_qs(urlsplit(client.get("/sign-in/saml/", {"next": target})["Location"]).query).get("RelayState")
        for target in ("/rides/?a=b", f"/{'a' * 90}/", "https://evil.example/")
    }
    assert relay_state == {"/rides/?a=b": ["/rides/?a=b"], f"/{'a' * 90}/": None, "https://evil.example/": ["/"]}


@pytest.fixture(autouse=True)
def _open(assertion: Assertion) -> None:
    """The door is open in every test of this file."""


@pytest.mark.parametrize("method_and_path", ["GET /sign-in/saml/", f"POST {ACS}"])
def test_without_a_provider_there_is_no_door(settings: Any, method_and_path: str) -> None:
    settings.SAML_PROVIDER_ARN = ""
    method, path = method_and_path.split()
    assert Client().generic(method, path).status_code == 404
    assert "SAML" not in Client().get("/sign-in/").content.decode()


def test_the_sign_in_page_leads_there_and_remembers_where_to() -> None:
    page = Client().get("/sign-in/?next=/rides/%3Fa%3Db").content.decode()
    assert 'href="/sign-in/saml/?next=%2Frides%2F%3Fa%3Db"' in page


def test_the_companys_administrator_gets_metadata() -> None:
    answer = Client().get("/sign-in/saml/metadata/")
    assert answer["Content-Type"] == "application/samlmetadata+xml"
    assert f"{portal_settings.PORTAL_URL}{ACS}" in answer.content.decode()


def test_addresses_are_the_portals_own_whatever_the_host_is_said_to_be(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = Client().get("/sign-in/saml/metadata/", headers={"host": "evil.example"})
    assert "evil.example" not in answer.content.decode()


# --- What is refused --------------------------------------------------------------------------------------------------


def test_what_nobody_may_accept_is_refused(
    cloud: TestCloud, saml_arns: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    attacks = saml.attacks(**saml_arns, acs=f"{portal_settings.PORTAL_URL}{ACS}")
    for name, response in attacks.items():
        caplog.clear()
        client = Client()
        answer = post(client, response)
        print(name)
        assert_refused(client, answer, caplog)
        assert "mallory" not in caplog.text
        assert response[:40] not in caplog.text
    assert used(cloud) == []
    assert cloud.items("sessions") == []
    # Three are well made: only AWS sees what is wrong with them.
    assert cloud.calls()["sts", "AssumeRoleWithSAML"] == 3


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"audience": "https://other.example"}, "another audience"),
        ({"recipient": "https://signin.aws.amazon.com/saml"}, "another recipient"),
        ({"issuer": "https://other.example"}, "InvalidIdentityToken"),
        ({"role": "arn:aws:iam::123456789012:role/other"}, "AccessDenied"),
        ({"role": ""}, "InvalidIdentityToken"),
        ({"signing_key": saml.other_key()}, "InvalidIdentityToken"),
    ],
)
def test_the_log_says_why(
    assertion: Assertion, caplog: pytest.LogCaptureFixture, what: dict[str, Any], reason: str
) -> None:
    client = Client()
    assert_refused(client, post(client, assertion(**what)), caplog, reason)


def test_an_assertion_works_once(cloud: TestCloud, assertion: Assertion, caplog: pytest.LogCaptureFixture) -> None:
    response = assertion()
    assert post(Client(), response).status_code == 303
    client = Client()
    assert_refused(client, post(client, response), caplog, "used already")


def test_of_two_at_once_one_is_taken(cloud: TestCloud, assertion: Assertion) -> None:
    response = assertion()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(Client(), response).status_code, range(4)))
    assert sorted(answers) == [303, 403, 403, 403]


def test_a_lost_reply_of_the_table_uses_nothing_up(cloud: TestCloud, assertion: Assertion) -> None:
    cloud.faults.add(service="dynamodb", action="PutItem", kind="lost_reply", times=1)
    assert post(Client(), assertion()).status_code == 303


def test_what_aws_could_not_answer_may_be_sent_again(cloud: TestCloud, assertion: Assertion) -> None:
    response = assertion()
    cloud.faults.add(service="sts", action="AssumeRoleWithSAML", kind="throttle")
    assert post(Client(raise_request_exception=False), response).status_code == 503
    cloud.faults.clear()
    assert post(Client(), response).status_code == 303


def test_the_answer_to_another_browsers_request_is_refused(
    cloud: TestCloud, assertion: Assertion, caplog: pytest.LogCaptureFixture
) -> None:
    victim = Client()
    asked(victim)
    post(victim, assertion(in_response_to=asked(Client())))
    answer = victim.get(ARRIVAL)
    assert_refused(victim, answer, caplog, "another browser")
    assert cloud.items("sessions") == []


def test_nor_can_it_be_continued_unseen(cloud: TestCloud, assertion: Assertion) -> None:
    victim = Client()
    post(victim, assertion(in_response_to=asked(Client())))
    assert victim.post(ARRIVAL).status_code == 403
    assert cloud.items("sessions") == []


def test_whoever_is_signed_in_stays_so(
    rider: SignedUp, client_for: Callable[..., Client], assertion: Assertion
) -> None:
    """Somebody else's page may post its own assertion from a rider's browser."""
    client = client_for(rider)
    post(client, assertion(name_id="mallory"))
    assert client.get("/profile/").wsgi_request.user.sub == rider.sub
    assert "You are signed in as rider" in client.get(ARRIVAL).content.decode()


def test_a_request_grows_too_old(assertion: Assertion, caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=16)):
        request_id = asked(client)
    post(client, assertion(in_response_to=request_id))
    assert_refused(client, client.get(ARRIVAL), caplog, "another browser")


@pytest.mark.parametrize(
    "relay_state",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "\\\\evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "/ok\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "https:evil.example",
        "rides/",
        "%2F%2Fevil.example",
        "/" + "a" * 2000,
    ],
)
def test_nobody_is_sent_on_to_another_site(assertion: Assertion, relay_state: str) -> None:
    client = Client()
    post(client, assertion(), relay_state=relay_state)
    assert go_on(client)["Location"] == "/"


def test_what_aws_read_must_be_what_was_read(
    assertion: Assertion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The local cloud reads as the portal does, so its answer is changed on its way."""
    assume = saml_views.sts.assume_with_saml
    for name in ("subject", "subject_type", "issuer", "audience", "name_qualifier"):
        monkeypatch.setattr(
            saml_views.sts, "assume_with_saml", lambda one, name=name: replace(assume(one), **{name: "other"})
        )
        caplog.clear()
        client = Client()
        assert_refused(client, post(client, assertion()), caplog, "in another way")


def test_nothing_of_the_assertion_is_kept(
    cloud: TestCloud, assertion: Assertion, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="portal")
    client = Client()
    response = assertion()
    post(client, response)
    go_on(client)
    kept = json.dumps([cloud.items(table) for table in portal_settings.TABLES]) + caplog.text
    kept += str(client.session.items()) + str(client.cookies)
    document = base64.b64decode(response).decode()
    for secret in (response, re.search(r"<ds:SignatureValue>([^<]{40})", document)[1], document[:60]):
        assert secret not in kept


def test_an_assertion_arrives_through_api_gateway(cloud: TestCloud, assertion: Assertion) -> None:
    from portal.lambda_entry import lambda_handler

    form = urlencode({"SAMLResponse": assertion(), "RelayState": "/rides/"}).encode()
    event = {
        "path": ACS,
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/x-www-form-urlencoded", "Host": "localhost"},
        "queryStringParameters": None,
        "requestContext": {"stage": "prod", "identity": {"sourceIp": "198.51.100.7"}},
        "body": base64.b64encode(form).decode(),
        "isBase64Encoded": True,
    }
    answer = lambda_handler(event, SimpleNamespace(aws_request_id="0" * 36))
    assert answer["statusCode"] == 303, answer
    # apig-wsgi writes Set-Cookie in as many spellings as there are cookies.
    headers = [(name.lower(), value) for name, value in answer["headers"].items()]
    assert ("location", ARRIVAL) in headers
    assert any(name == "set-cookie" and value.lstrip().startswith("portico-arrival=") for name, value in headers)
