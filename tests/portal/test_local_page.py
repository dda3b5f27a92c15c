"""The page of the local cloud: who can sign in, and what was sent."""

from __future__ import annotations

import importlib
import sys

import pytest
from django.conf import settings
from django.test import Client
from django.urls import Resolver404, clear_url_caches, resolve

from portal.localcloud import samples
from portal.localcloud.people import PASSWORD, PEOPLE
from portal.localcloud.sent import REPORTS, Message
from tests.html import page_problems, problems


def test_it_shows_the_sample_people_and_a_way_in_for_each(cloud):
    page = Client().get("/local/").content.decode()
    assert not page_problems(page)
    assert PASSWORD in page
    for person in PEOPLE:
        assert f"{person.given_name} {person.family_name}" in page
        assert f"/sign-in/?username={person.username}" in page


def test_the_way_in_fills_in_the_user_name(cloud):
    assert 'value="operator"' in Client().get("/sign-in/?username=operator").content.decode()


def test_it_shows_mails_newest_first_with_their_codes(cloud):
    ses = cloud.admin("ses")
    ses.verify_email_identity(EmailAddress="portico@example.com")
    for subject, text in (
        ("The first", "Your code is 404040."),
        ("The second", "See https://example.com/a?b=c."),
    ):
        ses.send_email(
            Source="portico@example.com",
            Destination={"ToAddresses": ["somebody@example.com"]},
            Message={
                "Subject": {"Data": subject},
                "Body": {"Text": {"Data": f"{text} <script>alert(1)</script>"}},
            },
        )
    page = Client().get("/local/sent/").content.decode()
    assert not problems(page)
    assert page.index("The second") < page.index("The first")
    assert 'data-copy="404040"' in page
    assert 'href="https://example.com/a?b=c"' in page
    assert "<script>" not in page


def test_it_shows_text_messages(cloud):
    cloud.admin("sns").publish(PhoneNumber="+15550100", Message="Your code is 112233.")
    page = Client().get("/local/sent/").content.decode()
    assert "+15550100" in page
    assert 'data-copy="112233"' in page


def test_it_shows_what_subscribers_of_the_reports_are_told(cloud):
    assert "No report yet" in Client().get("/local/sent/").content.decode()
    samples.keep_reports(cloud.cloud, settings.POLICY_REPORTS_TOPIC_ARN)
    try:
        for subject in ("The first", "The second"):
            cloud.admin("sns").publish(
                TopicArn=settings.POLICY_REPORTS_TOPIC_ARN,
                Subject=subject,
                Message="See https://example.com/a?b=c. <script>alert(1)</script>",
            )
        page = Client().get("/local/sent/").content.decode()
    finally:
        url = cloud.admin("sqs").get_queue_url(QueueName=REPORTS)["QueueUrl"]
        cloud.admin("sqs").delete_queue(QueueUrl=url)
    assert not problems(page)
    assert page.index("The second") < page.index("The first")
    assert 'href="https://example.com/a?b=c"' in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your code for Portico is 123456.", "123456"),
        ("Sign in as ada with the temporary password Xk9!qw.rt- and choose your own.", "Xk9!qw.rt-"),
        ("Order 1234567 is on its way.", ""),
    ],
)
def test_the_code_in_a_message_is_found(text, code):
    assert Message("ada@example.com", "", text).code == code


def test_without_a_local_cloud_the_route_does_not_exist(monkeypatch):
    import portal.urls

    monkeypatch.setattr(settings, "LOCAL_CLOUD", "")
    try:
        importlib.reload(portal.urls)
        clear_url_caches()
        with pytest.raises(Resolver404):
            resolve("/local/")
    finally:
        monkeypatch.undo()
        importlib.reload(sys.modules["portal.urls"])
        clear_url_caches()
