"""What the local cloud has sent: the mails, reports and text messages that on AWS would be in somebody's inbox."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import urllib3
from django.conf import settings
from django.utils.html import strip_tags

REPORTS = "portico-reports"  # the queue in which samples.py keeps what is published to the reports' topic
_SECRET = re.compile(r"temporary password (\S+)|\b(\d{6})\b")
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;)]")


@dataclass(frozen=True)
class Message:
    to: str
    subject: str
    text: str
    sent_at: datetime | None = None  # the local cloud does not say when it sent a text message

    @property
    def code(self) -> str:
        """The code or temporary password in it, or nothing."""
        found = _SECRET.search(self.text) or _SECRET.search(self.subject)
        return next((group for group in found.groups() if group), "") if found else ""

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.text)


def mails() -> list[Message]:
    """Return the mails, newest first."""
    messages = [
        Message(
            to=", ".join(mail.get("To", ())),
            subject=mail.get("Subject") or "",
            text=mail.get("BodyText") or strip_tags(mail.get("BodyHtml") or ""),
            sent_at=datetime.fromtimestamp(mail["Timestamp"], UTC),
        )
        for account in _get("/_ministack/ses/messages")["messages"].values()
        for mail in account
    ]
    return sorted(messages, key=lambda message: message.sent_at or datetime.min.replace(tzinfo=UTC), reverse=True)


def texts() -> list[Message]:
    """Return the text messages, the newest of each number first."""
    numbers = _get("/_ministack/sns/sms-messages")["sms_messages"]
    return [
        Message(to=number, subject=record.get("Subject") or "", text=record["Message"])
        for number, records in numbers.items()
        for record in reversed(records)
    ]


def reports() -> list[Message]:
    """Return what was published to the topic of the reports, newest first."""
    accounts = _get(f"/_ministack/sqs/messages?QueueUrl={REPORTS}")["messages"]
    envelopes = [
        json.loads(one["Body"])
        for regions in accounts.values()
        for queues in regions.values()
        for queue in queues.values()
        for one in queue
    ]
    return [
        Message(
            to="whoever is subscribed",
            subject=one.get("Subject") or "",
            text=one["Message"],
            sent_at=datetime.fromisoformat(one["Timestamp"]),
        )
        for one in reversed(envelopes)
    ]


@cache
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=5, retries=False)


def _get(path: str) -> Any:
    return _http().request("GET", settings.LOCAL_CLOUD + path).json()
