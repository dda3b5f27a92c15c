"""Mail scanners and previews open every address of a mail, again and again: nothing is decided, used up or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.test import Client

from tests.approvals.conftest import Workflows
from tests.conftest import SignedUp, TestCloud

TIMES = 100
TABLES = ("approvals", "approval_assignments", "approval_links", "request_types", "absences")


def addresses(workflows: Workflows) -> list[str]:
    """Return every address in the mails, as text and as HTML have them."""
    found: set[str] = set()
    for mail in workflows.mails():
        found |= set(re.findall(r"https?://[^\s<>\"']+", mail.text))
        found |= set(re.findall(r'href="([^"]+)"', mail.html))
    return sorted(one.removeprefix(settings.PORTAL_URL) or "/" for one in found)


def stored(cloud: TestCloud) -> dict[str, Any]:
    return {name: sorted(map(str, cloud.items(name))) for name in TABLES}


def test_a_scanner_that_opens_every_address_a_hundred_times_changes_nothing(
    workflows: Workflows, cloud: TestCloud
) -> None:
    approval = workflows.asked()
    found = addresses(workflows)
    assert len(found) == 4, found
    before, audit, mails = stored(cloud), len(cloud.items("audit")), len(workflows.mails())
    scanner = Client()
    for _ in range(TIMES):
        for address in found:
            assert scanner.get(address).status_code in (200, 302)
            assert scanner.head(address).status_code in (200, 302)
    assert stored(cloud) == before
    assert (len(cloud.items("audit")), len(workflows.mails())) == (audit, mails)
    assert workflows.describe(approval.execution_arn)["status"] == "RUNNING"


def test_a_browser_of_the_approver_that_looks_ahead_changes_nothing(
    workflows: Workflows, cloud: TestCloud, approver: SignedUp, client_for: Callable[..., Client]
) -> None:
    approval = workflows.asked()
    client = client_for(approver)
    before, audit = stored(cloud), len(cloud.items("audit"))
    for address in addresses(workflows):
        for _ in range(TIMES // 10):
            assert client.head(address).status_code == 200
            assert client.get(address, headers={"Sec-Purpose": "prefetch"}).status_code == 200
            assert client.get(address, headers={"Purpose": "prefetch"}).status_code == 200
    assert stored(cloud) == before
    assert len(cloud.items("audit")) == audit, "a look ahead is no look"
    # The link is as good as it was.
    [mail] = workflows.mails()
    assert client.get(mail.links["approve"]).status_code == 200
    assert stored(cloud) == before
    assert workflows.describe(approval.execution_arn)["status"] == "RUNNING"


def test_posts_of_somebody_who_has_the_mail_and_is_not_its_person_decide_nothing(
    workflows: Workflows, cloud: TestCloud, outsider: SignedUp, client_for: Callable[..., Client]
) -> None:
    workflows.asked()
    before = stored(cloud)
    for client in (Client(), client_for(outsider)):
        for address in addresses(workflows):
            client.post(address, {"decision": "approve", "reason": "Mine"})
    assert stored(cloud) == before
