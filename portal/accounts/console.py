"""The AWS console's federation endpoint: the only module that speaks to it.

Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import urllib3
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from portal.accounts.sts import Credentials
from portal.aws import Unavailable

# How long the link is good for. The console session that it opens lasts as long as the credentials.
LINK_MINUTES = 15

_http = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=2, read=4), retries=urllib3.Retry(1, redirect=0, backoff_factor=0.1)
)


def addresses(region: str) -> tuple[str, str]:
    """Return the federation endpoint and the console's home in a region's partition."""
    if region.startswith("cn-"):
        return "https://signin.amazonaws.cn/federation", "https://console.amazonaws.cn/"
    if region.startswith("us-gov-"):
        return "https://signin.amazonaws-us-gov.com/federation", "https://console.amazonaws-us-gov.com/"
    return "https://signin.aws.amazon.com/federation", f"https://{region}.console.aws.amazon.com/console/home"


@sensitive_variables()
def sign_in_url(credentials: Credentials) -> str:
    """Return a link that opens the console as the bearer of credentials. It is as good as they are, for LINK_MINUTES.
    Raises Unavailable."""
    endpoint, home = addresses(settings.AWS_REGION)
    if settings.LOCAL_CLOUD:
        endpoint = f"{settings.LOCAL_CLOUD}/federation"
    session = {
        "sessionId": credentials.access_key_id,
        "sessionKey": credentials.secret_access_key,
        "sessionToken": credentials.session_token,
    }
    # Posted: an address ends up in logs.
    asked = urlencode({"Action": "getSigninToken", "Session": json.dumps(session)})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = _http.request("POST", endpoint, body=asked, headers=headers)
        token = json.loads(answer.data)["SigninToken"] if answer.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError, KeyError):
        # Not "from": the cause's text may have the request in it.
        raise Unavailable("The console's federation endpoint did not answer.") from None
    if token is None:
        raise Unavailable(f"The console's federation endpoint answered {answer.status}.")
    parameters = {"Action": "login", "Issuer": settings.PORTAL_URL, "Destination": home, "SigninToken": token}
    return f"{endpoint}?{urlencode(parameters)}"
