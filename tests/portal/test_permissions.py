"""The portal's role may do what the portal does and nothing else: each action it has is one that is really called."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from cfnlint.decode import cfn_yaml
from django.test import Client

from portal.accounts import cognito
from portal.localcloud.cloud import TEMPLATE
from portal.localcloud.people import PASSWORD
from tests.conftest import SignedUp, TestCloud

# What a transaction's parts are called in a policy.
PARTS = {"PutItem", "UpdateItem"}


def allowed() -> set[tuple[str, str]]:
    """Return (service, action) of all that the template lets the portal's role do."""
    role = cfn_yaml.load(TEMPLATE)["Resources"]["PortalRole"]["Properties"]
    actions = [
        action
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    return {(service, action) for service, action in (action.split(":") for action in actions)}


def last_mail(cloud: TestCloud, username: str) -> str:
    return [mail["BodyText"] for mail in cloud.mails() if f"{username}@example.com" in mail["To"]][-1]


def test_every_action_that_the_role_allows_is_called(
    cloud: TestCloud,
    fleet: Callable[..., str],
    rider: SignedUp,
    operator: SignedUp,
    client_for: Callable[..., Client],
) -> None:
    fleet("angel", Name="Angel")
    pool, administrator = cloud.outputs["UserPoolId"], cloud.admin("cognito-idp")
    invited, forgetful = (f"{kind}{uuid.uuid4().hex[:8]}" for kind in ("invited", "forgetful"))
    for username in (invited, forgetful):
        attributes = [
            {"Name": "email", "Value": f"{username}@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ]
        administrator.admin_create_user(
            UserPoolId=pool, Username=username, TemporaryPassword=PASSWORD, UserAttributes=attributes
        )
    administrator.admin_set_user_password(UserPoolId=pool, Username=forgetful, Password=PASSWORD, Permanent=True)
    riders, operators = client_for(rider), client_for(operator)
    cloud.forget_calls()
    cognito._client_secret.cache_clear()

    newcomers = Client()
    newcomers.post("/forgot-password/", {"username": invited})
    invitation = last_mail(cloud, invited)
    [temporary] = re.findall(r"temporary password (\S+) and", invitation)
    newcomers.post("/sign-in/", {"username": invited, "password": temporary})
    newcomers.post("/sign-in/new-password/", {"new_password": "Another-2026!!"})
    newcomers.post("/forgot-password/", {"username": forgetful})
    [code] = re.findall(r"\b\d{6}\b", last_mail(cloud, forgetful))
    answer = newcomers.post("/forgot-password/confirm/", {"code": code, "new_password": "Another-2026!!"})
    assert answer.status_code == 302
    ride = riders.post(
        "/rides/",
        {"latitude": "47.6", "longitude": "-122.3", "idempotency_key": "key"},
        follow=True,
    )
    assert ride.status_code == 200
    riders.get("/rides/")
    riders.post("/sign-out/")
    operators.get("/admin/rides/unicorn/")
    operators.get("/admin/")

    called = cloud.calls()
    done = {(service, action) for service, action in called}
    if ("dynamodb", "TransactWriteItems") in done:
        done |= {("dynamodb", part) for part in PARTS}
    assert allowed() - done == set()
