"""The machine has what the portal needs beside Python."""

import shutil


def test_weasyprint_finds_pango_and_renders():
    from weasyprint import HTML

    assert HTML(string="<h1>Portico</h1>").write_pdf().startswith(b"%PDF-")


def test_chromium_is_there_for_the_browser_tests():
    from tests.browser.chromium import CHROMIUM

    assert CHROMIUM
    assert shutil.which(CHROMIUM)
