"""Every page as a browser has it: axe finds nothing by day and by night, nothing hangs over, no mouse is needed."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from rides import dispatch
from rides.rules import Place

HERE = Place(latitude=47.6, longitude=-122.3)
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "wide": (1440, 900)}

OUTSIDE = ["/", "/sign-in/", "/sign-up/", "/forgot-password/", "/local/", "/api/docs"]
INSIDE = ["/", "/rides/", "/profile/", "/profile/password/", "/profile/two-factor/"]
ADMIN = [
    "/admin/",
    "/admin/rides/unicorn/",
    "/admin/rides/unicorn/angel/change/",
    "/admin/rides/ride/",
    "/admin/dynamo/auditentry/",
]


def sign_in_to_rides(page, person):
    page.goto("/rides/")
    page.get_by_label("User name or e-mail address").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def violations(page):
    # Left to itself, axe loads the style sheets once more into a <style>, which the content security policy forbids.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in found]


def look(page, path):
    """Open a page and return what is wrong with it, at the width it has and at those of other screens."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    problems = violations(page)
    before = page.viewport_size
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"hangs over on a {name} screen")
    page.set_viewport_size(before)
    return [f"{path} {problem}" for problem in problems]


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_axe_finds_nothing_and_nothing_hangs_over(page, sign_in, operator, fleet, scheme, size):
    fleet("rocinante", Name="Rocinante", Color="Yellow", Latitude=47.65)
    fleet("angel", Name="Angel")
    dispatch.request_ride(HERE, by=operator, now=timezone.now() - timedelta(days=1))
    live = dispatch.request_ride(HERE, by=operator, now=timezone.now())
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    problems = [problem for path in OUTSIDE for problem in look(page, path)]
    sign_in(operator)
    for path in [*INSIDE, *ADMIN, f"/rides/{live.ride_id}/"]:
        problems += look(page, path)
    page.get_by_text("Cancel this ride").click()
    problems += violations(page)
    assert not problems


def test_a_ride_is_asked_for_with_the_keyboard_alone(page, sign_in, rider, fleet, cloud):
    fleet("angel", Name="Angel")
    sign_in(rider)
    page.goto("/rides/")
    latitude = page.get_by_label("Latitude")
    expect(latitude).to_have_value("47.6062")
    expect(page.locator("#near")).to_contain_text("Angel")
    page.get_by_role("application", name="Pickup point").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(latitude).not_to_have_value("47.6062")
    picked = latitude.input_value()
    page.get_by_role("button", name="Pickup point. Arrow keys move it.").focus()
    page.keyboard.press("ArrowDown")
    expect(latitude).not_to_have_value(picked)
    picked = latitude.input_value()
    page.get_by_role("button", name="Ask for a unicorn").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Angel")).to_be_visible()
    (ride,) = cloud.items("rides")
    assert float(ride["Pickup"]["M"]["Latitude"]["N"]) == float(picked)


def test_a_click_a_paste_and_here_pick_a_place(page, context, sign_in, rider, fleet):
    fleet("angel")
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": 51.5, "longitude": -0.12, "accuracy": 30})
    sign_in(rider)
    page.goto("/rides/")
    latitude, longitude = page.get_by_label("Latitude"), page.get_by_label("Longitude")
    page.get_by_role("application", name="Pickup point").click(position={"x": 60, "y": 200})
    expect(latitude).not_to_have_value("47.6062")
    page.get_by_role("button", name="Here, where I am").click()
    expect(page.get_by_text("Found you, to within 30 m.")).to_be_visible()
    expect(latitude).to_have_value("51.5")
    expect(longitude).to_have_value("-0.12")
    latitude.focus()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text", " 47.61, -122.33 ");
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(latitude).to_have_value("47.61")
    expect(longitude).to_have_value("-122.33")


def test_a_refused_place_says_what_to_do(page, context, sign_in, rider, fleet):
    fleet("angel")
    context.clear_permissions()
    sign_in(rider)
    page.goto("/rides/")
    page.get_by_role("button", name="Here, where I am").click()
    expect(page.locator("#here-says")).to_contain_text("pick a place on the map")
    expect(page.get_by_role("button", name="Here, where I am")).to_be_enabled()


