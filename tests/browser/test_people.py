"""People in the admin, in a browser: axe finds nothing, and an operator gets by with the keyboard alone."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import expect

from tests.browser.test_look import SIZES, look

LIST = "/admin/people/person/"
PAGES = [
    LIST,
    f"{LIST}?q=nobody",
    f"{LIST}?group=operators",
    f"{LIST}add/",
    f"{LIST}operator/change/",
    f"{LIST}operator/edit/",
    f"{LIST}operator/groups/",
    f"{LIST}operator/disable/",
    f"{LIST}rider/reset-password/",
]


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_the_pages_about_people_are_for_everyone_on_every_screen(page, sign_in, operator, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(operator)
    problems = [problem for path in PAGES for problem in look(page, path)]
    assert not problems, "\n".join(problems)


def test_somebody_is_invited_put_in_a_group_and_disabled_without_a_mouse(page, sign_in, operator, cloud):
    name = f"ward{uuid.uuid4().hex[:8]}"
    sign_in(operator)
    page.goto(LIST)
    page.get_by_role("link", name="Invite somebody").press("Enter")
    page.get_by_label("Given name").fill("Mary")
    page.get_by_label("E-mail address").fill(f"{name}@example.com")
    page.get_by_label("User name").fill(name)
    page.get_by_role("button", name="Send the invitation").press("Enter")
    expect(page.get_by_text("The mail is on its way.")).to_be_visible()
    page.get_by_role("link", name="Change groups").press("Enter")
    page.get_by_label("auditors").press("Space")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("region", name="Groups")).to_contain_text("auditors")
    page.get_by_role("link", name="Disable").press("Enter")
    expect(page.get_by_role("heading", name=f"Disable {name}?")).to_be_visible()
    page.get_by_role("button", name="Disable").press("Enter")
    expect(page.get_by_text("Disabled at")).to_be_visible(timeout=20_000)
    pool = cloud.outputs["UserPoolId"]
    assert cloud.admin("cognito-idp").admin_get_user(UserPoolId=pool, Username=name)["Enabled"] is False
    cloud.admin("cognito-idp").admin_delete_user(UserPoolId=pool, Username=name)
