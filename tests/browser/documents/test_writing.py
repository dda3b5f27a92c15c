"""Documents in a browser: what is written is seen, and saved."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from documents import workshop
from tests.browser.documents.editor import drafts, is_not_saved, is_saved, save, type_at_end


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
    # The Enter key began the second item, and took the third away with a line between the list and what comes next.
    assert corner.get(path).decode() == "# The house\n\nIt has **three** doors.\n\n- one\n- two\n\n"
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
    expect(page.locator("#text-says")).to_have_text("The first lines said title or look. They are in those fields now.")
    type_at_end(page, "More.")
    expect(page.locator("#text-says")).to_be_empty()
    save(page)
    assert corner.get("plan.md") == b"---\ntitle: Pasted plan\npaper: A5\n---\n# Plan\nMore."


def hold_next_save(page):
    """Keep the answer of the next save; return a function that gives it to the page."""
    held = []
    page.route("**/documents/plan", lambda route: held.append((route, route.fetch())), times=1)

    def answer():
        while not held:
            page.wait_for_timeout(20)
        route, response = held.pop()
        route.fulfill(response=response)

    return answer


def test_what_is_written_while_first_lines_are_saved_is_kept(page, writes, corner):
    text = writes("# Plan\n")
    answer = hold_next_save(page)
    text.fill("---\ntitle: Pasted plan\npaper: A5\n---\n# Plan\n")
    page.keyboard.press("Control+s")
    expect(page.locator("#saved")).to_have_text("Saving…")
    type_at_end(page, "Meanwhile.")
    page.locator("summary", has_text="Look").click()
    page.get_by_label("Paper").select_option("Letter")
    text.focus()
    text.evaluate("(area) => area.setSelectionRange(area.value.length - 1, area.value.length - 1)")
    answer()
    expect(text).to_have_value("# Plan\nMeanwhile.")
    assert text.evaluate("(area) => area.value.slice(area.selectionStart)") == "."
    expect(page.get_by_label("Title", exact=True)).to_have_value("Pasted plan")
    expect(page.get_by_label("Paper")).to_have_value("Letter")
    save(page)
    assert corner.get("plan.md") == b"---\ntitle: Pasted plan\npaper: Letter\n---\n# Plan\nMeanwhile."


def test_first_lines_that_are_written_on_meanwhile_wait_for_the_next_save(page, writes, corner):
    text = writes("# Plan\n")
    answer = hold_next_save(page)
    text.fill("---\ntitle: Pasted\n---\n# Plan\n")
    page.keyboard.press("Control+s")
    expect(page.locator("#saved")).to_have_text("Saving…")
    text.fill("---\ntitle: Pasted and changed\n---\n# Plan\n")
    answer()
    expect(text).to_have_value("# Plan\n")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Pasted and changed")
    is_saved(page)
    assert corner.get("plan.md") == b"---\ntitle: Pasted and changed\n---\n# Plan\n"


def test_first_lines_whose_answer_was_lost_are_no_conflict(page, writes, corner):
    text = writes("# Plan\n")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/documents/plan", lose, times=1)
    text.fill("---\ntitle: Pasted\n---\n# Plan\nMine.")
    is_not_saved(page)
    page.get_by_role("button", name="Try now").click()
    is_saved(page)
    expect(page.locator("#conflict")).to_be_hidden()
    expect(text).to_have_value("# Plan\nMine.")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Pasted")
    assert corner.get("plan.md") == b"---\ntitle: Pasted\n---\n# Plan\nMine."


def test_a_new_document_is_there_to_be_written(page, signed_in, corner):
    page.goto("/documents/")
    page.get_by_role("button", name="New document").click()
    expect(page.get_by_label("Title", exact=True)).to_be_focused()
    page.keyboard.type("Plan")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text, in Markdown")).to_be_focused()
    is_saved(page)


def test_a_wide_table_scrolls_by_itself(page, writes):
    row = "|".join(f" column{n:02} " for n in range(40))
    writes(f"|{row}|\n|{'|'.join(['---'] * 40)}|\n|{row}|\n")
    wide = page.locator("#preview .wide")
    expect(wide.locator("th").last).to_have_text("column39")
    assert wide.evaluate("(box) => box.scrollWidth > box.clientWidth")
    assert page.locator("#preview").evaluate("(pane) => pane.scrollWidth <= pane.clientWidth")


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
    expect(page.locator("#preview-says")).to_have_text("This is nested too deeply. This is how it was before.")
    expect(preview).to_have_text("one two three")
    expect(preview).to_have_attribute("data-old", "")
    expect(page.locator("#words")).to_be_empty()
    page.unroute("**/preview")
    type_at_end(page, " five")
    expect(preview).to_have_text("one two three four five")
    expect(preview).not_to_have_attribute("data-old", "")
    expect(page.locator("#words")).to_have_text("5 words · 1 min")


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
        ("link", "a [word](‹https://›) b"): "a ‹word› b",
        ("link", "[‹text›](https://x.example/)"): "‹https://x.example/›",
        ("link", "‹[word](https://x.example/)›"): "‹word›",
        ("link", "![alt](‹images/a.png›)"): None,
        ("code", "`‹x›`"): "‹x›",
        ("code", "a\n\n```‹›\nx\ny\n```\n\nb"): "a\n\n‹x\ny›\n\nb",
        ("code", "```\nx ‹y›\n"): "```\nx `‹y›`\n",
        ("table", "| ‹Column› | Column |\n| ------ | ------ |"): None,
        ("link", "‹https://x.example/›"): "[‹text›](https://x.example/)",
        ("table", "ab‹›c\nnext"): "abc\n\n| ‹Column› | Column |\n| ------ | ------ |\n| Cell   | Cell   |\n\nnext",
        ("enter", "  - [x] a‹›b"): "  - [x] a\n  - [ ] ‹›b",
        ("enter", "9. a‹›"): "9. a\n10. ‹›",
        ("enter", "> a‹›"): "> a\n> ‹›",
        ("enter", "x\n- a\n- ‹›\ny"): "x\n- a\n\n‹›\ny",
        ("enter", "- [ ] a\n- [ ] ‹›"): "- [ ] a\n\n‹›",
        ("enter", "1. a\n2. ‹›"): "1. a\n\n‹›",
        ("enter", "> a\n> ‹›"): "> a\n\n‹›",
        ("enter", "- ‹›"): "‹›",
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