def test_the_map_is_drawn_without_the_internet(page, sign_in, rider, fleet):
    fleet("angel", Name="Angel")
    sign_in(rider)
    page.goto("/rides/")
    expect(page.locator(".map .unicorn-name")).to_have_text(["Angel"])
    # Land, sea, coast and graticule are at least four colours.
    page.wait_for_function(
        """() => {
          const colours = new Set();
          for (const tile of document.querySelectorAll(".atlas canvas")) {
            const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
            for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
          }
          return colours.size >= 4;
        }"""
    )
    assert page.locator(".map-edge-x span").count() >= 2
    assert page.locator(".map-edge-y span").count() >= 1


def test_a_ride_is_followed_and_cancelled(page, sign_in, rider, fleet):
    fleet("angel", Name="Angel", Latitude=47.9)
    sign_in(rider)
    ride = dispatch.request_ride(HERE, by=rider, now=timezone.now())
    page.goto(f"/rides/{ride.ride_id}/")
    marker = page.locator(".unicorn-icon")
    expect(marker).to_have_text("Angel")
    expect(page.get_by_role("progressbar", name="The way to you")).to_be_visible()
    page.get_by_text("Cancel this ride").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("The ride is cancelled and the unicorn is free again.")).to_be_visible()
    expect(page.get_by_role("link", name="Ask for another")).to_be_visible()


def test_a_page_that_renews_itself_goes_to_sign_in_when_the_session_is_over(page, sign_in, rider, fleet, cloud):
    fleet("angel", Latitude=47.9)
    sign_in(rider)
    ride = dispatch.request_ride(HERE, by=rider, now=timezone.now())
    page.clock.install()
    page.goto(f"/rides/{ride.ride_id}/")
    expect(page.locator("#status")).to_be_visible()
    cloud.empty("sessions")
    page.clock.fast_forward("01:30")
    page.wait_for_url(lambda url: "/sign-in/" in url and unquote(url).endswith(f"?next=/rides/{ride.ride_id}/"))


def test_when_none_is_free_the_page_asks_again_by_itself(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 409 in its console.
    free_at = timezone.now() + timedelta(minutes=7)
    fleet("angel", Name="Angel", BusyUntil=int(free_at.timestamp()), RideId="another")
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    page.clock.install()
    sign_in_to_rides(page, rider)
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("alert")).to_contain_text("No unicorn is free right now.")
    page.get_by_role("button", name="Ask again then").click()
    expect(page.locator("[data-countdown]")).to_contain_text("in ")
    fleet("gil", Name="Gil")
    page.clock.fast_forward("08:00")
    expect(page.get_by_role("heading", name="Gil")).to_be_visible()
    context.close()


def test_without_javascript_a_ride_is_asked_for_by_typing(browser, portal_url, rider, fleet, cloud):
    fleet("angel", Name="Angel")
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    sign_in_to_rides(page, rider)
    page.get_by_label("Latitude").fill("47.61")
    page.get_by_label("Longitude").fill("-122.33")
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("heading", name="Angel")).to_be_visible()
    page.get_by_role("link", name="Rides").first.click()
    expect(page.get_by_role("link", name="Angel")).to_be_visible()
    context.close()


def test_a_wrong_number_is_said_first_and_leads_to_its_field(browser, portal_url, rider, fleet, cloud):
    # A page of its own: the browser notes the 422 in its console.
    context = browser.new_context(base_url=portal_url)
    page = context.new_page()
    sign_in_to_rides(page, rider)
    page.get_by_label("Latitude").fill("95")
    page.get_by_role("button", name="Ask for a unicorn").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Latitude")).to_have_value("95")
    page.get_by_role("link", name="Latitude").click()
    expect(page.get_by_label("Latitude")).to_be_focused()
    assert not violations(page)
    context.close()


def test_tiles_are_asked_for_where_a_setting_names_a_server(page, sign_in, rider, fleet, settings, portal_url):
    settings.MAP_TILES_URL = f"{portal_url}/static/portal/favicon.svg?{{z}}-{{x}}-{{y}}"
    settings.MAP_ATTRIBUTION = "© The Surveyors"
    fleet()
    sign_in(rider)
    with page.expect_request(lambda request: "favicon.svg?" in request.url):
        page.goto("/rides/")
    expect(page.locator(".leaflet-control-attribution")).to_contain_text("© The Surveyors")
