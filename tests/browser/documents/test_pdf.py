"""Documents in a browser: their PDFs."""

from __future__ import annotations

import pypdf
from playwright.sync_api import expect

from documents import pdf
from tests.browser.documents.editor import opened, picture, type_at_end


def test_a_pdf_is_made_and_opened_from_the_history(page, writes, corner, catch_up):
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


def test_a_long_pdf_says_how_far_it_is_and_why_it_failed(page, writes, monkeypatch, catch_up):
    monkeypatch.setattr(pdf, "SHORT_PAGES", 0)
    writes("# Long")
    part = page.locator("#pdf")
    page.get_by_role("button", name="Make PDF").click()
    expect(part).to_contain_text("being made in the background")
    expect(page.get_by_role("progressbar", name="Pages laid out")).to_be_visible()
    expect(part.get_by_role("link")).to_have_count(0)
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
    expect(part).to_contain_text("The document has changed since.")


def test_the_old_pdf_is_not_offered_while_another_one_is_made(page, writes, monkeypatch, catch_up):
    writes("# One")
    part, link = page.locator("#pdf"), page.get_by_role("link", name="Download the PDF")
    page.get_by_role("button", name="Make PDF").click()
    expect(link).to_be_visible(timeout=20_000)
    catch_up()
    type_at_end(page, " more")
    expect(link).to_be_visible()
    monkeypatch.setattr(pdf, "SHORT_PAGES", 0)
    part.get_by_role("button", name="Make it again").click()
    expect(part).to_contain_text("being made in the background")
    expect(link).to_be_hidden()
    # Who comes back meanwhile sees how far it is, and then the PDF.
    opened(page)
    expect(part).to_contain_text("waits for its turn")
    expect(link).to_be_hidden()
    catch_up()
    expect(part).to_contain_text("The PDF is made: 1 page.")
    expect(link).to_be_visible()


def test_what_no_pdf_can_be_made_of_is_not_to_be_tried_again(page, writes):
    writes("# One")
    answer = {"Error": "It is nested too deeply.", "Reference": "abc"}
    page.route("**/documents/plan/pdf", lambda route: route.fulfill(status=422, json=answer))
    page.get_by_role("button", name="Make PDF").click()
    expect(page.locator("[data-says]")).to_have_text("There is no new PDF: It is nested too deeply.")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
