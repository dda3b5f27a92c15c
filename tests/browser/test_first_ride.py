"""The whole path of a newcomer: sign up, confirm, a second factor, and a ride found again."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import Page, expect

from tests.conftest import TestCloud
from tests.totp import totp


def test_a_newcomer_signs_up_enrols_an_authenticator_and_is_given_a_ride(page: Page, cloud: TestCloud, fleet) -> None:
    fleet("rocinante", Name="Rocinante", Color="Yellow", Gender="Female", Latitude=47.61, Longitude=-122.33)
    username = f"newcomer{uuid.uuid4().hex[:8]}"
    email, password = f"{username}@example.com", "Fresh-Start-2026!"

    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Given name").fill("Katherine")
    page.get_by_label("Family name").fill("Johnson")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign up").click()

    expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    [mail] = [mail for mail in cloud.mails() if email in mail["To"]]
    page.get_by_label("Code from the mail").fill(re.search(r"\b\d{6}\b", mail["BodyText"])[0])
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_label("User name or e-mail address")).to_have_value(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Katherine")).to_be_visible()

    page.goto("/profile/two-factor/")
    page.get_by_role("link", name="Set up an app").click()
    page.get_by_label("Current password").fill(password)
    page.get_by_role("button", name="Show me the picture to scan").click()
    expect(page.get_by_alt_text("QR code")).to_be_visible()
    secret = re.sub(r"\s", "", page.locator("#secret").inner_text())
    page.get_by_label("Code from your authenticator app").fill(totp(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_text("From now on, signing in asks for a code from your app.")).to_be_visible()

    page.get_by_text("Katherine").first.click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/rides/")
    page.get_by_label("User name or e-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    # The code that enrolled the app is used up.
    page.get_by_label("Code from your authenticator app").fill(totp(secret, steps=1))
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Where shall we pick you up?")).to_be_visible()
    expect(page.get_by_text("No rides yet")).to_be_visible()
    page.locator("#pick-map").click(position={"x": 200, "y": 150})
    expect(page.locator("#near")).to_contain_text("Rocinante")
    latitude = float(page.get_by_label("Latitude").input_value())
    page.get_by_role("button", name="Ask for a unicorn").click()

    expect(page.get_by_role("heading", name="Rocinante")).to_be_visible()
    expect(page.get_by_text("until Rocinante is with you")).to_be_visible()
    [ride] = cloud.items("rides")
    assert ride["User"] == {"S": username}
    assert float(ride["Pickup"]["M"]["Latitude"]["N"]) == latitude
    [unicorn] = cloud.items("fleet")
    assert unicorn["RideId"] == ride["RideId"]

    page.get_by_role("link", name="Rides").first.click()
    expect(page.locator(".earlier")).to_contain_text("Rocinante")
    expect(page.locator(".earlier")).to_contain_text("on the way")


def test_a_ride_is_asked_for_with_the_keyboard_alone_and_cancelled(
    page: Page, cloud: TestCloud, fleet, rider, sign_in
) -> None:
    fleet("gil", Name="Gil", Color="White", Gender="Male", Latitude=47.61, Longitude=-122.33)
    sign_in(rider)
    page.goto("/rides/")
    page.locator("#pick-map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#near")).to_contain_text("Gil")
    page.get_by_label("Latitude").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("47.6")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("-122.3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gil")).to_be_visible()
    [ride] = cloud.items("rides")
    assert ride["Pickup"] == {"M": {"Latitude": {"N": "47.6"}, "Longitude": {"N": "-122.3"}}}

    page.get_by_text("Cancel this ride").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, cancel it").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Cancelled")
    assert "CancelledAt" in cloud.items("rides")[0]
    assert "RideId" not in cloud.items("fleet")[0]


def test_the_next_ride_uses_the_unicorn_that_an_operator_has_moved(
    page: Page, context, portal_url: str, cloud: TestCloud, fleet, operator, rider, sign_in, browser
) -> None:
    fleet("near", Name="Near", Latitude=47.60, Longitude=-122.30)
    fleet("far", Name="Far", Latitude=48.60, Longitude=-122.30)
    sign_in(operator)
    page.goto("/admin/rides/unicorn/")
    page.get_by_role("link", name="Far", exact=True).last.click()
    page.get_by_label("Latitude").fill("10.5")
    page.get_by_label("Longitude").fill("20.25")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()

    elsewhere = browser.new_context(base_url=portal_url)
    try:
        riders = elsewhere.new_page()
        riders.goto("/sign-in/?next=/rides/")
        riders.get_by_label("User name or e-mail address").fill(rider.username)
        riders.get_by_label("Password").fill(rider.password)
        riders.get_by_role("button", name="Sign in").click()
        riders.get_by_label("Latitude").fill("10.5")
        riders.get_by_label("Longitude").fill("20.2")
        riders.get_by_role("button", name="Ask for a unicorn").click()
        expect(riders.get_by_role("heading", name="Far")).to_be_visible()
    finally:
        elsewhere.close()
    [ride] = cloud.items("rides")
    assert ride["UnicornId"] == {"S": "far"}
    assert ride["From"] == {"M": {"Latitude": {"N": "10.5"}, "Longitude": {"N": "20.25"}}}
