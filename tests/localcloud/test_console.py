"""Contract of console.py: the federation endpoint."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from tests.localcloud.roles import make_role, session_of
from tests.localcloud.running_cloud import ADMINISTRATOR, RunningCloud

http = urllib3.PoolManager()


def request(cloud: RunningCloud, method: str = "GET", **fields: str) -> urllib3.BaseHTTPResponse:
    """Call the endpoint with the fields in the address, or in a form for POST."""
    address, encoded = f"{cloud.endpoint}/federation", urlencode(fields)
    if method == "GET":
        return http.request("GET", f"{address}?{encoded}")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return http.request("POST", address, body=encoded, headers=headers)


def session_json(key: Any, **changes: str) -> str:
    parts: Mapping[str, str] = dict(zip(("sessionId", "sessionKey", "sessionToken"), key, strict=False))
    return json.dumps({**parts, **changes})


@pytest.fixture
def key(cloud: RunningCloud) -> Any:
    return session_of(cloud, make_role(cloud), RoleSessionName="ada")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_link_opens_the_console_once(cloud: RunningCloud, key: Any, method: str) -> None:
    made = request(cloud, method, Action="getSigninToken", Session=session_json(key), SessionDuration="1800")
    assert made.status == 200
    login = {
        "Action": "login",
        "Issuer": "http://127.0.0.1:8000",
        "Destination": "https://eu-west-1.console.aws.amazon.com/<b>",
        "SigninToken": made.json()["SigninToken"],
    }
    page = request(cloud, **login)
    assert page.status == 200
    text = page.data.decode()
    assert "You are signed in to the console as assumed-role/" in text
    assert "/ada</h1>" in text
    assert '<a href="http://127.0.0.1:8000">' in text
    assert "https://eu-west-1.console.aws.amazon.com/&lt;b&gt;" in text
    again = request(cloud, **login)
    assert (again.status, "signed in" in again.data.decode()) == (400, False)


def test_issuer_that_is_no_web_address_is_no_link(cloud: RunningCloud, key: Any) -> None:
    token = request(cloud, Action="getSigninToken", Session=session_json(key)).json()["SigninToken"]
    page = request(cloud, Action="login", Issuer="javascript:alert(1)", SigninToken=token)
    assert page.status == 200
    assert b"javascript" not in page.data


@pytest.mark.parametrize(
    "session",
    [
        lambda key: session_json(key, sessionKey="guessed"),
        lambda key: session_json(key, sessionToken="guessed"),
        lambda key: session_json(key, sessionId="ASIAUNKNOWN"),
        lambda _key: session_json(ADMINISTRATOR, sessionToken=""),
        lambda _key: "{}",
        lambda _key: "[]",
        lambda _key: "no JSON",
        lambda _key: "",
    ],
)
def test_other_credentials_are_refused(cloud: RunningCloud, key: Any, session: Any) -> None:
    refused = request(cloud, Action="getSigninToken", Session=session(key))
    assert (refused.status, refused.data) == (400, b"Bad Request")


@pytest.mark.parametrize("seconds", ["899", "43201", "long"])
def test_duration_is_fifteen_minutes_to_twelve_hours(cloud: RunningCloud, key: Any, seconds: str) -> None:
    refused = request(cloud, Action="getSigninToken", Session=session_json(key), SessionDuration=seconds)
    assert refused.status == 400


def test_other_actions_and_tokens_are_refused(cloud: RunningCloud) -> None:
    assert request(cloud).status == 400
    assert request(cloud, Action="logout").status == 400
    assert request(cloud, Action="login", SigninToken="guessed").status == 400
