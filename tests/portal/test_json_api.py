"""What is common to all of the JSON API: errors, documentation, and browsers that meant a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from portal.api import COMMON_ERRORS, api
from tests.conftest import SignedUp, TestCloud

RIDE = {"PickupLocation": {"Latitude": 47.6, "Longitude": -122.3}}
NOBODY: dict[str, Any] = {"requestContext": {"authorizer": {"claims": {"cognito:username": "the_username"}}}}


def post(client: Client, body: Any, *, content_type: str = "application/json", path: str = "/ride") -> Any:
    """Post a body as it is, as a caller whom an authorizer vouches for."""
    return client.generic(
        "POST",
        path,
        body if isinstance(body, (str, bytes)) else json.dumps(body),
        content_type=content_type,
        **{"apig_wsgi.full_event": NOBODY},
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "body"),
        ("{", "not JSON"),
        ("null", "object"),
        ("[]", "object"),
        ('"text"', "object"),
        ("{}", "PickupLocation"),
        ('{"PickupLocation": null}', "PickupLocation"),
        ('{"PickupLocation": {"Latitude": 47.6}}', "PickupLocation.Longitude"),
        ('{"PickupLocation": {"Latitude": NaN, "Longitude": 0}}', "NaN is not a finite number"),
        ('{"PickupLocation": {"Latitude": Infinity, "Longitude": 0}}', "Infinity is not a finite number"),
        ('{"PickupLocation": {"Latitude": 0, "Longitude": -Infinity}}', "-Infinity is not a finite number"),
        ('{"PickupLocation": {"Latitude": 1e999, "Longitude": 0}}', "1e999 is not a finite number"),
        ('{"PickupLocation": {"Latitude": 91, "Longitude": 0}}', "PickupLocation.Latitude"),
        ('{"PickupLocation": {"Latitude": 0, "Longitude": 181}}', "PickupLocation.Longitude"),
        ('{"PickupLocation": {"Latitude": "47.6", "Longitude": 0}}', "PickupLocation.Latitude"),
        ('{"PickupLocation": {"Latitude": true, "Longitude": 0}}', "PickupLocation.Latitude"),
        ("9" * 5000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        ("Latitude=47.6", "not JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_body_is_400_with_what_is_wrong_and_stores_nothing(
    cloud: TestCloud, client: Client, body: Any, said: str
) -> None:
    answer = post(client, body)
    assert answer.status_code == 400, answer.content
    assert said in answer.json()["Error"]
    assert answer.json()["Reference"] == answer["X-Reference"]
    assert cloud.items("rides") == []


def test_body_that_is_too_large_is_413(cloud: TestCloud, client: Client) -> None:
    answer = post(client, {**RIDE, "padding": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})
    assert answer.status_code == 413
    assert "too large" in answer.json()["Error"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", ""],
)
def test_body_that_is_not_declared_as_json_is_415(client: Client, content_type: str) -> None:
    answer = post(client, RIDE, content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["Error"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON"])
def test_json_may_be_declared_with_a_charset(client: Client, content_type: str) -> None:
    assert post(client, {}, content_type=content_type, path="/me").status_code == 200


def test_unknown_path_is_404_as_json(client: Client) -> None:
    answer = client.get("/api/nothing")
    assert answer.status_code == 404
    assert set(answer.json()) == {"Error", "Reference"}


def test_method_that_a_path_does_not_have_is_405_as_json(client: Client) -> None:
    answer = client.delete("/me")
    assert answer.status_code == 405
    assert set(answer["Allow"].split(", ")) == {"GET", "POST"}
    assert answer.json()["Error"].startswith("/me has no DELETE")
    assert answer.json()["Reference"] == answer["X-Reference"]


def test_foreign_cursor_is_400(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    answer = client.get("/ride?cursor=forged", headers={"Authorization": rider.id_token})
    assert answer.status_code == 400
    assert "cursor" in answer.json()["Error"]


def test_unexpected_failure_is_500_without_a_traceback_even_in_debug_mode(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.accounts import api as accounts_api

    def broken(claims: dict[str, Any]) -> None:
        raise RuntimeError("a secret of the code")

    monkeypatch.setattr(accounts_api, "from_authorizer", broken)
    client.raise_request_exception = False
    answer = post(client, {}, path="/me")
    assert answer.status_code == 500
    assert set(answer.json()) == {"Error", "Reference"}
    assert "secret" not in answer.content.decode()


# --- The document and its page ----------------------------------------------------------------------------------------


def test_document_declares_every_failure_of_every_operation(client: Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert {"/me", "/ride", "/ride/{ride_id}"} <= set(document["paths"])
    ids = []
    for operations in document["paths"].values():
        for operation in operations.values():
            ids.append(operation["operationId"])
            assert {str(status) for status in COMMON_ERRORS} <= set(operation["responses"])
            assert operation["security"]
    assert len(ids) == len(set(ids))
    assert document["components"]["schemas"]["Failure"]["required"] == ["Error", "Reference"]


def test_page_of_the_document_names_every_operation_and_runs_no_script_of_its_own(client: Client) -> None:
    answer = client.get("/api/docs")
    page = answer.content.decode()
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method, operation in operations.items():
            assert f"<strong>{method.upper()}</strong> {path}" in page
            assert operation["summary"] in page
    assert "PickupLocation" in page
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=\"|style=", page)
    assert "script-src 'self'" in answer["Content-Security-Policy"]


# --- Browsers ---------------------------------------------------------------------------------------------------------

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("path", "page"),
    [("/ride", "/rides/"), ("/me", "/profile/"), ("/ride/0rwPQaLIxq-_Xg4", "/rides/0rwPQaLIxq-_Xg4/")],
)
def test_browser_at_a_json_path_is_sent_to_its_page(client: Client, path: str, page: str) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert "Accept" in answer["Vary"]


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/json, text/plain, */*", "application/json, text/html;q=0.5", "", "text/*"],
)
def test_program_at_a_json_path_gets_json(client: Client, accept: str) -> None:
    answer = client.get("/me", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 401
    assert answer["Content-Type"].startswith("application/json")


def test_program_with_a_token_gets_json_whatever_it_accepts(cloud: TestCloud, client: Client, rider: SignedUp) -> None:
    answer = client.get("/me", headers={"Accept": BROWSER, "Authorization": rider.id_token})
    assert answer.json()["Username"] == "rider"


def test_only_looking_leads_to_a_page(client: Client) -> None:
    for path in ("/ride", "/me"):
        answer = client.post(path, {}, content_type="application/json", headers={"Accept": BROWSER})
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/ride/a/b", "/ride//evil.example", "/rides", "/ride/%2F%2Fevil.example"])
def test_other_paths_lead_nowhere_else(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})
    assert "evil" not in answer.get("Location", "").removeprefix(path)


def test_browser_ends_up_at_the_ride_it_asked_for(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    answer = client_for(rider).get("/me", headers={"Accept": BROWSER}, follow=True)
    assert answer.redirect_chain == [("/profile/", 302)]
    assert "Ada Lovelace" in answer.content.decode()


def test_near_misses_of_the_page_about_the_api_lead_to_it(client: Client) -> None:
    for path in ("/api", "/api/", "/api/docs/"):
        assert client.get(path)["Location"] == "/api/docs"
