"""A user pool with one app client, as the tests of the Cognito stand-ins need it."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.running_cloud import RunningCloud

PASSWORD = "Portico-2026!"


class Pool:
    """A new pool in a running cloud. client_settings are the app client's, pool_settings the pool's."""

    def __init__(
        self, cloud: RunningCloud, *, pool_settings: dict[str, Any] | None = None, **client_settings: Any
    ) -> None:
        self.cloud = cloud
        self.cognito = cloud.client("cognito-idp")
        created = self.cognito.create_user_pool(
            PoolName=f"pool-{uuid.uuid4().hex[:8]}",
            **{"AutoVerifiedAttributes": ["email"], **(pool_settings or {})},
        )
        self.pool_id = created["UserPool"]["Id"]
        flows = ["USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "USER_SRP_AUTH", "REFRESH_TOKEN_AUTH"]
        client = self.cognito.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName="app",
            **{
                "PreventUserExistenceErrors": "ENABLED",
                "ExplicitAuthFlows": [f"ALLOW_{flow}" for flow in flows],
                **client_settings,
            },
        )
        self.client_id = client["UserPoolClient"]["ClientId"]

    def email(self, username: str) -> str:
        return f"{username}@example.org"

    def sign_up(self, *, email: str = "", extra: list[dict[str, str]] | None = None) -> str:
        """Sign a new user up and return their name."""
        username = f"user-{uuid.uuid4().hex[:8]}"
        attributes = [{"Name": "email", "Value": email or self.email(username)}, *(extra or [])]
        self.cognito.sign_up(ClientId=self.client_id, Username=username, Password=PASSWORD, UserAttributes=attributes)
        return username

    def invite(self, **options: Any) -> str:
        """Create a user who must change the password that is mailed to them, and return their name."""
        username = f"user-{uuid.uuid4().hex[:8]}"
        attributes = {"email": self.email(username), "email_verified": "true", "given_name": "Ada"}
        self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=username,
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
            **options,
        )
        return username

    def add_confirmed(self) -> str:
        """Create a user with a verified address and PASSWORD, and return their name."""
        username = self.invite(MessageAction="SUPPRESS")
        self.cognito.admin_set_user_password(
            UserPoolId=self.pool_id, Username=username, Password=PASSWORD, Permanent=True
        )
        return username

    def sign_in(self, username: str, password: str = PASSWORD) -> Any:
        parameters = {"USERNAME": username, "PASSWORD": password}
        return self.initiate("USER_PASSWORD_AUTH", **parameters)

    def initiate(self, flow: str, **parameters: str) -> Any:
        return self.cognito.initiate_auth(ClientId=self.client_id, AuthFlow=flow, AuthParameters=parameters)

    def respond(self, challenge: str, session: str, **responses: str) -> Any:
        return self.cognito.respond_to_auth_challenge(
            ClientId=self.client_id, ChallengeName=challenge, Session=session, ChallengeResponses=responses
        )

    def attributes(self, username: str) -> dict[str, str]:
        user = self.cognito.admin_get_user(UserPoolId=self.pool_id, Username=username)
        return {attribute["Name"]: attribute["Value"] for attribute in user["UserAttributes"]}

    def mail_count(self, username: str) -> int:
        return len(self.cloud.mails_to(self.email(username)))

    def mailed_code(self, username: str, *, email: str = "") -> str:
        """Return the code of the last mail."""
        mail = self.cloud.mails_to(email or self.email(username))[-1]
        found = re.search(r"\d{6}", mail["BodyText"])
        assert found is not None
        return found[0]

    def mailed_password(self, username: str) -> str:
        """Return the temporary password of the last mail."""
        body: str = self.cloud.mails_to(self.email(username))[-1]["BodyText"]
        return body.rpartition("temporary password is ")[2].removesuffix(".")


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """Return the code and message of a call that must fail."""
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]
