"""Which other sites' scripts may call the JSON API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

OURS = "https://rides.example"


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> None:
    settings.API_ALLOWED_ORIGINS = [OURS]


def preflight(client: Client, origin: str, path: str = "/ride") -> Any:
    return client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def test_allowed_origin_may_ask_and_call(client: Client) -> None:
    answer = preflight(client, OURS)
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert answer["Access-Control-Allow-Methods"] == "GET, POST, DELETE"
    assert answer["Access-Control-Allow-Headers"] == "Authorization, Content-Type, Idempotency-Key"
    assert "Origin" in answer["Vary"]
    answer = client.get("/me", headers={"Origin": OURS})
    assert answer.status_code == 401  # the script may read what went wrong, too
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert "X-Reference" in answer["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://rides.example", "https://rides.example:8443", "https://rides.example.evil.example",
     "https://x.rides.example", "HTTPS://RIDES.EXAMPLE", "null", "*", ""],
)  # fmt: skip
def test_other_origins_may_not(client: Client, origin: str) -> None:
    for answer in (preflight(client, origin), client.get("/me", headers={"Origin": origin})):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer["Vary"]


def test_cookies_are_never_allowed(client: Client) -> None:
    for answer in (preflight(client, OURS), client.get("/me", headers={"Origin": OURS})):
        assert "Access-Control-Allow-Credentials" not in answer


def test_no_origin_is_allowed_unless_the_setting_says_so(client: Client, settings: Any) -> None:
    settings.API_ALLOWED_ORIGINS = []
    assert "Access-Control-Allow-Origin" not in preflight(client, OURS)


@pytest.mark.parametrize("path", ["/", "/rides/", "/profile/", "/sign-in/"])
def test_pages_are_for_nobody_else(cloud, client: Client, path: str) -> None:
    answer = client.get(path, headers={"Origin": OURS})
    assert "Access-Control-Allow-Origin" not in answer
    assert "Access-Control-Allow-Origin" not in preflight(client, OURS, path)
