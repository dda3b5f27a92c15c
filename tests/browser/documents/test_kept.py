"""Documents in a browser: nothing that was written is lost."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.documents.editor import drafts, is_not_saved, is_saved, opened, save, type_at_end


def test_a_lost_connection_and_a_closed_tab_lose_nothing(page, context, writes, corner, saves_fail, catch_up):
    problem = page.locator("#problem")
    writes("Before.")
    context.set_offline(True)
    type_at_end(page, " In a tunnel.")
    expect(problem).to_contain_text("Not saved: Portico cannot be reached. Your text is kept in this browser.")
    expect(page.locator("#preview-says")).to_contain_text("cannot be reached")
    context.set_offline(False)
    is_saved(page)
    expect(problem).to_be_hidden()
    expect(page.locator("#aloud")).to_have_text("Saved.")
    assert corner.get("plan.md") == b"Before. In a tunnel."

    saves_fail(True)
    type_at_end(page, " In a longer one.")
    is_not_saved(page)
    page.close()
    saves_fail(False)
    assert corner.get("plan.md") == b"Before. In a tunnel."

    catch_up()
    again = context.new_page()
    again.goto("/documents/")
    expect(again.get_by_role("listitem")).to_contain_text("unsaved text in this browser")
    text = opened(again)
    expect(text).to_have_value("Before. In a tunnel. In a longer one.")
    expect(again.locator("#restored")).to_contain_text("is back")
    is_saved(again)
    assert corner.get("plan.md") == b"Before. In a tunnel. In a longer one."
    assert not drafts(again)
    again.get_by_role("button", name="Throw it away").click()
    expect(text).to_have_value("Before. In a tunnel.")
    save(again)
    assert corner.get("plan.md") == b"Before. In a tunnel."
    again.get_by_role("button", name="Bring it back").click()
    expect(text).to_have_value("Before. In a tunnel. In a longer one.")
    again.keyboard.press("Control+z")
    expect(text).to_have_value("Before. In a tunnel.")


def test_only_what_a_draft_had_is_thrown_away_and_not_after_it_was_saved_and_written_on(
    page, context, writes, corner, saves_fail
):
    writes("# Plan\n\nThe end.")
    saves_fail(True)
    page.get_by_label("Text, in Markdown").fill("# Plan\n\nUnsaved.\n\nThe end.")
    page.get_by_label("Title", exact=True).fill("Unsaved title")
    is_not_saved(page)
    page.close()
    again = context.new_page()
    text = opened(again)
    bar = again.locator("#restored")
    expect(bar).to_contain_text("is back")
    type_at_end(again, " Written since.")
    bar.get_by_role("button", name="Throw it away").click()
    expect(text).to_have_value("# Plan\n\nThe end. Written since.")
    expect(again.get_by_label("Title", exact=True)).to_have_value("")
    bar.get_by_role("button", name="Bring it back").click()
    expect(text).to_have_value("# Plan\n\nUnsaved.\n\nThe end. Written since.")
    expect(again.get_by_label("Title", exact=True)).to_have_value("Unsaved title")
    saves_fail(False)
    save(again)
    expect(bar).to_be_visible()
    type_at_end(again, " And on.")
    expect(bar).to_be_hidden()
    save(again)
    assert corner.get("plan.md").endswith(b"Unsaved.\n\nThe end. Written since. And on.")


def test_what_was_written_into_a_draft_stays_with_it(page, context, writes, saves_fail):
    writes("Before.")
    saves_fail(True)
    type_at_end(page, " Un saved.")
    is_not_saved(page)
    page.close()
    again = context.new_page()
    text = opened(again)
    text.focus()
    text.evaluate("(area) => area.setSelectionRange(10, 10)")
    again.keyboard.type("expectedly ")
    again.get_by_role("button", name="Throw it away").click()
    expect(again.locator("#restored")).to_contain_text("It is part of what was written since, so it stays.")
    expect(text).to_have_value(re.compile("expectedly"))


def test_drafts_of_what_was_deleted_elsewhere_are_in_the_list(page, context, writes, corner, saves_fail, catch_up):
    for name in ("kept", "plan"):
        writes("Before.", document_id=name)
    saves_fail(True)
    type_at_end(page, " Mine.")
    is_not_saved(page)
    corner.delete("plan.md")
    catch_up()
    # As long as its tab is open, it is offered there.
    other = context.new_page()
    other.goto("/documents/")
    expect(other.locator(".document-title")).to_have_count(1)
    page.close()
    saves_fail(False)
    other.reload()
    section = other.get_by_role("region", name="Only in this browser")
    expect(section.get_by_role("listitem")).to_contain_text("Before. Mine.")
    section.get_by_role("button", name="Throw away").click()
    assert not drafts(other)
    section.get_by_role("button", name="Undo").click()
    assert drafts(other)
    section.get_by_role("button", name="Save as a new document").click()
    expect(other.get_by_label("Text, in Markdown")).to_have_value("Before. Mine.")
    assert not drafts(other)
    (path,) = corner.paths() - {"kept.md"}
    assert corner.get(path) == b"Before. Mine."


def test_an_answer_that_was_lost_is_no_conflict(page, writes, corner):
    writes("One.")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/documents/plan", lose, times=1)
    type_at_end(page, " Two.")
    is_not_saved(page)
    assert corner.get("plan.md") == b"One. Two."
    type_at_end(page, " Three.")
    page.get_by_role("button", name="Try now").click()
    is_saved(page)
    expect(page.locator("#conflict")).to_be_hidden()
    assert corner.get("plan.md") == b"One. Two. Three."


def test_a_session_that_is_over_keeps_the_text_and_nobody_else_gets_it(
    page,
    context,
    writes,
    corner,
    cloud,
    author,
    rider,
    corner_of,
):
    theirs = corner_of(rider)
    writes("Mine.")
    cloud.empty("sessions")
    type_at_end(page, " More of it.")
    problem = page.locator("#problem")
    expect(problem).to_contain_text("Not saved: you are signed out. Sign in again in another tab.")
    assert "/documents/edit/" in page.url

    def sign_in_elsewhere(person):
        with context.expect_page() as opening:
            problem.get_by_role("link", name="Sign in").click()
        tab = opening.value
        tab.get_by_label("User name or e-mail").fill(person.username)
        tab.get_by_label("Password", exact=True).fill(person.password)
        tab.get_by_role("button", name="Sign in").click()
        expect(tab.get_by_role("heading", name="Documents", exact=True)).to_be_visible()
        return tab

    tab = sign_in_elsewhere(rider)
    page.bring_to_front()
    page.get_by_role("button", name="Try now").click()
    expect(problem).to_contain_text("somebody else is signed in")
    assert not theirs.paths()
    tab.locator("summary", has_text="Account of").click()
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("link", name="Sign in").first).to_be_visible()
    sign_in_elsewhere(author)
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    is_saved(page)
    assert corner.get("plan.md") == b"Mine. More of it."
    assert not theirs.paths()


def test_a_tab_is_left_without_a_question_unless_its_text_is_kept_nowhere(page, writes, corner):
    writes("Before.")
    page.route("**/documents/plan", lambda route: route.abort())
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    type_at_end(page, " Kept.")
    page.goto("/documents/deleted/")
    assert not asked
    opened(page)
    page.evaluate(
        "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"
    )
    type_at_end(page, " Not kept.")
    expect(page.locator("#problem")).to_contain_text("leave this tab open")
    page.goto("/documents/deleted/")
    assert asked == ["beforeunload"]


def test_what_is_typed_while_the_script_is_late_is_saved(page, context, writes, corner):
    writes("Before.")
    held = []
    page.route("**/documents/edit.js", lambda route: held.append(route), times=1)
    page.goto("/documents/edit/plan/", wait_until="commit")
    type_at_end(page, " Early.")
    held[0].continue_()
    save(page)
    assert corner.get("plan.md") == b"Before. Early."
    # And where it does not come at all, there is a button.
    context.route("**/documents/saving.js", lambda route: route.abort())
    page.goto("/documents/edit/plan/")
    type_at_end(page, " By hand.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert corner.get("plan.md") == b"Before. Early. By hand."


def test_what_was_deleted_elsewhere_is_saved_as_a_new_document(page, writes, corner):
    writes("Before.")
    corner.delete("plan.md")
    type_at_end(page, " After.")
    expect(page.locator("#problem")).to_contain_text("deleted elsewhere")
    page.get_by_role("button", name="Save as a new document").click()
    page.wait_for_url(lambda url: "/plan/" not in url and "/edit/" in url)
    expect(page.get_by_label("Text, in Markdown")).to_have_value("Before. After.")
    (path,) = corner.paths()
    assert corner.get(path) == b"Before. After."
    assert not drafts(page)


def test_a_document_has_no_more_text_than_it_can_hold(page, writes, corner):
    text = writes("Before.")
    page.evaluate(
        """() => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", "x".repeat(10_000_000));
          const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
          document.getElementById("id_text").dispatchEvent(paste);
        }"""
    )
    said = page.locator("#text-says")
    expect(said).to_have_text("That is more text than a document holds, 1,000,000 bytes. Nothing was inserted.")
    expect(text).to_have_value("Before.")
    type_at_end(page, " On.")
    expect(said).to_be_empty()
    text.evaluate(
        """(area) => {
          area.setRangeText("é".repeat(600_000));
          area.dispatchEvent(new InputEvent("input", { bubbles: true }));
        }"""
    )
    expect(page.locator("#problem")).to_contain_text("Not saved: the text is too long.")
    expect(page.locator("#preview-says")).to_contain_text("too long")
    text.fill("Shorter.")
    save(page)
    assert corner.get("plan.md") == b"Shorter."
