"""What signing in, a page and an hour of a session cost in AWS calls, counted by the local cloud."""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portal.localcloud import samples
from portal.localcloud.cloud import Cloud, free_port
from portal.localcloud.people import PASSWORD

PAGES = 20
CATALOGUES, MOST_FLEETS = (1, 20, 200), 90


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(port=free_port(), folder=Path(folder), keep=False)
        cloud.start()
        try:
            outputs = cloud.deploy("http://127.0.0.1:8000")
            samples.load(cloud, outputs)
            os.environ.update(cloud.portal_environment(outputs))
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
            _count(cloud)
        finally:
            cloud.stop()


def _count(cloud: Cloud) -> None:
    import django

    django.setup()
    from django.contrib.sessions.backends.base import SessionBase
    from django.test import Client, RequestFactory

    from portal.accounts import credentials, session

    client = Client(SERVER_NAME="127.0.0.1")

    def counted(act: Callable[[], object]) -> Counter[str]:
        _ask(cloud, "DELETE")
        act()
        services = _ask(cloud, "GET")["services"]
        return Counter({action: n for actions in services.values() for action, n in actions.items()})

    def sign_in(client: Client) -> None:
        answer = client.post("/sign-in/", {"username": "rider", "password": PASSWORD})
        assert answer.status_code == 302, answer.content

    def use_own_credentials() -> None:
        request = RequestFactory().get("/")
        request.session = client.session
        request.user = session.user_of(request)
        credentials.of(request)

    def age() -> None:
        kept: SessionBase = client.session
        kept[session.CLAIMS] = {**kept[session.CLAIMS], "exp": time.time() + 30}
        kept.save()

    sign_in(client)  # and what a process does once: the client's secret, the portal's role
    rows = {
        "signing in": counted(lambda: sign_in(Client(SERVER_NAME="127.0.0.1"))),
        "a page": counted(lambda: client.get("/profile/password/")),
    }
    rows["the first use of one's own credentials"] = counted(use_own_credentials)
    rows[f"{PAGES} more uses in the hour"] = counted(lambda: [use_own_credentials() for _ in range(PAGES)])
    age()
    rows["a page that renews the tokens, every 15 minutes"] = counted(lambda: client.get("/profile/password/"))
    streaming(rows, cloud, client, counted)
    print("AWS calls:")
    for what, calls in rows.items():
        print(f"  {what:<48} {', '.join(f'{n} {action}' for action, n in sorted(calls.items())) or 'none'}")


def streaming(
    rows: dict[str, Counter[str]], cloud: Cloud, client: Any, counted: Callable[[Callable[[], object]], Counter[str]]
) -> None:
    """Count "Apps" and a click, with catalogues of several sizes, on as many fleets as an account may have."""
    from django.conf import settings

    from portal.dynamo.values import to_item
    from portal.streaming import appstream

    aws, dynamodb = cloud.client("appstream"), cloud.client("dynamodb")
    fleet = {"FleetType": "ALWAYS_ON", "InstanceType": "stream.standard.small", "ImageName": "sample-image"}

    def add(number: int) -> None:
        name, place = f"sample-{number}", f"sample-{number % MOST_FLEETS}"
        if name == place:
            aws.create_stack(Name=name)
            aws.create_fleet(Name=name, ComputeCapacity={"DesiredInstances": 1}, **fleet)
            aws.associate_fleet(StackName=name, FleetName=name)
            aws.start_fleet(Name=name)
        item = {"ApplicationId": name, "Title": name, "Groups": "*", "Stack": place, "Fleet": place, "Enabled": True}
        dynamodb.put_item(TableName=settings.TABLES["streaming_applications"], Item=to_item(item))

    def click() -> None:
        answer = client.post("/apps/sample-0/launch/")
        assert answer.status_code in (302, 303), answer.content

    there = 0
    for size in CATALOGUES:
        for number in range(there, size):
            add(number)
        there = size
        appstream.forget()
        rows[f"Apps, {size} more than the samples"] = counted(lambda: client.get("/apps/"))
        rows[f"Apps, {size} more, looked at again"] = counted(lambda: client.get("/apps/"))
    rows["starting an application for the first time"] = counted(click)
    rows["starting it again"] = counted(click)


def _ask(cloud: Cloud, method: str) -> dict[str, dict[str, dict[str, int]]]:
    request = urllib.request.Request(f"{cloud.endpoint}/_portico/calls", method=method)
    with urllib.request.urlopen(request) as answer:
        counted: dict[str, dict[str, dict[str, int]]] = json.loads(answer.read() or b"{}")
    return counted
