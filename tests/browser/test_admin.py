"""The admin in a browser: axe and the content security policy find nothing, and the map and the fields agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from playwright.sync_api import expect

from portal.dynamo.values import from_item
from portal.localcloud.samples import unicorn
from rides import dispatch
from rides.rules import Place
from tests.browser.test_look import SIZES, look, violations

ANGEL = "/admin/rides/unicorn/angel/change/"
PAGES = [
    "/admin/",
    "/admin/rides/",
    "/admin/rides/unicorn/",
    "/admin/rides/unicorn/?q=nobody",
    "/admin/rides/unicorn/add/",
    ANGEL,
    "/admin/rides/unicorn/busy/change/",
    "/admin/rides/unicorn/angel/history/",
    "/admin/rides/unicorn/angel/delete/",
    "/admin/rides/unicorn/busy/delete/",
    "/admin/rides/ride/",
    "/admin/dynamo/auditentry/",
]


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_admin_is_for_everyone_on_every_screen(page, sign_in, operator, fleet, scheme, size):
    fleet("angel", Name="Angel")
    fleet("busy", Name="Busy", BusyUntil=int((datetime.now(UTC) + timedelta(hours=1)).timestamp()), RideId="r")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(operator)
    page.goto(ANGEL)
    page.get_by_label("Name").fill("Angela")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    problems = [problem for path in PAGES for problem in look(page, path)]
    page.goto("/admin/rides/unicorn/add/")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Please correct the errors below.")).to_be_visible()
    problems += violations(page)
    assert not problems, "\n".join(problems)


def test_a_press_on_the_map_fills_the_fields_and_the_fields_move_the_pin(page, sign_in, operator, fleet, cloud):
    fleet("angel", Name="Angel", Latitude=47.6, Longitude=-122.3)
    sign_in(operator)
    page.goto(ANGEL)
    latitude, longitude = page.get_by_label("Latitude"), page.get_by_label("Longitude")
    pin = page.get_by_role("button", name="Where the unicorn waits")
    expect(pin).to_be_visible()
    page.locator("#place-map").click(position={"x": 60, "y": 60})
    expect(latitude).not_to_have_value("47.6")
    expect(longitude).not_to_have_value("-122.3")
    pressed = float(latitude.input_value())
    pin.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("degrees => Number(id_latitude.value) < degrees", arg=pressed)
    latitude.fill("51.5")
    longitude.fill("-0.12")
    longitude.blur()
    expect(page.locator(".map-edge-y")).to_contain_text("51.5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    (one,) = map(from_item, cloud.items("fleet"))
    assert (float(one["Latitude"]), float(one["Longitude"])) == (51.5, -0.12)


def test_the_map_of_the_fleet_leads_to_each_unicorn(page, sign_in, operator, fleet):
    fleet("angel", Name="Angel", Color="White")
    sign_in(operator)
    page.goto("/admin/rides/unicorn/")
    page.get_by_role("link", name="Angel, White").click()
    page.wait_for_url(f"**{ANGEL}")


def test_a_conflict_shows_both_values_beside_the_field(page, context, sign_in, operator, fleet, cloud):
    fleet("angel", Name="Angel")
    sign_in(operator)
    page.goto(ANGEL)
    other = context.new_page()
    other.goto(ANGEL)
    other.get_by_label("Name").fill("Theirs")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_text("was changed successfully")).to_be_visible()
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("changed this to “Theirs” meanwhile; you have “Mine”")).to_be_visible()
    assert not violations(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    (one,) = map(from_item, cloud.items("fleet"))
    assert one["Name"] == "Mine"


def test_several_are_chosen_and_deleted(page, sign_in, operator, fleet, cloud):
    for name in ("angel", "gil", "rocinante"):
        fleet(name, Name=name.title())
    sign_in(operator)
    page.goto("/admin/rides/unicorn/")
    page.get_by_label("Select this object for an action - Angel").check()
    page.get_by_label("Select this object for an action - Gil").check()
    expect(page.get_by_text("2 of 3 selected")).to_be_visible()
    page.get_by_label("Action:").select_option("Delete selected unicorns")
    page.get_by_role("button", name="Go").click()
    page.get_by_role("button", name="Yes, delete them").click()
    expect(page.get_by_text("Successfully deleted 2 unicorns.")).to_be_visible()
    assert [one["UnicornId"]["S"] for one in cloud.items("fleet")] == ["rocinante"]


def test_a_name_on_the_map_of_a_large_fleet_is_text(page, sign_in, operator, cloud):
    markup = '<img src="/static/nothing.png" alt="injected">'
    puts = [
        {"PutRequest": {"Item": unicorn(f"u{n}", Name=markup, Latitude=40 + n // 20 / 20, Longitude=n % 20 / 20)}}
        for n in range(301)
    ]
    for start in range(0, len(puts), 25):
        some = {settings.TABLES["fleet"]: puts[start : start + 25]}
        assert not cloud.admin("dynamodb").batch_write_item(RequestItems=some)["UnprocessedItems"]
    sign_in(operator)
    page.goto("/admin/rides/unicorn/")
    canvas = page.locator("#fleet-map canvas.leaflet-interactive, #fleet-map .leaflet-overlay-pane canvas")
    expect(canvas).to_be_visible()
    tooltip = page.locator(".leaflet-tooltip")
    box = page.locator("#fleet-map").bounding_box()
    for step in range(60):
        page.mouse.move(box["x"] + box["width"] / 2 + step * 1.5, box["y"] + box["height"] / 2 + step)
        if tooltip.count():
            break
    expect(tooltip).to_have_text(markup)
    assert page.locator("img[alt=injected]").count() == 0


def test_an_operator_frees_a_busy_unicorn(page, sign_in, operator, rider, fleet, cloud):
    fleet("angel", Name="Angel", Latitude=47.9)
    dispatch.request_ride(Place(latitude=47.6, longitude=-122.3), by=rider, now=datetime.now(UTC))
    sign_in(operator)
    page.goto(ANGEL)
    page.get_by_role("link", name="Its ride").click()
    problems = look(page, page.url)
    page.get_by_text("Cancel this ride").click()
    problems += violations(page)
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("The ride is cancelled and Angel is free again.")).to_be_visible()
    expect(page.get_by_text("operator cancelled the ride")).to_be_visible()
    problems += look(page, page.url)
    assert not problems, "\n".join(problems)
    (one,) = map(from_item, cloud.items("fleet"))
    assert "RideId" not in one
