"""Documents in a browser: written, seen, saved, never lost, printed, found again, deleted and brought back."""

from __future__ import annotations

import base64
import io
import random
import re

import pypdf
import pytest
from django.conf import settings
from PIL import Image
from playwright.sync_api import expect

from documents import pdf, workshop
from tests.browser.test_look import SIZES, shown, violations
from tests.documents.conftest import bucket_events, catch_up, corner_of  # noqa: F401 - fixtures

EVERYTHING = """# The house

With **bold**, ~~struck~~, ==marked==, `code`, a [link](https://example.org/) and a footnote.[^1]

[TOC]

## What is to be done

- [x] Lay the stones
- [ ] Hang the door

!!! warning
    Mind the step.

!!! danger "The well"
    It is open.

| Stone | Weight |
|:------|-------:|
| Lime  |    2.3 |

```python
@decorator
def carve(stone: str, *, depth: int = 3) -> bool:  # never
    return f"{stone}: {depth}" is None
```

\\newpage

> Somebody said so.

![Elsewhere](https://example.org/a.png)

[^1]: Here it is.
"""


@pytest.fixture
def page(context):
    """A page that fails the test on a script error or a CSP violation; that a request failed is what is tested here."""
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    yield page
    assert not problems, problems


def is_problem(message):
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture
def corner(author, corner_of):  # noqa: F811
    return corner_of(author)


@pytest.fixture
def signed_in(context, client_for, author, portal_url):
    """The author is signed in: through the form, but not with the browser, which takes a second longer."""
    cookie = client_for(author).cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": portal_url, "httpOnly": True}])


@pytest.fixture
def writes(page, signed_in, corner):
    """Return a function that opens the editor on a document that is put into the corner."""

    def open_(text="", document_id="plan"):
        corner.put(f"{document_id}.md", text.encode())
        return opened(page, document_id)

    return open_


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


@pytest.fixture
def saves_fail(context):
    """Return a function that cuts the way of what is saved, or mends it. Where the whole connection came back, a page
    that is being closed would hear of it and save."""
    address = "**/documents/plan"

    def switch(is_cut):
        if is_cut:
            context.route(address, lambda route: route.abort())
        else:
            context.unroute(address)

    return switch


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


# --- Write ------------------------------------------------------------------------------------------------------------


def test_what_is_typed_is_seen_counted_and_saved(page, signed_in, corner):
    page.goto("/")
    page.get_by_role("link", name="Documents").first.click()
    page.get_by_role("button", name="New document").click()
    expect(page.locator("#editor")).to_have_attribute("data-ready", "")
    type_at_end(page, "# The house\n\nIt has **three** doors.\n\n- one\ntwo\n\n")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("heading", name="The house")).to_be_visible()
    expect(preview.locator("strong")).to_have_text("three")
    expect(page.locator("#words")).to_have_text("8 words · 1 min")
    expect(page).to_have_title("The house · Portico")
    is_saved(page)
    (path,) = corner.paths()
    # The Enter key began the second item, and took the third away.
    assert corner.get(path).decode() == "# The house\n\nIt has **three** doors.\n\n- one\n- two\n"
    page.get_by_label("Title", exact=True).fill("A house of stone")
    page.locator("summary", has_text="Look").click()
    page.get_by_label("Paper").select_option("A5")
    page.get_by_label("Cover page").check()
    expect(page.locator("#saved")).to_have_text("Not saved yet")
    is_saved(page)
    assert (
        corner.get(path).decode().startswith("---\ntitle: A house of stone\npaper: A5\ncover: true\n---\n# The house")
    )
    assert not drafts(page)


def test_first_lines_that_say_title_and_look_go_into_their_fields(page, writes, corner):
    text = writes("# Plan\n")
    text.fill("---\ntitle: Pasted plan\npaper: A5\n---\n# Plan\n")
    save(page)
    expect(page.get_by_label("Title", exact=True)).to_have_value("Pasted plan")
    expect(page.get_by_label("Paper")).to_have_value("A5")
    expect(text).to_have_value("# Plan\n")
    type_at_end(page, "More.")
    save(page)
    assert corner.get("plan.md") == b"---\ntitle: Pasted plan\npaper: A5\n---\n# Plan\nMore."


