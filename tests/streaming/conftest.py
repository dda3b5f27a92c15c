"""Fleets, a catalogue and groups for the tests of streaming, and a browser of streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from django.conf import settings
from django.test import Client
from django.utils import timezone

from portal.dynamo.values import to_item
from portal.streaming import appstream, overdue
from tests.conftest import SignedUp, TestCloud


class Streaming:
    """What an administrator makes of AppStream, the user pool's groups and the catalogue."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self._http = urllib3.PoolManager()
        self._groups: dict[str, list[str]] = {}

    def pace(self, **seconds: float) -> None:
        """Say how long fleets and sessions take to start, or let time pass: fleet_start_seconds, session_start_seconds,
        elapse_seconds."""
        answer = self._http.request("POST", f"{self.cloud.endpoint}/_portico/streaming", json=seconds)
        assert answer.status == 200, answer.data
        appstream.forget()

    def stack(self, name: str = "sample-stack", *, embed: bool = False) -> str:
        admin = self.cloud.admin("appstream")
        admin.create_stack(Name=name, **({"EmbedHostDomains": ["portal.localhost"]} if embed else {}))
        return name

    def fleet(
        self,
        name: str = "sample-fleet",
        *,
        running: bool = True,
        kind: str = "ALWAYS_ON",
        instances: int = 2,
        stack: str = "sample-stack",
        embed: bool = False,
        **more: Any,
    ) -> str:
        """Make a fleet, its stack where there is none of that name, and associate them."""
        admin = self.cloud.admin("appstream")
        if kind == "ELASTIC":
            more = {"MaxConcurrentSessions": instances, "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"]}} | more
            more = {"Platform": "AMAZON_LINUX2"} | more
        else:
            more = {"ImageName": "sample-image", "ComputeCapacity": {"DesiredInstances": instances}} | more
        admin.create_fleet(Name=name, FleetType=kind, InstanceType="stream.standard.small", **more)
        if stack not in [one["Name"] for one in admin.describe_stacks()["Stacks"]]:
            self.stack(stack, embed=embed)
        admin.associate_fleet(FleetName=name, StackName=stack)
        if running:
            admin.start_fleet(Name=name)
        self.settle()
        return name

    def application(self, application_id: str = "studio", **attributes: Any) -> str:
        """Add an application to the catalogue, by default everybody's on the sample stack and fleet."""
        item = {
            "ApplicationId": application_id,
            "Title": application_id.replace("-", " ").title(),
            "Groups": "*",
            "Stack": "sample-stack",
            "Fleet": "sample-fleet",
            "Opens": "tab",
            "Enabled": True,
        } | attributes
        self.cloud.admin("dynamodb").put_item(TableName=settings.TABLES["streaming_applications"], Item=to_item(item))
        self.settle()
        return application_id

    def group(self, name: str, *people: SignedUp) -> str:
        """Make a group and put people in, until the test is over. It is in the tokens of who signs in from now on."""
        cognito, pool = self.cloud.admin("cognito-idp"), self.cloud.outputs["UserPoolId"]
        if name not in self._groups:
            cognito.create_group(UserPoolId=pool, GroupName=name)
        members = self._groups.setdefault(name, [])
        for person in people:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=person.username, GroupName=name)
            members.append(person.username)
        self.settle()
        return name

    def token(self, person: SignedUp) -> str:
        """Return an ID token that somebody gets now, with the groups that they are in now."""
        answer = self.cloud.admin("cognito-idp").initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=self.cloud.outputs["ApiClientId"],
            AuthParameters={"USERNAME": person.username, "PASSWORD": person.password},
        )
        self.settle()
        return str(answer["AuthenticationResult"]["IdToken"])

    def open(self, url: str) -> urllib3.BaseHTTPResponse:
        """Open a streaming URL, as a browser does."""
        return self._http.request("GET", url, redirect=False)

    def sessions(self, stack: str = "sample-stack", fleet: str = "sample-fleet") -> list[dict[str, Any]]:
        found = self.cloud.admin("appstream").describe_sessions(StackName=stack, FleetName=fleet)["Sessions"]
        self.settle()
        return [one for one in found if one["State"] != "EXPIRED"]

    def settle(self) -> None:
        """Let the next look be the portal's first."""
        appstream.forget()
        self.cloud.forget_calls()

    def forget(self) -> None:
        """Take away all that there is: sessions, fleets and stacks of tests, groups."""
        self._http.request("DELETE", f"{self.cloud.endpoint}/_portico/streaming")
        cognito, pool = self.cloud.admin("cognito-idp"), self.cloud.outputs["UserPoolId"]
        for name in self._groups:
            cognito.delete_group(UserPoolId=pool, GroupName=name)
        self._groups.clear()
        self.settle()


@pytest.fixture
def streaming(cloud: TestCloud) -> Iterator[Streaming]:
    made = Streaming(cloud)
    made.forget()
    yield made
    made.forget()


@pytest.fixture
def ask(streaming: Streaming) -> Callable[..., Any]:
    """Return a function that asks the API for a streaming URL with an ID token, as a program does."""

    def post(person: SignedUp, token: str = "", **body: Any) -> Any:
        return Client(raise_request_exception=False).post(
            "/streaming-url",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {token or person.id_token}"},
        )

    return post


@pytest.fixture
def run(ask: Callable[..., Any], streaming: Streaming) -> Callable[..., None]:
    """Return a function that launches an application as somebody and opens it."""

    def launch_and_open(person: SignedUp, application: str = "") -> None:
        answer = ask(person, **({"Application": application} if application else {}))
        assert answer.status_code == 201, answer.content
        assert streaming.open(answer.json()["Message"]).status == 200
        streaming.settle()

    return launch_and_open


def end_after(minutes: float) -> int:
    """Let the schedule look as it will so many minutes from now, and return how many sessions it ended."""
    return overdue.end_all(now=timezone.now() + timedelta(minutes=minutes), seconds=60)
