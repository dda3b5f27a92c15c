"""Whose a corner is. The People table leads from a person to their identity; from an identity nothing leads back, so
an owner is known where a person was named before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from documents.document import Document
from documents.renders import Render
from portal.accounts import people
from portal.people import directory

IDENTITY = re.compile(r"[a-z]{2}[a-z0-9-]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Owner(NamedTuple):
    """A person and their identity, either of which may not be known."""

    identity_id: str = ""
    sub: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        return self.username or self.sub or self.identity_id

    @property
    def is_in_user_pool(self) -> bool:
        """Whether their account has a page. Whom another door names has a sub like "saml:…"."""
        return bool(self.sub) and ":" not in self.sub


def find(text: str) -> Owner | None:
    """Return whom a user name, an e-mail address, a sub or an identity id means, or None."""
    if IDENTITY.fullmatch(text):
        return Owner(text)
    # As a sub first: somebody may have taken another's sub for a name.
    known = people.find(text)
    if known and known.linked_sub:
        text, known = known.linked_sub, people.find(known.linked_sub)
    if known and known.identity_id:
        return Owner(known.identity_id, text, known.username)
    person = directory.known_as(text)
    if person is None:
        return Owner("", text, known.username) if known else None
    known = people.find(person.sub)
    return Owner(known.identity_id if known else "", person.sub, person.username)


def of(document: Document, *, named: Iterable[str], render: Render | None) -> Owner:
    """Return whose a document is: who had a PDF made of it, or of those who are named by their sub the one whose it
    is."""
    if render:
        return Owner(document.identity_id, render.sub, render.username)
    for sub in named:
        if (person := people.find(sub)) and person.identity_id == document.identity_id:
            return Owner(document.identity_id, sub, person.username)
    return Owner(document.identity_id)
