"""Documents in a browser: pictures that are pasted, dropped and chosen."""

from __future__ import annotations

import base64
import io
import re

from PIL import Image
from playwright.sync_api import expect

from tests.browser.documents.editor import picture, save, type_at_end


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
    expect(text).to_have_value(re.compile(r"^Above\.\n\n!\[\]\(images/[0-9a-f]{32}\.jpg\)\n$"))
    save(page)
    (path,) = corner.paths() - {"plan.md"}
    assert Image.open(io.BytesIO(corner.get(path))).width <= 700
    assert "Uploading" not in corner.get("plan.md").decode()


def test_a_refused_picture_leaves_the_text_as_it_was(page, writes):
    text = writes("Above.\n\nBelow.")
    text.evaluate("(area) => area.setSelectionRange(6, 6)")
    files = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": b"no picture"} for n in range(3)]
    page.locator("#choose-pictures").set_input_files(files)
    expect(page.locator("#text-says")).to_contain_text("2.png was not uploaded")
    expect(text).to_have_value("Above.\n\nBelow.")
    type_at_end(page, " On.")
    expect(page.locator("#text-says")).to_be_empty()


def test_a_picture_that_is_dropped_beside_the_text_goes_into_it(page, writes):
    text = writes("Above.")
    text.evaluate("(area) => area.setSelectionRange(6, 6)")
    dropped = page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "Door.png", { type: "image/png" }));
          return ["dragover", "drop"].map((name) => {
            const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
            return document.getElementById("preview").dispatchEvent(event);
          });
        }""",
        base64.b64encode(picture()).decode(),
    )
    # The browser does not open the file.
    assert dropped == [False, False]
    expect(text).to_have_value(re.compile(r"^Above\.\n\n!\[Door\]\(images/[0-9a-f]{32}\.png\)\n$"))