def test_a_later_text_is_never_replaced_by_an_earlier_preview(page, writes):
    writes("one")
    preview = page.locator("#preview")
    expect(preview).to_have_text("one")
    held = []
    page.route("**/preview", lambda route: held.append(route), times=1)
    type_at_end(page, " two")
    page.wait_for_timeout(500)
    type_at_end(page, " three")
    page.wait_for_timeout(500)
    assert len(held) == 1
    held[0].continue_()
    expect(preview).to_have_text("one two three")
    page.route("**/preview", lambda route: route.fulfill(status=422, json={"Error": "This is nested too deeply."}))
    type_at_end(page, " four")
    expect(page.locator("#preview-says")).to_have_text("This is nested too deeply.")
    expect(preview).to_have_text("one two three")


def test_the_toolbar_and_the_keys_write_markdown_that_can_be_undone(page, writes):
    text = writes("word")
    text.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+b")
    expect(text).to_have_value("**word**")
    page.keyboard.press("Control+z")
    expect(text).to_have_value("word")
    page.get_by_role("button", name="Heading").click()
    expect(text).to_have_value("# word")
    page.get_by_role("button", name="Heading").click()
    expect(text).to_have_value("## word")
    type_at_end(page, "\n")
    page.get_by_role("button", name="Page break").click()
    page.get_by_role("button", name="Table").click()
    expect(text).to_have_value(re.compile(r"^## word\n\n\\newpage\n\n\| Column"))
    page.keyboard.type("Stone")
    expect(page.locator("#preview th").first).to_have_text("Stone")


def test_commands_do_to_the_selection_what_they_say(page):
    page.goto("/")
    # The angles are around what is selected.
    cases = {
        ("bold", "a wo‹›rd b"): "a **‹word›** b",
        ("bold", "a ‹›"): "a **‹bold›**",
        ("bold", "a **wo‹›rd** b"): "a ‹word› b",
        ("bold", "a ‹**word**› b"): "a ‹word› b",
        ("bold", "‹ word ›x"): " **‹word›** x",
        ("bold", "***‹word›***"): "*‹word›*",
        ("italic", "**‹word›**"): "***‹word›***",
        ("italic", "‹**word**›"): "*‹**word**›*",
        ("italic", "***‹word›***"): "**‹word›**",
        ("list", "‹a\nb›"): "‹- a\n- b›",
        ("list", "‹- a\n- b›"): "‹a\nb›",
        ("list", "‹- [x] a›"): "‹- a›",
        ("list", "‹›"): "- ‹›",
        ("list", "‹›\na"): "- ‹›\na",
        ("tasks", "‹- a\n- b›"): "‹- [ ] a\n- [ ] b›",
        ("quote", "‹a\n\nb›"): "‹> a\n>\n> b›",
        ("quote", "‹> a\n>\n> b›"): "‹a\n\nb›",
        ("heading", "### ti‹›tle"): "ti‹›tle",
        ("code", "‹x›"): "`‹x›`",
        ("code", "a\n‹x\ny›\nb"): "a\n\n```‹›\nx\ny\n```\n\nb",
        ("link", "a ‹word› b"): "a [word](‹https://›) b",
        ("link", "‹https://x.example/›"): "[‹text›](https://x.example/)",
        ("table", "ab‹›c\nnext"): "abc\n\n| ‹Column› | Column |\n| ------ | ------ |\n| Cell   | Cell   |\n\nnext",
        ("enter", "  - [x] a‹›b"): "  - [x] a\n  - [ ] ‹›b",
        ("enter", "9. a‹›"): "9. a\n10. ‹›",
        ("enter", "> a‹›"): "> a\n> ‹›",
        ("enter", "x\n- a\n- ‹›\ny"): "x\n- a\n‹›\ny",
        ("enter", "‹›- a"): None,
        ("enter", "**a** b‹›"): None,
        ("nearer", "    - a‹›"): "- a‹›",
        ("further", "- a‹›"): "    - a‹›",
    }
    done = page.evaluate(
        """async (cases) => {
          const c = await import("/static/documents/commands.js");
          const [bold, italic] = [c.around("**", "bold"), c.around("*", "italic")];
          const all = { ...c, bold, italic, list: c.list("- "), tasks: c.list("- [ ] ") };
          return cases.map(([name, marked]) => {
            const [start, end] = [marked.indexOf("‹"), marked.indexOf("›") - 1];
            const text = marked.replace(/[‹›]/g, "");
            const change = all[name]({ text, start, end });
            if (!change) return null;
            const made = text.slice(0, change.from) + change.insert + text.slice(change.to);
            return `${made.slice(0, change.start)}‹${made.slice(change.start, change.end)}›${made.slice(change.end)}`;
          });
        }""",
        [list(case) for case in cases],
    )
    assert dict(zip(cases, done, strict=True)) == cases


