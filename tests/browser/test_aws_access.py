"""Somebody takes AWS credentials, uses them in programs that know nothing of the portal, and ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page, expect

from portal.accounts import identity_pool
from tests.conftest import SignedUp, TestCloud

pytestmark = pytest.mark.usefixtures("people_roles")

# What somebody's own script does: as the AWS CLI, it finds its credentials by itself.
PROGRAM = """
import sys, boto3
from botocore.exceptions import ClientError
bucket, table, mine, theirs = sys.argv[1:]
s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")

def outcome(call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"

def query(owner):
    return outcome(dynamodb.query, TableName=table, KeyConditionExpression="IdentityId = :owner",
                   ExpressionAttributeValues={":owner": {"S": owner}})

print(outcome(s3.put_object, Bucket=bucket, Key=f"ugc/{mine}/hello.md", Body=b"hello"))
print(outcome(s3.put_object, Bucket=bucket, Key=f"ugc/{theirs}/hello.md", Body=b"hello"))
print(query(mine))
print(query(theirs))
"""
ALLOWED = ["done", "AccessDenied", "done", "AccessDeniedException"]
REFUSED = ["AccessDenied", "AccessDenied", "AccessDeniedException", "AccessDeniedException"]


@pytest.fixture
def run(rider: SignedUp, author: SignedUp) -> Callable[..., list[str]]:
    """Return a function that runs the program with nothing but what was pasted, and returns what came of each call."""

    def run_program(environment: dict[str, str]) -> list[str]:
        mine, theirs = identity_pool.identity_id(rider.id_token), identity_pool.identity_id(author.id_token)
        arguments = [settings.DOCUMENTS_BUCKET, settings.TABLES["documents"], mine, theirs]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run_program


def pasted(text: str) -> dict[str, str]:
    """Return what a shell has in its environment after a paste."""
    done = subprocess.run(["bash", "-c", f"{text}\nenv -0"], env={}, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line.startswith("AWS_"))


def test_what_was_taken_reaches_ones_own_and_nothing_after_its_end(
    page: Page,
    context: BrowserContext,
    sign_in: Callable[..., None],
    rider: SignedUp,
    run: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(rider)
    page.get_by_text("Ada").first.click()
    page.get_by_role("link", name="AWS access").click()
    expect(page.get_by_text("Nothing. What you take is listed here")).to_be_visible()

    page.get_by_role("button", name="Environment variables").click()
    expect(page.get_by_text("This is shown once.")).to_be_visible()
    page.get_by_role("button", name="Copy for bash").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    variables = pasted(page.evaluate("navigator.clipboard.readText()"))
    assert run(variables) == ALLOWED

    # Reloading shows the page before, and gives nothing new.
    page.reload()
    expect(page.get_by_role("heading", name="AWS access")).to_be_visible()
    expect(page.get_by_text(variables["AWS_ACCESS_KEY_ID"])).to_be_visible()
    assert variables["AWS_SECRET_ACCESS_KEY"] not in page.content()
    expect(page.locator("#taken + .list li")).to_have_count(1)

    page.get_by_role("button", name="A file for the AWS CLI").click()
    (tmp_path / "portico.json").write_text(page.get_by_label("The file").inner_text())
    config = page.locator("pre").nth(1).inner_text().replace("/home/you/.aws", str(tmp_path))
    (tmp_path / "config").write_text(config)
    profile = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "portico", "PATH": os.environ["PATH"]}
    assert run(profile) == ALLOWED

    page.get_by_role("link", name="AWS access").first.click()
    expect(page.get_by_text("Until")).to_have_count(2)
    page.get_by_role("button", name="End my AWS access").click()
    expect(page.get_by_text("In effect since")).to_be_visible()
    expect(page.get_by_text("Ended", exact=True)).to_have_count(2)
    assert run(variables) == REFUSED
    assert run(profile) == REFUSED

    # Whoever is signed in begins again.
    page.get_by_role("button", name="A file for the AWS CLI").click()
    (tmp_path / "portico.json").write_text(page.get_by_label("The file").inner_text())
    assert run(profile) == ALLOWED


def test_the_console_opens_in_a_tab_of_its_own(
    page: Page, context: BrowserContext, sign_in: Callable[..., None], operator: SignedUp, cloud: TestCloud
) -> None:
    context.route(f"{cloud.endpoint}/federation**", lambda route: route.continue_())
    sign_in(operator)
    page.goto("/aws-access/")
    expect(page.get_by_role("heading", name="Operators")).to_be_visible()
    page.get_by_role("button", name="Open the console").click()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open the console").click()
    expect(opened.value.get_by_text("OperatorRole")).to_be_visible()
    assert opened.value.evaluate("document.referrer") == ""


def test_it_works_without_scripts(
    browser: object, portal_url: str, rider: SignedUp, run: Callable[..., list[str]]
) -> None:
    context = browser.new_context(base_url=portal_url, java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto("/sign-in/?next=/aws-access/")
    page.get_by_label("User name or e-mail").fill(rider.username)
    page.get_by_label("Password", exact=True).fill(rider.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="A file for the AWS CLI").click()
    assert json.loads(page.get_by_label("The file").inner_text())["Version"] == 1
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    context.close()
