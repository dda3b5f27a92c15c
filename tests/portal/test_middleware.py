"""What every request has: a reference in its log lines, and answers that no cache keeps."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

from portal.middleware import ReferenceFilter


@pytest.mark.parametrize("path", ["/me", "/nothing-here/", "/ride/abc"])
def test_the_log_line_of_a_refused_request_carries_its_reference(client: Client, path):
    lines: list[str] = []
    tracebacks: list[object] = []

    class Collect(logging.Handler):
        def emit(self, record):
            lines.append(getattr(record, "reference", "-"))
            tracebacks.append(record.exc_info)

    collect = Collect()
    collect.addFilter(ReferenceFilter())
    logging.getLogger("django.request").addHandler(collect)
    try:
        answer = client.get(path)
    finally:
        logging.getLogger("django.request").removeHandler(collect)
    assert answer.status_code in (401, 404)
    assert lines == [answer["X-Reference"]]
    assert tracebacks == [None]


def test_a_person_who_may_not_is_no_traceback_in_the_log(cloud, client_for, rider, caplog):
    client = client_for(rider)
    caplog.handler.addFilter(ReferenceFilter())
    try:
        assert client.get("/admin/").status_code == 403
    finally:
        caplog.handler.filters.clear()
    assert "Forbidden" in caplog.text
    assert "Traceback" not in caplog.text


def test_what_one_person_may_see_is_kept_by_no_cache(cloud, client_for, rider):
    client = client_for(rider)
    for path in ("/", "/rides/", "/me", "/ride"):
        assert "no-store" in client.get(path)["Cache-Control"], path
        assert "private" in client.get(path)["Cache-Control"], path


def test_what_fails_on_the_json_api_is_kept_by_no_cache(client: Client):
    assert client.get("/me")["Cache-Control"] == "private, no-store"


def test_a_visitors_page_may_be_kept(client: Client):
    assert "no-store" not in client.get("/").get("Cache-Control", "")


def test_an_address_that_is_none_is_no_failure(client: Client):
    answer = client.get("/rides/near/", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in/?next=%2F"


def test_head_is_get_without_the_body(cloud, rider):
    client = Client(headers={"Authorization": rider.id_token})
    for path in ("/me", "/ride", "/api/openapi.json"):
        got, head = client.get(path), client.head(path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head["Content-Length"] == str(len(got.content)), path
    assert client.head("/ride/nothing").status_code == 404
