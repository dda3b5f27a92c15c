"""What a person does on the editor's page, and sees there."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import expect


def opened(page, document_id="plan"):
    page.goto(f"/documents/edit/{document_id}/")
    expect(page.locator("#editor")).to_have_attribute("data-ready", "")
    return page.get_by_label("Text, in Markdown")


def type_at_end(page, text):
    page.get_by_label("Text, in Markdown").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def is_saved(page):
    expect(page.locator("#saved")).to_contain_text("Saved ·")


def save(page):
    page.keyboard.press("Control+s")
    is_saved(page)


def is_not_saved(page):
    page.keyboard.press("Control+s")
    expect(page.locator("#saved")).to_have_text("Not saved")


def choice(page, title, name):
    """Open the menu of a document in the list, and return one of its choices."""
    page.get_by_label(f"What to do with {title}").click()
    return page.locator(".documents .menu[open]").get_by_text(name, exact=True).first


def picture(width=240, height=120, kind="PNG", noise=False):
    image = (
        Image.effect_noise((width, height), 90).convert("RGB")
        if noise
        else Image.new("RGB", (width, height), "#1b6a5e")
    )
    data = io.BytesIO()
    image.save(data, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return data.getvalue()


def drafts(page):
    return page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('portico:draft:'))")
