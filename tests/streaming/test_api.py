"""POST /streaming-url: the published article's contract, what was added to it, and what goes wrong."""

from __future__ import annotations

import json
import logging
import re

import pytest
from django.conf import settings
from django.test import Client

from portal.streaming.rules import user_id
from tests.conftest import TestCloud

ORIGIN = "https://app.example.com"


def test_an_id_token_gets_a_streaming_url_and_a_reference(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    answer = ask(rider)
    assert answer.status_code == 201, answer.content
    assert answer.json() == {"Message": answer.json()["Message"], "Reference": answer["X-Reference"]}
    page = streaming.open(answer.json()["Message"])
    assert page.status == 200
    [session] = streaming.sessions()
    assert session["UserId"] == user_id(rider.sub)
    assert user_id(rider.sub) in page.data.decode()


def test_a_post_without_a_body_is_enough(streaming, rider):
    streaming.fleet()
    streaming.application()
    answer = Client().generic("POST", "/streaming-url", headers={"Authorization": rider.id_token})
    assert answer.status_code == 201, answer.content


def test_stack_fleet_and_user_come_from_the_server_whatever_the_body_says(ask, streaming, rider, author):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-elsewhere")
    streaming.application()
    names = {
        "FleetName": "sample-other",
        "StackName": "sample-elsewhere",
        "UserId": user_id(author.sub),
        "Validity": 9999,
    }
    streaming.open(ask(rider, **names).json()["Message"])
    assert [one["UserId"] for one in streaming.sessions()] == [user_id(rider.sub)]
    assert streaming.sessions("sample-elsewhere", "sample-other") == []


def test_without_an_authorizer_in_front_the_answer_is_a_clear_401(cloud: TestCloud):
    event = {
        "version": "1.0",
        "resource": "/streaming-url",
        "path": "/streaming-url",
        "httpMethod": "POST",
        "headers": {"Host": "testserver"},
        "multiValueHeaders": {"Host": ["testserver"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "reference-of-api-gateway", "httpMethod": "POST", "path": "/streaming-url"},
        "body": None,
        "isBase64Encoded": False,
    }
    from portal.lambda_entry import lambda_handler

    answer = lambda_handler(event, type("Context", (), {"aws_request_id": "r-1"})())
    assert answer["statusCode"] == 401
    said = json.loads(answer["body"])
    assert set(said) == {"Error", "Reference"}
    assert said["Error"].startswith("Authorization not configured: send an ID token")
    assert cloud.calls() == {}


def test_an_authorizers_claims_are_who_asks(streaming, rider):
    streaming.fleet()
    streaming.application()
    event = {
        "version": "1.0",
        "resource": "/streaming-url",
        "path": "/streaming-url",
        "httpMethod": "POST",
        "headers": {"Host": "testserver", "Content-Type": "application/json"},
        "multiValueHeaders": {"Host": ["testserver"], "Content-Type": ["application/json"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "requestId": "r-2",
            "httpMethod": "POST",
            "path": "/streaming-url",
            "authorizer": {"claims": {"sub": rider.sub, "cognito:username": rider.username}},
        },
        "body": "{}",
        "isBase64Encoded": False,
    }
    from portal.lambda_entry import lambda_handler

    answer = lambda_handler(event, type("Context", (), {"aws_request_id": "r-2"})())
    assert answer["statusCode"] == 201, answer
    assert json.loads(answer["body"])["Message"].startswith(settings.STREAMING_ORIGINS[0])


def test_the_configured_origin_and_no_other_may_call_it(ask, streaming, settings, rider):
    settings.API_ALLOWED_ORIGINS = [ORIGIN]
    streaming.fleet()
    streaming.application()
    for origin, allowed in [(ORIGIN, ORIGIN), ("https://evil.example.com", None)]:
        headers = {"Origin": origin, "Authorization": rider.id_token}
        answer = Client().generic("POST", "/streaming-url", headers=headers)
        assert answer.status_code == 201
        assert answer.get("Access-Control-Allow-Origin") == allowed
        preflight = Client().options(
            "/streaming-url", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert (preflight.status_code, preflight.get("Access-Control-Allow-Origin")) == (204, allowed)


def test_a_session_needs_its_csrf_token(client_for, streaming, rider):
    streaming.fleet()
    streaming.application()
    client = client_for(rider, enforce_csrf_checks=False)
    client.handler.enforce_csrf_checks = True
    answer = client.post("/streaming-url", {}, content_type="application/json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["Error"]
    assert streaming.cloud.items("streaming_launches") == []


# --- Which application ---


def test_an_application_is_named_by_its_id_or_as_appstream_calls_it(ask, streaming, rider):
    streaming.fleet()
    streaming.application("studio", Application="Photoshop")
    streaming.application("ledger", Application="Ledger2000")
    for name, title in [("studio", "Photoshop"), ("Ledger2000", "Ledger2000"), ("ledger", "Ledger2000")]:
        page = streaming.open(ask(rider, Application=name).json()["Message"])
        assert title in page.data.decode()


def test_of_several_one_is_to_be_named_unless_one_is_the_default(ask, streaming, rider):
    streaming.fleet()
    streaming.application("studio")
    streaming.application("ledger")
    answer = ask(rider)
    assert (answer.status_code, answer.json()["Error"]) == (400, "Application: name one of ledger, studio.")
    streaming.application("ledger", IsDefault=True)
    assert ask(rider).status_code == 201
    [launch] = streaming.cloud.items("streaming_launches")
    assert launch["ApplicationId"]["S"] == "ledger"


def test_only_groups_of_the_token_open_an_application(ask, streaming, rider, author):
    streaming.fleet()
    streaming.group("sample-designers", author)
    streaming.application("studio", Groups="sample-designers", ShownToAll=True)
    streaming.application("secret", Groups="sample-designers")
    refused = ask(rider, Application="studio")
    assert refused.status_code == 403
    assert refused.json()["Error"] == "Studio is not for you. Ask an operator to add you to sample-designers."
    hidden = ask(rider, Application="secret")
    assert (hidden.status_code, hidden.json()["Error"]) == (404, "There is no such application.")
    assert ask(rider).status_code == 403
    assert streaming.cloud.items("streaming_launches") == []
    token = streaming.token(author)
    assert ask(author, token, Application="studio").status_code == 201
    assert ask(author, token, Application="secret").status_code == 201


@pytest.mark.parametrize("name", ["nothing", "a" * 100, "../etc", "Ünïcode 🦄", "* "])
def test_what_is_not_there_is_not_found(ask, streaming, rider, name):
    streaming.fleet()
    streaming.application()
    answer = ask(rider, Application=name)
    assert (answer.status_code, answer.json()["Error"]) == (404, "There is no such application.")


def test_what_is_of_no_group_or_not_enabled_is_nobodys(ask, streaming, operator):
    streaming.fleet()
    streaming.application("nobodys", Groups="")
    streaming.application("off", Enabled=False)
    for name in ("nobodys", "off"):
        assert ask(operator, Application=name).status_code == 404
    assert ask(operator).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"Application": ""},
        {"Application": "x" * 101},
        {"Application": 7},
        {"SessionContext": ""},
        {"SessionContext": "x" * 1001},
        {"SessionContext": ["a"]},
    ],
)
def test_a_body_that_is_wrong_is_refused_by_the_name_of_its_field(ask, streaming, rider, body):
    streaming.fleet()
    streaming.application()
    answer = ask(rider, **body)
    assert answer.status_code == 400
    assert answer.json()["Error"].startswith(next(iter(body)))


def test_the_session_is_given_its_context(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    context = "--file 'Ünïcode & <b>.psd'"
    page = streaming.open(ask(rider, SessionContext=context).json()["Message"]).data.decode()
    assert "&lt;b&gt;.psd" in page
    assert "<b>.psd" not in page


# --- When it cannot be started ---


def test_a_stopped_fleet_is_said_to_be(ask, streaming, rider):
    streaming.fleet(running=False)
    streaming.application()
    answer = ask(rider)
    assert answer.status_code == 409
    assert answer.json()["Error"] == "Studio is stopped. Ask an operator to start its fleet."


def test_a_fleet_that_starts_is_said_to_be(ask, streaming, rider):
    streaming.pace(fleet_start_seconds=900)
    streaming.fleet()
    streaming.application()
    answer = ask(rider)
    assert answer.status_code == 409
    assert answer.json()["Error"] == "Studio is being started. Try again in about 15 minutes."
    streaming.pace(elapse_seconds=901)
    assert ask(rider).status_code == 201


def test_who_is_in_may_come_back_when_it_is_full_and_nobody_else_may_come(ask, streaming, rider, author):
    streaming.fleet(instances=1)
    streaming.application()
    streaming.open(ask(rider).json()["Message"])
    streaming.settle()
    refused = ask(author)
    assert refused.status_code == 409
    assert refused.json()["Error"].startswith("Studio is full: ")
    again = ask(rider)
    assert again.status_code == 201
    assert streaming.open(again.json()["Message"]).status == 200
    assert len(streaming.sessions()) == 1


def test_an_operators_limit_is_kept_for_the_fleet(ask, streaming, rider, author):
    streaming.fleet(instances=2)
    streaming.application(MostSessions=1)
    streaming.open(ask(rider).json()["Message"])
    streaming.settle()
    assert ask(author).status_code == 409


WRONG = "Studio is set up wrongly: its stack has no such fleet, or not for the portal. Tell an operator."


@pytest.mark.parametrize(
    "attributes",
    [
        {"Fleet": "sample-other"},
        {"Fleet": "sample-nowhere"},
        {"Stack": "sample-nowhere"},
        # What the template does not name, the role of the portal does not reach.
        {"Stack": "finance", "Fleet": "finance"},
    ],
)
def test_a_stack_without_that_fleet_is_said_to_be_set_up_wrongly(ask, streaming, rider, attributes):
    streaming.fleet()
    streaming.fleet("sample-other", stack="sample-elsewhere")
    streaming.fleet("finance", stack="finance")
    streaming.application(**attributes)
    answer = ask(rider)
    assert (answer.status_code, answer.json()["Error"]) == (409, WRONG)
    assert streaming.cloud.items("streaming_launches") == []


def test_what_is_mended_can_be_launched(ask, streaming, rider):
    streaming.fleet()
    streaming.cloud.admin("appstream").disassociate_fleet(FleetName="sample-fleet", StackName="sample-stack")
    streaming.application()
    assert ask(rider).json()["Error"] == WRONG
    streaming.cloud.admin("appstream").associate_fleet(FleetName="sample-fleet", StackName="sample-stack")
    # Half a minute later; what AppStream told is believed until then.
    streaming.settle()
    assert ask(rider).status_code == 201


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "OperationNotPermittedException",
            "AppStream did not start Studio. Try again in a moment,",
        ),
        (
            "ResourceNotAvailableException",
            "AppStream did not start Studio. Try again in a moment,",
        ),
        ("InvalidParameterCombinationException", WRONG),
        ("ResourceNotFoundException", WRONG),
        ("AccessDeniedException", WRONG),
    ],
)
def test_what_appstream_refuses_is_said_in_words(ask, streaming, rider, code, said):
    streaming.fleet()
    streaming.application()
    streaming.cloud.faults.add(service="appstream", action="CreateStreamingURL", kind="error", code=code, times=1)
    answer = ask(rider)
    assert answer.status_code == 409
    assert answer.json()["Error"].startswith(said)
    assert streaming.cloud.items("streaming_launches") == []
    assert ask(rider).status_code == 201


