"""People made for one test of the operators' pages, and gone after it."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from portal.accounts import second_factor, session
from portal.dynamo.values import from_item
from portal.localcloud.people import PASSWORD
from tests.conftest import SignedUp, TestCloud

LIST = "/admin/people/person/"


@dataclass(frozen=True)
class Member:
    """Somebody of the user pool."""

    username: str
    sub: str
    email: str
    password: str = PASSWORD

    @property
    def url(self) -> str:
        return f"{LIST}{self.username}/change/"

    def act(self, name: str) -> str:
        return f"{LIST}{self.username}/{name}/"


@pytest.fixture(autouse=True)
def _no_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_not_before", 0.0)
    second_factor._policy.cache_clear()


@pytest.fixture
def member(cloud: TestCloud) -> Iterator[Callable[..., Member]]:
    """Return a function that makes somebody: confirmed, with a verified address, in the given groups."""
    administrator, pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
    made: list[str] = []

    def make(
        username: str = "", *, groups: tuple[str, ...] = (), is_confirmed: bool = True, **attributes: str
    ) -> Member:
        username = username or f"m{uuid.uuid4().hex[:10]}"
        given = {"email": f"{username}@example.com", "email_verified": "true", "given_name": "Some", **attributes}
        answer = administrator.admin_create_user(
            UserPoolId=pool,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": name, "Value": value} for name, value in given.items() if value],
        )
        made.append(username)
        if is_confirmed:
            administrator.admin_set_user_password(UserPoolId=pool, Username=username, Password=PASSWORD, Permanent=True)
        for group in groups:
            administrator.admin_add_user_to_group(UserPoolId=pool, Username=username, GroupName=group)
        cloud.forget_calls()
        attributes = {one["Name"]: one["Value"] for one in answer["User"]["Attributes"]}
        return Member(username, attributes["sub"], given["email"])

    yield make
    for username in made:
        # Some are gone already: that is what their test is about.
        with contextlib.suppress(administrator.exceptions.UserNotFoundException):
            administrator.admin_delete_user(UserPoolId=pool, Username=username)


@pytest.fixture
def account(cloud: TestCloud) -> Callable[[str], dict[str, Any]]:
    """Return a function that returns what Cognito holds of a user name, with their groups, sorted."""

    def read(username: str) -> dict[str, Any]:
        administrator, who = (
            cloud.admin("cognito-idp"),
            {"UserPoolId": cloud.outputs["UserPoolId"], "Username": username},
        )
        user = administrator.admin_get_user(**who)
        groups = administrator.admin_list_groups_for_user(**who)["Groups"]
        attributes = {one["Name"]: one["Value"] for one in user["UserAttributes"]}
        return {**user, **attributes, "groups": sorted(one["GroupName"] for one in groups)}

    return read


@pytest.fixture
def written(cloud: TestCloud) -> Callable[[str], list[tuple[str, str, list[str]]]]:
    """Return a function that returns what the audit log says was done to somebody: by whom, what, and the changes."""

    def read(sub: str) -> list[tuple[str, str, list[str]]]:
        entries = sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])
        return [
            (
                one["ActorName"],
                one["Action"],
                [f"{change['Field']}: {change['From']} → {change['To']}" for change in one["Changes"]],
            )
            for one in entries
            if one["Object"] == f"accounts.user/{sub}"
        ]

    return read


@pytest.fixture
def asks(client_for: Callable[..., Client], operator: SignedUp) -> Client:
    """The operator's browser."""
    return client_for(operator)


def text(response: HttpResponse) -> str:
    """Return what a page says."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def do(client: Client, one: Member, act: str, **fields: Any) -> HttpResponse:
    """Confirm an act on its page, as a browser does: with what the page carries. Return the page that follows."""
    page = client.get(one.act(act))
    assert page.status_code == 200, (page.status_code, page.get("Location"))
    carried: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page.content.decode()):
        carried.setdefault(name, []).append(unescape(value))
    return client.post(one.act(act), {**carried, **fields}, follow=True)
