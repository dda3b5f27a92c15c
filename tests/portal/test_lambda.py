"""The portal behind Lambda: real events into the entry point, answers as API Gateway wants them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from types import SimpleNamespace

import pytest

EVENTS = Path(__file__).parents[1] / "events"
CONTEXT = SimpleNamespace(aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef")


@pytest.fixture
def lambda_handler():
    from portal.lambda_entry import lambda_handler

    return lambda_handler


def event(name, **changes):
    return {**json.loads((EVENTS / f"{name}.json").read_text()), **changes}


def test_the_tutorials_own_event_gives_a_ride_for_the_username(cloud, fleet, lambda_handler):
    fleet("angel", Name="Angel", Color="White", Gender="Female")
    answer = lambda_handler(event("tutorial_request_ride"), CONTEXT)
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 201, body
    assert body["Rider"] == "the_username"
    assert body["Unicorn"] == {"Name": "Angel", "Color": "White", "Gender": "Female"}
    assert len(urlsafe_b64decode(body["RideId"] + "==")) == 16
    [ride] = cloud.items("rides")
    assert ride["RideId"] == {"S": body["RideId"]}
    assert ride["User"] == {"S": "the_username"}
    assert ride["Unicorn"]["M"]["Name"] == {"S": "Angel"}
    assert ride["RequestTime"]["S"].endswith("Z")


def test_a_request_without_an_authorizer_and_without_a_good_token_is_refused(cloud, fleet, lambda_handler):
    fleet()
    answer = lambda_handler(event("tutorial_request_ride", requestContext={}), CONTEXT)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["Reference"] == CONTEXT.aws_request_id
    assert cloud.items("rides") == []


def test_claims_cannot_be_brought_in_a_header(cloud, fleet, lambda_handler):
    fleet()
    claims = json.dumps({"requestContext": {"authorizer": {"claims": {"cognito:username": "root"}}}})
    headers = {
        "apig_wsgi.full_event": claims,
        "Apig-Wsgi.Full-Event": claims,
        "API_GATEWAY_AUTHORIZER": claims,
        "content-type": "application/json",
    }
    answer = lambda_handler(event("tutorial_request_ride", requestContext={}, headers=headers), CONTEXT)
    assert answer["statusCode"] == 401


@pytest.mark.parametrize(
    "claims", [{"token_use": "access"}, {"iss": "https://elsewhere"}, {"aud": "another"}, {"exp": 1}]
)
def test_claims_of_a_token_that_is_not_for_us_are_refused(cloud, fleet, lambda_handler, claims):
    fleet()
    context = {"authorizer": {"claims": {"cognito:username": "rider", "sub": "some-sub", **claims}}}
    answer = lambda_handler(event("tutorial_request_ride", requestContext=context), CONTEXT)
    assert answer["statusCode"] == 401
    assert cloud.items("rides") == []


@pytest.mark.parametrize("stranger", [{}, {"raw_command": "print(1)"}, {"command": "os.getcwd"}, {"manage": "shell"}])
def test_an_event_that_is_not_http_runs_nothing(lambda_handler, stranger):
    with pytest.raises(ValueError, match="HTTP events only"):
        lambda_handler(stranger, CONTEXT)


def test_each_cookie_is_sent_once(cloud, lambda_handler):
    page = event(
        "tutorial_request_ride",
        path="/sign-in/",
        httpMethod="GET",
        requestContext={},
        body=None,
        multiValueHeaders={},
    )
    answer = lambda_handler(page, CONTEXT)
    assert answer["statusCode"] == 200
    cookies = [
        value
        for name, values in answer["multiValueHeaders"].items()
        if name.lower() == "set-cookie"
        for value in values
    ]
    assert len(cookies) == len({cookie.split("=")[0] for cookie in cookies})
