"""`make pictures`: the README's pictures, taken of a portal of their own with the sample data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from portal.localcloud.cloud import ROOT, free_port
from portal.localcloud.people import PASSWORD
from tests.browser.chromium import ARGUMENTS, CHROMIUM

PICTURES = ROOT / "docs" / "pictures"
# (colour scheme, who, page, what is waited for, name)
TAKEN = [
    ("light", "rider", "/rides/", ".leaflet-container", "rides"),
    ("dark", "operator", "/admin/rides/unicorn/", ".leaflet-container", "admin"),
    ("light", "author", "/documents/edit/welcome/", "#preview h1", "documents"),
    ("light", "approver", "/approvals/", ".called", "approvals"),  # and the first of them opened
    ("light", "operator", "/admin/policies/policyrun/compliance/", "canvas", "policies"),
]


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        ports = {"PORT": str(port), "CLOUD_PORT": str(free_port())}
        environment = {**os.environ, **ports, "RUN_DIR": folder}
        run = subprocess.Popen([sys.executable, "-m", "portal.localcloud.launcher"], cwd=ROOT, env=environment)
        try:
            while not (Path(folder) / "local.env").exists():
                time.sleep(0.2)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                nominate(browser.new_page(base_url=f"http://127.0.0.1:{port}"))
                for scheme, *what in TAKEN:
                    context = browser.new_context(
                        base_url=f"http://127.0.0.1:{port}",
                        viewport={"width": 1280, "height": 860},
                        color_scheme=scheme,
                    )
                    take(context.new_page(), *what)
                    context.close()
                browser.close()
        finally:
            run.terminate()
            run.wait()


def sign_in(page: Page, person: str, path: str) -> None:
    page.goto(f"/sign-in/?next={path}")
    page.get_by_label("User name or e-mail address").fill(person)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def nominate(page: Page) -> None:
    """Ask for something that an approver can be seen to decide."""
    sign_in(page, "rider", "/approvals/new/employee-promotion/")
    page.get_by_label("Employee").fill("Katherine Johnson")
    page.get_by_role("button", name="Ask for it").click()
    page.get_by_text("Waiting for").first.wait_for()
    page.close()


def take(page: Page, person: str, path: str, waits_for: str, name: str) -> None:
    sign_in(page, person, path)
    page.locator(waits_for).first.wait_for()
    if waits_for == ".called":
        page.locator(waits_for).first.click()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # the coast is drawn when there is time
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