def test_a_fleet_that_was_stopped_a_moment_ago_is_said_to_be(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    assert ask(rider).status_code == 201
    # What AppStream told before is still believed.
    streaming.cloud.admin("appstream").stop_fleet(Name="sample-fleet")
    assert ask(rider).json()["Error"] == "Studio is stopped. Ask an operator to start its fleet."


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_appstream_throttled_or_down_is_a_503_with_a_reference(ask, streaming, rider, kind):
    streaming.fleet()
    streaming.application()
    streaming.cloud.faults.add(service="appstream", action="CreateStreamingURL", kind=kind, times=10)
    answer = ask(rider)
    assert answer.status_code == 503
    assert set(answer.json()) == {"Error", "Reference"}
    assert answer["Retry-After"]
    assert streaming.cloud.items("streaming_launches") == []
    streaming.cloud.faults.clear()
    assert ask(rider).status_code == 201


@pytest.mark.parametrize("action", ["ListAssociatedFleets", "DescribeFleets", "DescribeSessions"])
def test_what_appstream_does_not_tell_beforehand_keeps_nobody_out(ask, streaming, rider, action):
    streaming.fleet(instances=1)
    streaming.application()
    streaming.open(ask(rider).json()["Message"])
    streaming.settle()
    streaming.cloud.faults.add(service="appstream", action=action, kind="error", times=20)
    again = ask(rider)
    streaming.cloud.faults.clear()
    assert again.status_code == 201, again.content
    assert streaming.open(again.json()["Message"]).status == 200
    assert len(streaming.sessions()) == 1


def test_one_throttled_call_is_tried_again(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    streaming.cloud.faults.add(service="appstream", action="CreateStreamingURL", kind="throttle", times=1)
    assert ask(rider).status_code == 201


def test_nobody_gets_a_url_that_is_not_written_down(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    streaming.cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="error", times=10)
    answer = ask(rider)
    assert answer.status_code == 503
    assert "parameters=" not in answer.content.decode()


def test_a_url_to_an_unknown_place_is_given_to_nobody(ask, streaming, settings, rider, caplog):
    streaming.fleet()
    streaming.application()
    settings.STREAMING_ORIGINS = ["https://appstream2.eu-west-1.aws.amazon.com"]
    answer = ask(rider)
    assert answer.status_code == 409
    assert "PORTICO_STREAMING_ORIGINS" in caplog.text
    assert "parameters=" not in caplog.text


# --- What is written down ---


def test_a_launch_is_in_the_audit_log_and_its_url_is_nowhere(ask, streaming, rider, caplog):
    caplog.set_level(logging.DEBUG, "portal")
    caplog.set_level(logging.DEBUG, "django")
    streaming.fleet()
    streaming.application()
    answer = ask(rider)
    url = answer.json()["Message"]
    secret = url.partition("parameters=")[2]
    assert len(secret) > 40
    [entry] = streaming.cloud.items("audit")
    assert entry["Action"]["S"] == "launched"
    assert entry["Object"]["S"] == "streaming.application/studio"
    assert entry["ActorSub"]["S"] == rider.sub
    assert entry["Reference"]["S"] == answer["X-Reference"]
    [launch] = streaming.cloud.items("streaming_launches")
    assert launch["UserId"]["S"] == user_id(rider.sub)
    assert launch["Username"]["S"] == "rider"
    assert launch["Name"]["S"] == "Ada Lovelace"
    assert launch["Place"]["S"] == "sample-stack/sample-fleet"
    for table in settings.TABLES:
        assert secret not in json.dumps(streaming.cloud.items(table))
    assert secret not in caplog.text
    assert not re.search(r"parameters=", caplog.text)


def test_the_answer_is_kept_by_no_cache(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    assert "no-store" in ask(rider)["Cache-Control"]


def test_a_url_works_once_and_not_after_its_time(ask, streaming, settings, rider):
    streaming.fleet()
    streaming.application()
    once, late = (ask(rider).json()["Message"] for _ in range(2))
    assert streaming.open(once).status == 200
    assert streaming.open(once).status == 403
    streaming.pace(elapse_seconds=settings.STREAMING_URL_SECONDS + 1)
    expired = streaming.open(late)
    assert expired.status == 403
    assert b"expired" in expired.data


# --- What it costs ---


def test_a_click_is_three_calls_when_appstream_was_asked_just_now(ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    assert ask(rider).status_code == 201
    assert streaming.cloud.calls() == {
        ("dynamodb", "Scan"): 1,
        ("appstream", "ListAssociatedFleets"): 1,
        ("appstream", "DescribeFleets"): 1,
        ("appstream", "CreateStreamingURL"): 1,
        ("dynamodb", "TransactWriteItems"): 1,
    }
    streaming.cloud.forget_calls()
    assert ask(rider).status_code == 201
    assert streaming.cloud.calls() == {
        ("dynamodb", "Scan"): 1,
        ("appstream", "CreateStreamingURL"): 1,
        ("dynamodb", "TransactWriteItems"): 1,
    }
