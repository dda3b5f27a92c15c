"""The home page and the error pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.html import page_problems


def test_home_offers_two_doors_to_somebody_outside(cloud):
    cloud.forget_calls()
    answer = Client().get("/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert not page_problems(page)
    assert 'href="/sign-in/"' in page
    assert 'href="/sign-up/"' in page
    assert "/rides/" not in page
    assert not cloud.calls(), "the home page of somebody unknown costs nothing"


def test_home_greets_by_given_name_and_costs_the_session_alone(client_for, cloud, rider):
    client = client_for(rider)
    page = client.get("/").content.decode()
    assert not page_problems(page)
    assert f"Welcome, {rider.given_name}" in page
    assert 'href="/rides/"' in page
    assert "/admin/" not in page
    assert sum(cloud.calls().values()) == 1


def test_home_shows_the_admin_to_staff(client_for, operator, auditor):
    for person in (operator, auditor):
        assert 'href="/admin/"' in client_for(person).get("/").content.decode()


@pytest.mark.parametrize("path", ["/nowhere/", "/rides/no-such-ride-at-all/"])
def test_what_is_not_there_is_a_page_with_a_reference(client_for, rider, path):
    answer = client_for(rider).get(path)
    assert answer.status_code == 404
    page = answer.content.decode()
    assert not page_problems(page)
    assert answer["X-Reference"] in page


def test_a_form_without_its_token_is_refused_with_a_page(cloud):
    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "rider"})
    assert answer.status_code == 403
    page = answer.content.decode()
    assert not page_problems(page)
    assert answer["X-Reference"] in page


def test_the_error_page_renders_when_the_session_cannot_be_read(client_for, cloud, rider):
    client = client_for(rider)
    client.raise_request_exception = False
    cloud.faults.add(service="dynamodb", action="GetItem", kind="throttle", times=20)
    answer = client.get("/rides/")
    assert answer.status_code == 503
    page = answer.content.decode()
    assert not page_problems(page)
    assert "Busy right now" in page
    assert answer["X-Reference"] in page
    assert rider.username not in page


def test_the_api_is_described_for_people_operation_by_operation():
    answer = Client().get("/api/docs")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert not page_problems(page)
    document = Client().get("/api/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"<strong>{method.upper()}</strong> {path}</code>" in page
            assert operation["summary"] in page
    # What may fail everywhere is named in a line, not described again and again.
    assert page.count("Errors: ") == sum(len(operations) for operations in document["paths"].values())
    assert "&quot;PickupLocation&quot;: {" in page


def test_a_module_that_a_page_loads_is_imported_by_no_other():
    # The tag has the hashed name and the import the plain one: two modules to a browser, and everything happens twice.
    base = Path(settings.BASE_DIR)
    templates = "".join(file.read_text() for file in base.glob("*/**/templates/**/*.html"))
    loaded = set(re.findall(r"static '\w+/([\w-]+\.js)' %}\" type=\"module\"", templates))
    scripts = [file.read_text() for file in base.glob("*/static/**/*.js") if "vendor" not in file.parts]
    imported = {name for script in scripts for name in re.findall(r'from "[./\w]*?([\w-]+\.js)"', script)}
    assert {"portal.js", "pick.js", "fleet.js"} <= loaded
    assert {"map.js", "say.js"} <= imported
    assert not loaded & imported


def test_colours_are_named_in_one_place():
    sheets = [
        sheet
        for sheet in Path(settings.BASE_DIR).glob("*/static/**/*.css")
        if "vendor" not in sheet.parts and sheet.name != "tokens.css"
    ]
    assert sheets
    for sheet in sheets:
        # Print is black on white.
        text = sheet.read_text().split("@media print")[0]
        assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^;{]*\{)|rgba?\(", text), sheet


def test_the_style_sheets_of_every_page_stay_small():
    folder = Path(settings.BASE_DIR) / "portal/static/portal"
    assert sum((folder / name).stat().st_size for name in ("tokens.css", "portal.css")) < 16_000