def test_text_and_preview_scroll_together(page, writes):
    parts = [f"## Part {n}\n\n{'words ' * 60}\n\n```\n{'code' if n % 2 else 'more'}\n```\n" for n in range(30)]
    text = writes("\n".join(parts))
    preview = page.locator("#preview")
    expect(preview.get_by_role("heading", name="Part 29")).to_be_attached()

    def top_heading():
        return page.evaluate(
            """() => {
              const pane = document.getElementById("preview");
              const at = pane.getBoundingClientRect().top;
              const heads = [...pane.querySelectorAll("h2")];
              return heads.findLast((head) => head.getBoundingClientRect().top <= at + 30)?.textContent ?? "";
            }"""
        )

    text.hover()
    for _ in range(6):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(40)
    expect(preview).not_to_have_js_property("scrollTop", 0)
    first_line = page.evaluate(
        """() => {
          const area = document.getElementById("id_text");
          const share = area.scrollTop / area.scrollHeight;
          return area.value.slice(0, Math.round(area.value.length * share)).match(/Part \\d+/g).at(-1);
        }"""
    )
    seen = top_heading()
    assert abs(int(seen.split()[1]) - int(first_line.split()[1])) <= 1
    preview.hover()
    page.mouse.wheel(0, 100_000)
    page.wait_for_timeout(100)
    at_end = "area => Math.abs(area.scrollHeight - area.clientHeight - area.scrollTop) < 3"
    assert text.evaluate(at_end)


def test_what_would_keep_a_renderer_busy_is_written_and_saved_all_the_same(page, writes, corner, monkeypatch):
    monkeypatch.setitem(workshop.html.__kwdefaults__, "seconds", 2)
    writes("before")
    expect(page.locator("#preview")).to_have_text("before")
    page.evaluate(
        """() => {
          const area = document.getElementById("id_text");
          area.focus();
          document.execCommand("insertText", false, "[](".repeat(17000));
        }"""
    )
    expect(page.locator("#preview-says")).to_contain_text("longer than it may")
    expect(page.locator("#preview")).to_have_text("before")
    save(page)
    assert len(corner.get("plan.md")) > 51_000


# --- Nothing is lost --------------------------------------------------------------------------------------------------


def test_a_lost_connection_and_a_closed_tab_lose_nothing(page, context, writes, corner, saves_fail, catch_up):  # noqa: F811
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
    expect(again.locator("#restored")).to_contain_text("was not saved is back")
    is_saved(again)
    assert corner.get("plan.md") == b"Before. In a tunnel. In a longer one."
    assert not drafts(again)
    again.get_by_role("button", name="Throw it away").click()
    expect(text).to_have_value("Before. In a tunnel.")
    save(again)
    assert corner.get("plan.md") == b"Before. In a tunnel."


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
    corner_of,  # noqa: F811
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
    expect(page.get_by_text("more text than a document holds").first).to_be_visible()
    expect(text).to_have_value("Before.")
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


# --- Two versions -----------------------------------------------------------------------------------------------------


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


