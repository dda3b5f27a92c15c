"""Documents in a browser: found, renamed, deleted and brought back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.documents.editor import choice, picture


def test_documents_are_imported_found_renamed_exported_deleted_and_brought_back(
    page,
    signed_in,
    corner,
    catch_up,
):
    page.goto("/documents/")
    expect(page.get_by_text("No documents yet")).to_be_visible()
    files = [
        {"name": "Minutes of May.md", "mimeType": "text/markdown", "buffer": b"What was said.\n"},
        {"name": "plan.md", "mimeType": "text/markdown", "buffer": b"# The *great* plan\n"},
        {"name": "photo.png", "mimeType": "image/png", "buffer": picture()},
    ]
    page.get_by_label("Import Markdown").set_input_files(files)
    expect(page.get_by_text("2 of 3 files are documents now.")).to_be_visible()
    catch_up()
    page.get_by_label("Words of the title").fill("great")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".document-title")).to_have_text(["The great plan"])

    choice(page, "The great plan", "Rename").click()
    page.get_by_label("New title").fill("The small plan")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("It is called “The small plan” now.")).to_be_visible()
    catch_up()
    page.reload()
    expect(page.locator(".document-title")).to_have_text(["The small plan", "Minutes of May"])

    with page.expect_download() as download:
        choice(page, "The small plan", "Export as Markdown").click()
    assert download.value.suggested_filename == "The small plan.md"
    assert download.value.path().read_bytes() == b"---\ntitle: The small plan\n---\n# The *great* plan\n"

    page.goto("/documents/")
    choice(page, "The small plan", "Delete").click()
    expect(page.get_by_text("“The small plan” is deleted.")).to_be_visible()
    expect(page.locator(".document-title")).to_have_text(["Minutes of May"])
    catch_up()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("It is back.")).to_be_visible()
    catch_up()
    page.reload()
    expect(page.locator(".document-title")).to_have_text(["The small plan", "Minutes of May"])

    choice(page, "The small plan", "Delete").click()
    catch_up()
    page.get_by_role("link", name="Deleted documents").click()
    page.get_by_role("button", name="Bring back The small plan").click()
    catch_up()
    page.reload()
    choice(page, "The small plan", "Duplicate").click()
    title = page.get_by_label("Title", exact=True)
    expect(title).to_have_value("Copy of The small plan")
    expect(page.locator("#editor")).to_have_attribute("data-ready", "")
    title.fill("Unsaved title")
    page.get_by_label("More about this document").click()
    page.get_by_role("button", name="Duplicate").click()
    expect(title).to_have_value("Copy of Unsaved title")
    assert len([path for path in corner.paths() if path.endswith(".md")]) == 4


def test_an_earlier_version_is_compared_and_brought_back(page, writes, corner):
    corner.put("plan.md", b"One.\n\nTwo.\n")
    writes("One.\n\nThree.\n")
    page.get_by_label("More about this document").click()
    page.get_by_role("link", name="Earlier versions").click()
    page.get_by_role("link", name="Compare").click()
    difference = page.get_by_role("region", name="Differences")
    expect(difference.locator("del")).to_have_text("Taken away: Two.")
    expect(difference.locator("ins")).to_have_text("Added: Three.")
    page.get_by_role("button", name="Bring this version back").click()
    expect(page.get_by_label("Text, in Markdown")).to_have_value("One.\n\nTwo.\n")
    assert corner.get("plan.md") == b"One.\n\nTwo.\n"


def test_the_list_follows_by_itself(page, signed_in, corner, catch_up):
    corner.put("plan.md", b"# Plan")
    catch_up()
    page.goto("/documents/")
    choice(page, "Plan", "Rename").click()
    page.get_by_label("New title").fill("The small plan")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("It is called “The small plan” now.")).to_be_visible()
    expect(page.locator(".document-title")).to_have_text(["Plan"])
    catch_up()
    expect(page.locator(".document-title")).to_have_text(["The small plan"])
    choice(page, "The small plan", "Delete").click()
    page.get_by_role("link", name="Deleted documents").click()
    expect(page.get_by_text("Nothing deleted")).to_be_visible()
    catch_up()
    expect(page.get_by_role("button", name="Bring back The small plan")).to_be_visible()
