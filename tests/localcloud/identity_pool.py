"""An identity pool on a user pool of its own, as the tests of the identity pool and STS stand-ins need it."""

import base64
import json
import uuid
from typing import Any

from tests.localcloud.pools import Pool
from tests.localcloud.roles import key_of, trusting
from tests.localcloud.running_cloud import REGION, RunningCloud

HOST = "cognito-identity.amazonaws.com"
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"


class IdentityPool:
    """A user pool with an identity pool on top. People get the role `person` unless a test says otherwise."""

    def __init__(self, cloud: RunningCloud, **settings: Any) -> None:
        self.cloud, self.users = cloud, Pool(cloud)
        self.provider = f"cognito-idp.{REGION}.amazonaws.com/{self.users.pool_id}"
        self.identities = cloud.client("cognito-identity")
        self.id = self.identities.create_identity_pool(
            IdentityPoolName=f"pool-{uuid.uuid4().hex[:8]}",
            **{
                "AllowUnauthenticatedIdentities": False,
                "CognitoIdentityProviders": [
                    {
                        "ProviderName": self.provider,
                        "ClientId": self.users.client_id,
                        "ServerSideTokenCheck": True,
                    }
                ],
                **settings,
            },
        )["IdentityPoolId"]

    def trust(self, *actions: str, **conditions: Any) -> str:
        aud = {"StringEquals": {f"{HOST}:aud": self.id}, "ForAnyValue__StringLike": {f"{HOST}:amr": "authenticated"}}
        return trusting({"Federated": HOST}, list(actions or (WEB_IDENTITY,)), **{**aud, **conditions})

    def set_role(self, role: str, **mapping: Any) -> None:
        """Make a role the pool's default, with a role mapping of the user pool's tokens."""
        name = f"{self.provider}:{self.users.client_id}"
        mappings = {"RoleMappings": {name: {"Type": "Token", **mapping}}} if mapping else {}
        self.identities.set_identity_pool_roles(IdentityPoolId=self.id, Roles={"authenticated": role}, **mappings)

    def tag(self, **tags: str) -> None:
        self.identities.set_principal_tag_attribute_map(
            IdentityPoolId=self.id, IdentityProviderName=self.provider, UseDefaults=False, PrincipalTags=tags
        )

    def sign_in(self, username: str) -> str:
        token: str = self.users.sign_in(username)["AuthenticationResult"]["IdToken"]
        return token

    def get_id(self, token: str) -> str:
        answer = self.identities.get_id(IdentityPoolId=self.id, Logins={self.provider: token})
        return str(answer["IdentityId"])

    def credentials(self, token: str, identity_id: str = "", **options: Any) -> Any:
        """Return the key of new credentials."""
        answer = self.identities.get_credentials_for_identity(
            IdentityId=identity_id or self.get_id(token), Logins={self.provider: token}, **options
        )
        return key_of(answer["Credentials"])

    def role_of(self, key: Any) -> str:
        arn: str = self.cloud.client("sts", key=key).get_caller_identity()["Arn"]
        return arn.split("/")[1]


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
