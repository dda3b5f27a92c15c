"""Documents in a browser: two versions of one document."""

from __future__ import annotations

import random

import pytest
from django.conf import settings
from playwright.sync_api import expect

from tests.browser.documents.editor import drafts, is_not_saved, is_saved, opened, save, type_at_end


@pytest.fixture
def two_versions(page, context, writes, corner):
    """Two tabs have written into one document; the second one saved first."""
    writes("# Plan\n\nThe middle.\n\nThe end.\n")
    other = context.new_page()
    opened(other)
    other.get_by_label("Title", exact=True).fill("Their plan")
    other.get_by_label("Text, in Markdown").fill("# Plan\n\nTheir middle.\n\nThe end.\n")
    other.keyboard.press("Control+s")
    is_saved(other)
    other.close()
    page.get_by_label("Text, in Markdown").fill("# Plan\n\nMy middle.\n\nThe end.\n")
    panel = page.get_by_role("region", name="Two versions of this document")
    expect(panel).to_be_visible()
    expect(page.locator("#problem")).to_contain_text("Not saved: this document was changed elsewhere.")
    expect(page.get_by_label("Text, in Markdown")).to_be_focused()
    changed = panel.locator("tr.changed")
    expect(changed.nth(0)).to_have_text("Title: Title: Their plan")
    expect(changed.nth(1)).to_have_text("My middle.Their middle.")
    assert b"Their middle." in corner.get("plan.md")
    return panel


def versions(cloud, corner):
    answer = cloud.admin("s3").list_object_versions(Bucket=settings.DOCUMENTS_BUCKET, Prefix=corner.key("plan.md"))
    return len(answer["Versions"])


def test_keeping_mine_keeps_theirs_as_a_version(page, two_versions, corner, cloud):
    before = versions(cloud, corner)
    # Writing goes on; the panel follows.
    type_at_end(page, "One more.")
    expect(two_versions.locator("tr.changed", has_text="One more.")).to_be_visible()
    two_versions.get_by_role("button", name="Keep mine").click()
    expect(two_versions).to_be_hidden()
    is_saved(page)
    assert corner.get("plan.md") == b"# Plan\n\nMy middle.\n\nThe end.\nOne more."
    assert versions(cloud, corner) == before + 1


def test_taking_theirs_keeps_mine_as_a_document(page, two_versions, corner):
    two_versions.get_by_role("button", name="Take theirs").click()
    expect(two_versions).to_be_hidden()
    expect(page.get_by_label("Text, in Markdown")).to_have_value("# Plan\n\nTheir middle.\n\nThe end.\n")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Their plan")
    is_saved(page)
    page.get_by_role("link", name="Plan (my copy)").click()
    expect(page.get_by_label("Text, in Markdown")).to_have_value("# Plan\n\nMy middle.\n\nThe end.\n")
    (copy,) = corner.paths() - {"plan.md"}
    assert b"My middle." in corner.get(copy)
    assert b"Their middle." in corner.get("plan.md")


def test_merging_puts_both_into_the_text(page, two_versions, corner):
    two_versions.get_by_role("button", name="Merge by hand").click()
    merged = "# Plan\n\n<<<<<<< mine\nMy middle.\n=======\nTheir middle.\n>>>>>>> saved\n\nThe end.\n"
    expect(page.get_by_label("Text, in Markdown")).to_have_value(merged)
    save(page)
    assert corner.get("plan.md").decode() == merged


def test_a_draft_of_another_version_opens_the_conflict(page, context, writes, corner, saves_fail):
    writes("Before.")
    saves_fail(True)
    type_at_end(page, " Mine.")
    is_not_saved(page)
    page.close()
    saves_fail(False)
    corner.put("plan.md", b"Theirs.")
    for _ in range(2):
        # Closing the tab decides nothing.
        again = context.new_page()
        opened(again)
        panel = again.get_by_role("region", name="Two versions of this document")
        expect(panel).to_be_visible()
        expect(panel.get_by_role("heading")).to_be_focused()
        assert corner.get("plan.md") == b"Theirs."
        again.close()
    again = context.new_page()
    opened(again)
    again.get_by_role("button", name="Keep mine").click()
    save(again)
    assert corner.get("plan.md") == b"Before. Mine."


def test_two_tabs_that_were_closed_with_unsaved_text_are_both_brought_back(page, context, writes, corner, saves_fail):
    writes("Before.")
    other = context.new_page()
    opened(other)
    saves_fail(True)
    for tab, words in ((page, " First tab."), (other, " Second tab.")):
        type_at_end(tab, words)
        is_not_saved(tab)
    page.close()
    other.close()
    saves_fail(False)
    again = context.new_page()
    opened(again)
    panel = again.get_by_role("region", name="Two versions of this document")
    expect(panel.locator("tr.changed")).to_have_text("Before. First tab.Before. Second tab.")
    assert corner.get("plan.md") == b"Before. Second tab."
    panel.get_by_role("button", name="Keep mine").click()
    save(again)
    assert corner.get("plan.md") == b"Before. First tab."
    assert not drafts(again)


def test_differences_put_together_are_the_two_texts(page):
    page.goto("/")
    chance = random.Random(5)
    texts = ["\n".join(chance.choices("abcd"[: chance.randint(1, 4)], k=chance.randint(0, 12))) for _ in range(800)]
    found = page.evaluate(
        """async (texts) => {
          const { parts } = await import("/static/documents/differences.js");
          const problems = [];
          for (let n = 0; n + 1 < texts.length; n += 2) {
            const found = parts(texts[n], texts[n + 1]);
            const mine = found.flatMap((part) => part.same ?? part.mine).join("\\n");
            const theirs = found.flatMap((part) => part.same ?? part.theirs).join("\\n");
            if (mine !== texts[n] || theirs !== texts[n + 1]) problems.push([texts[n], texts[n + 1], found]);
          }
          const long = Array.from({ length: 20_000 }, (_, n) => `line ${n}`);
          const began = performance.now();
          parts(long.join("\\n"), long.map((line, n) => (n % 9 ? line : `${line}!`)).join("\\n"));
          if (performance.now() - began > 2000) problems.push("slow");
          return problems;
        }""",
        texts,
    )
    assert not found
