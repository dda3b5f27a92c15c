"""What Portico remembers of people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client

from portal.accounts import people
from portal.dynamo.table import Conflict
from tests.conftest import SignedUp, TestCloud


def test_last_sign_in_is_remembered(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, author: SignedUp
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    client_for(rider)
    person = people.find(rider.sub)
    assert person
    assert (person.username, person.last_sign_in_door, person.last_sign_in_address) == (
        "rider",
        "password",
        "127.0.0.1",
    )
    assert person.last_sign_in_at
    assert before <= person.last_sign_in_at <= datetime.now(UTC)
    assert people.find(author.sub) is None


def test_a_later_sign_in_forgets_nothing_else(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    people.remember_identity(rider.sub, "eu-west-1:one")
    people.link("saml:one", sub=rider.sub, username="rider")
    client_for(rider)
    person = people.find(rider.sub)
    assert person
    assert (person.identity_id, person.links) == ("eu-west-1:one", {"saml:one"})


def test_identity_is_remembered_once(cloud: TestCloud) -> None:
    assert people.remember_identity("sub", "eu-west-1:one").identity_id == "eu-west-1:one"
    assert people.remember_identity("sub", "eu-west-1:two").identity_id == "eu-west-1:one"


def test_link_is_read_from_both_ends_and_undone(cloud: TestCloud) -> None:
    people.link("saml:one", sub="sub", username="ada")
    people.link("vouched:one", sub="sub", username="ada")
    people.link("saml:one", sub="sub", username="ada")
    theirs, ours = people.find("saml:one"), people.find("sub")
    assert theirs
    assert ours
    assert (theirs.linked_sub, theirs.linked_username) == ("sub", "ada")
    assert ours.links == {"saml:one", "vouched:one"}
    people.unlink("saml:one", sub="sub")
    people.unlink("vouched:one", sub="sub")
    theirs, ours = people.find("saml:one"), people.find("sub")
    assert theirs
    assert ours
    assert (theirs.linked_sub, ours.links) == ("", frozenset())


def test_another_doors_person_is_one_person_only(cloud: TestCloud) -> None:
    people.link("saml:one", sub="sub", username="ada")
    with pytest.raises(Conflict):
        people.link("saml:one", sub="other", username="eve")
    with pytest.raises(Conflict):
        people.unlink("saml:one", sub="other")
    assert people.find("other") is None
    theirs = people.find("saml:one")
    assert theirs
    assert theirs.linked_sub == "sub"