# --- Pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_pasted_uploaded_and_seen(page, writes, corner):
    text = writes("Above.", document_id="notes/plan")
    text.focus()
    page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "The front door.png", { type: "image/png" }));
          const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
          document.getElementById("id_text").dispatchEvent(paste);
        }""",
        base64.b64encode(picture()).decode(),
    )
    expect(text).to_have_value(re.compile(r"^Above\.\n\n!\[The front door\]\(\.\./images/[0-9a-f]{32}\.png\)\n$"))
    shown_picture = page.locator("#preview img")
    expect(shown_picture).to_have_js_property("naturalWidth", 240)
    save(page)
    (path,) = corner.paths() - {"notes/plan.md"}
    assert path in corner.get("notes/plan.md").decode()
    # What is the same stays in the preview: the picture does not blink.
    shown_picture.evaluate("picture => (picture.mark = 1)")
    type_at_end(page, "\nBelow.")
    expect(page.locator("#preview p").last).to_have_text("Below.")
    expect(shown_picture).to_have_js_property("mark", 1)


def test_a_picture_that_is_too_large_is_made_smaller_and_what_is_none_says_so(page, writes, corner, monkeypatch):
    monkeypatch.setattr("documents.edit_views.MAX_PICTURE_BYTES", 60_000)
    text = writes("Above.")
    files = [
        {"name": "IMG_2031.jpg", "mimeType": "image/jpeg", "buffer": picture(700, 500, "JPEG", noise=True)},
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"},
        {"name": "book.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"},
    ]
    page.locator("#choose-pictures").set_input_files(files)
    said = page.locator("#text-says")
    expect(said).to_contain_text("book.pdf was not uploaded: it is not a picture.")
    expect(said).to_contain_text("notes.png was not uploaded: ")
    expect(text).to_have_value(re.compile(r"^Above\.\s+!\[\]\(images/[0-9a-f]{32}\.jpg\)\s+$"))
    save(page)
    (path,) = corner.paths() - {"plan.md"}
    assert Image.open(io.BytesIO(corner.get(path))).width <= 700
    assert "Uploading" not in corner.get("plan.md").decode()


# --- PDF --------------------------------------------------------------------------------------------------------------


def test_a_pdf_is_made_and_opened_from_the_history(page, writes, corner, catch_up):  # noqa: F811
    corner.put("images/door.png", picture())
    writes("# The house\n\nIt has a door.\n\n## The door\n\n![A door](images/door.png)\n\n![Gone](images/gone.png)\n")
    expect(page.locator("#preview .missing")).to_have_text("This picture is not there: Gone. Upload it to show it.")
    type_at_end(page, "Written last.")
    page.get_by_role("button", name="Make PDF").click()
    expect(page.locator("#pdf")).to_contain_text("The PDF is made: 1 page.", timeout=20_000)
    expect(page.locator("#pdf")).to_contain_text("images/gone.png")
    assert corner.get("plan.md").endswith(b"Written last.")
    catch_up()
    page.goto("/profile/")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF of The house").click()
    assert download.value.suggested_filename == "The house.pdf"
    reader = pypdf.PdfReader(download.value.path())
    text = reader.pages[0].extract_text()
    assert "It has a door." in text
    assert "Written last." in text
    outline = reader.outline
    assert outline[0]["/Title"] == "The house"
    assert outline[1][0]["/Title"] == "The door"
    assert [image.image.size for image in reader.pages[0].images] == [(240, 120)]
    assert reader.metadata.title == "The house"


def test_a_long_pdf_says_how_far_it_is_and_why_it_failed(page, writes, monkeypatch, catch_up):  # noqa: F811
    monkeypatch.setattr(pdf, "SHORT_PAGES", 0)
    writes("# Long")
    part = page.locator("#pdf")
    page.get_by_role("button", name="Make PDF").click()
    expect(part).to_contain_text("being made in the background")
    expect(page.get_by_role("progressbar", name="Pages laid out")).to_be_visible()
    # The page can be left, and finds it again.
    opened(page)
    expect(part).to_contain_text("waits for its turn")
    with monkeypatch.context() as broken:

        def refuse(*arguments, **options):
            raise pdf.CannotBeMade("It has more than 200 pictures.")

        broken.setattr(pdf, "make", refuse)
        catch_up()
    expect(part).to_contain_text("There is no new PDF: It has more than 200 pictures.")
    part.get_by_role("button", name="Try again").click()
    expect(part).to_contain_text("being made in the background")
    catch_up()
    expect(part).to_contain_text("The PDF is made: 1 page.")
    expect(part.get_by_role("link", name="Download the PDF")).to_be_visible()
    type_at_end(page, "er")
    expect(part).to_contain_text("The text has changed since.")


# --- Find, rename, delete ---------------------------------------------------------------------------------------------


def test_documents_are_imported_found_renamed_exported_deleted_and_brought_back(
    page,
    signed_in,
    corner,
    catch_up,  # noqa: F811
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


# --- Everybody --------------------------------------------------------------------------------------------------------


def test_no_mouse_is_needed(page, writes, corner):
    text = writes("word")
    page.get_by_label("Title", exact=True).focus()
    seen = []
    for _ in range(7):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        seen.append(focused.get_attribute("aria-label") or focused.inner_text() or focused.get_attribute("id"))
    assert seen[:5] == ["Make PDF", "Look", "More about this document", "Bold", "id_text"]
    assert seen[5:7] == ["Preview", "Keys"]
    page.get_by_role("button", name="Bold").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Page break")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(text).to_have_value("**word**")
    expect(text).to_be_focused()
    page.keyboard.press("Control+s")
    is_saved(page)
    expect(page.locator("#aloud")).to_have_text("Saved.")
    assert corner.get("plan.md") == b"**word**"
    page.locator("summary", has_text="Keys").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Make the PDF")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Make the PDF")).to_be_hidden()
    text.focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#pdf")).to_contain_text("The PDF is made", timeout=20_000)
    expect(page.locator("#aloud")).to_contain_text("The PDF is made")


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "wide")])
def test_axe_finds_nothing_and_nothing_hangs_over(page, context, writes, corner, catch_up, scheme, size):  # noqa: F811
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    corner.put(f"{'long-' * 20}.md", f"# {'Title' * 30}\n\n{'w' * 300}".encode())
    corner.put("only.pdf", b"%PDF")
    corner.put("sums.xlsx", b"PK")
    corner.put("gone.md", b"# Gone")
    corner.delete("gone.md")
    writes(EVERYTHING)
    catch_up()
    page.goto("/documents/")
    choice(page, "The house", "Rename").click()
    problems = shown(page, "the list")
    opened(page)
    expect(page.locator("#preview .missing")).to_be_attached()
    page.locator("summary", has_text="Look").click()
    problems += shown(page, "the editor")
    page.keyboard.press("Escape")
    corner.put("plan.md", (EVERYTHING + "Theirs.").encode())
    type_at_end(page, "Mine. ")
    page.keyboard.insert_text("w" * 300)
    expect(page.locator("#conflict")).to_be_visible()
    problems += shown(page, "a conflict")
    if size == "phone":
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="Preview")).to_be_visible()
        expect(page.get_by_label("Text, in Markdown")).to_be_hidden()
        problems += violations(page)
    page.get_by_role("button", name="Keep mine").click()
    is_saved(page)
    page.goto("/documents/versions/plan/")
    page.get_by_role("link", name="Compare").first.click()
    problems += shown(page, "versions")
    assert not problems


def test_without_javascript_it_is_a_form_that_overwrites_nothing(browser, portal_url, author, corner):
    corner.put("plan.md", b"One.\nTwo.\n")
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/documents/edit/plan/")
    page.get_by_label("User name or e-mail").fill(author.username)
    page.get_by_label("Password", exact=True).fill(author.password)
    page.get_by_role("button", name="Sign in").click()
    text = page.get_by_label("Text, in Markdown")
    text.fill("One.\nThree.\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert corner.get("plan.md") == b"One.\nThree.\n"
    corner.put("plan.md", b"Theirs.")
    text.fill("Mine.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved: this document was changed elsewhere")
    expect(page.get_by_label("Its text")).to_have_value("Theirs.")
    expect(text).to_have_value("Mine.")
    assert corner.get("plan.md") == b"Theirs."
    page.get_by_role("button", name="Save").click()
    assert corner.get("plan.md") == b"Mine."
    page.get_by_role("button", name="Make PDF").click()
    expect(page.get_by_text("The PDF is made: 1 page.")).to_be_visible(timeout=20_000)
    context.close()
