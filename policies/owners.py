"""Where the owner of an instance gets mail. An owner is a name that a tag or CloudTrail gives, and proves nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from portal.people import directory

# Less than the standards allow: what is left out is quoted or not ASCII.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?P<domain>[a-z0-9-]+(\.[a-z0-9-]+)+)", re.ASCII | re.IGNORECASE)
_LONGEST = 128  # characters of a user name or an address in Cognito


class Recipient(NamedTuple):
    """Where an owner gets mail. Without an address, `why_not` ends the sentence that begins with the owner."""

    address: str
    name: str = ""
    why_not: str = ""


def find(owner: str) -> Recipient:
    """Ask the user pool for an owner by user name or verified address: one call, or none for what cannot be either."""
    if not owner or len(owner) > _LONGEST or re.search(r"\s", owner):
        return Recipient("", why_not="is nobody that the user pool could know")
    try:
        person = directory.known_as(owner)
    except (ClientError, BotoCoreError):
        return Recipient("", why_not="could not be looked up, because the user pool did not answer")
    if person is None:
        return _unknown(owner)
    if not person.is_enabled:
        return Recipient("", why_not="is disabled in the user pool")
    if not (person.is_email_verified and _ADDRESS.fullmatch(person.email)):
        return Recipient("", why_not="has no verified address")
    return Recipient(person.email, person.given_name or person.username)


def _unknown(owner: str) -> Recipient:
    address = _ADDRESS.fullmatch(owner)
    if address and address["domain"].lower() in {domain.lower() for domain in settings.OWNER_MAIL_DOMAINS}:
        return Recipient(owner, owner)
    return Recipient("", why_not="is not in the user pool")
