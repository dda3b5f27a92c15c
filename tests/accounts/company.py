"""The company Acme as an identity provider of the user pool, in the tests' hands: whom it sends, and what it says."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3
from django.test import Client

from tests import saml
from tests.conftest import TestCloud

START = "/sign-in/hosted/?provider=Acme"


class Company:
    """Signs people in for the pool, in place of the sample company's pages."""

    def __init__(self, cloud: TestCloud) -> None:
        self._cloud = cloud
        self._http = urllib3.PoolManager()
        self.pool = cloud.outputs["UserPoolId"]

    def follow(self, address: str, **fields: str) -> str:
        """Return where the hosted UI sends a browser without cookies on to."""
        answer = (
            self._http.request("POST", address, fields=fields, encode_multipart=False, redirect=False)
            if fields
            else self._http.request("GET", address, redirect=False)
        )
        assert answer.status == 302, answer.data
        return answer.headers["Location"]

    def way_back(self, address: str, user: str, email: str, **what: Any) -> str:
        """Walk from /oauth2/authorize through the company's sign-in as one of its people. Return the address with which
        the browser comes back to the portal."""
        asked = dict(parse_qsl(urlsplit(self.follow(address)).query))
        request = zlib.decompress(base64.b64decode(asked["SAMLRequest"]), -15).decode()
        verified = what.pop("email_verified", "true")
        response = saml.response(
            acs=f"{self._cloud.endpoint}/saml2/idpresponse",
            audience=f"urn:amazon:cognito:sp:{self.pool}",
            in_response_to=re.findall(r' ID="([^"]+)"', request)[0],
            name_id=user,
            email=email,
            extra={"email_verified": verified},
            **what,
        )
        return self.follow(
            f"{self._cloud.endpoint}/saml2/idpresponse", SAMLResponse=response, RelayState=asked["RelayState"]
        )

    def set_out(self, client: Client, start: str = START) -> str:
        """Return where the portal sends a browser that signs in with Acme."""
        answer = client.get(start)
        assert answer.status_code == 302, answer.content.decode()
        return answer["Location"]

    def sign_in(self, client: Client, user: str, email: str, start: str = START, **what: Any) -> Any:
        """Sign one of its people in at the portal. Return the portal's answer to the way back."""
        return come_back(client, self.way_back(self.set_out(client, start), user, email, **what))

    def profile(self, user: str) -> dict[str, str] | None:
        """Return the attributes of the profile that Cognito made of somebody, and their status, or None."""
        cognito = self._cloud.admin("cognito-idp")
        try:
            found = cognito.admin_get_user(UserPoolId=self.pool, Username=f"Acme_{user}")
        except cognito.exceptions.UserNotFoundException:
            return None
        return {one["Name"]: one["Value"] for one in found["UserAttributes"]} | {"status": found["UserStatus"]}


@contextmanager
def company(cloud: TestCloud) -> Iterator[Company]:
    """The company, with a key that the tests have."""
    cognito, pool = cloud.admin("cognito-idp"), cloud.outputs["UserPoolId"]
    before = cognito.describe_identity_provider(UserPoolId=pool, ProviderName="Acme")["IdentityProvider"]
    cognito.update_identity_provider(
        UserPoolId=pool, ProviderName="Acme", ProviderDetails={"MetadataFile": saml.metadata()}
    )
    yield Company(cloud)
    address = before["ProviderDetails"]["MetadataURL"]
    cognito.update_identity_provider(UserPoolId=pool, ProviderName="Acme", ProviderDetails={"MetadataURL": address})


def come_back(client: Client, address: str, **changes: str) -> Any:
    """Open the callback, with parameters changed or, where empty, left out."""
    parts = urlsplit(address)
    query = {name: value for name, value in {**dict(parse_qsl(parts.query)), **changes}.items() if value}
    return client.get(parts.path, query)
