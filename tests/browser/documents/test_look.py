"""Documents in a browser: for everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.documents.editor import choice, is_saved, opened, type_at_end
from tests.browser.test_look import SIZES, shown, violations

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
def test_axe_finds_nothing_and_nothing_hangs_over(page, context, writes, corner, catch_up, scheme, size):
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
