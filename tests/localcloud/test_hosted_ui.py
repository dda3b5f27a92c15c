"""Contract of cognito_hosted_ui.py and cognito_token_endpoint.py."""

import base64
import hashlib
import json
import re
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from portal.localcloud.standins.cognito_hosted_ui import CODE_SECONDS, Authorization, Grant
from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import RunningCloud
from tests.localcloud.test_cognito_challenges import enrol
from tests.totp import totp
from tests.visitor import Page, Visitor

CALLBACK = "http://127.0.0.1:9/back"
FAREWELL = "http://127.0.0.1:9/bye"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = ["openid", "email", "profile", "aws.cognito.signin.user.admin"]
OAUTH: dict[str, Any] = {
    "CallbackURLs": [CALLBACK],
    "LogoutURLs": [FAREWELL],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthScopes": SCOPES,
    "SupportedIdentityProviders": ["COGNITO"],
}


class HostedPool(Pool):
    """A pool with a domain and a client that signs in on the hosted pages."""

    def __init__(self, cloud: RunningCloud, **client_settings: Any) -> None:
        super().__init__(cloud, **{"GenerateSecret": True, **OAUTH, **client_settings})
        self.cognito.create_user_pool_domain(UserPoolId=self.pool_id, Domain=f"d{secrets.token_hex(6)}")
        self.secret = self.client_of(self.client_id).get("ClientSecret", "")
        self._http = urllib3.PoolManager(retries=False)

    def client_of(self, client_id: str) -> dict[str, Any]:
        described = self.cognito.describe_user_pool_client(UserPoolId=self.pool_id, ClientId=client_id)
        client: dict[str, Any] = described["UserPoolClient"]
        return client

    def asked(self, **changes: str) -> dict[str, str]:
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "state": "the-state",
            "nonce": "the-nonce",
            "scope": " ".join(SCOPES),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value}

    def authorize(self, visitor: Visitor, **changes: str) -> Page:
        return visitor.get(f"{self.cloud.endpoint}/oauth2/authorize", **self.asked(**changes))

    def sign_in_there(self, username: str, visitor: Visitor | None = None, **changes: str) -> Page:
        visitor = visitor or Visitor()
        return visitor.submit(self.authorize(visitor, **changes), username=username, password=PASSWORD)

    def token(self, *, basic: bool = False, **fields: str) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if basic:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        else:
            fields = {"client_id": self.client_id, "client_secret": self.secret, **fields}
        body = urlencode({name: value for name, value in fields.items() if value})
        answer = self._http.request("POST", f"{self.cloud.endpoint}/oauth2/token", body=body, headers=headers)
        return answer.status, answer.json()

    def redeem(self, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.token(**{**fields, **changes})


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> HostedPool:
    return HostedPool(cloud)


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def test_person_signs_in_and_the_app_gets_tokens(pool: HostedPool) -> None:
    username = pool.add_confirmed()
    back = pool.sign_in_there(username)
    assert back.location.startswith(f"{CALLBACK}?code=")
    assert back.parameters["state"] == "the-state"
    status, tokens = pool.redeem(back.parameters["code"])
    assert status == 200
    said = claims(tokens["id_token"])
    expected = {"aud": pool.client_id, "nonce": "the-nonce", "cognito:username": username}
    assert {name: said[name] for name in expected} == expected
    assert set(claims(tokens["access_token"])["scope"].split()) == set(SCOPES)
    assert tokens["token_type"] == "Bearer"
    assert pool.cognito.get_user(AccessToken=tokens["access_token"])["Username"] == username
    refreshed = pool.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed[0] == 200
    assert "refresh_token" not in refreshed[1]
    assert claims(refreshed[1]["id_token"])["auth_time"] == said["auth_time"]
    assert set(claims(refreshed[1]["access_token"])["scope"].split()) == set(SCOPES)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"scope": "openid phone"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"identity_provider": "Elsewhere"}, "invalid_request"),
    ],
)
def test_app_hears_what_is_wrong_with_its_request(pool: HostedPool, changes: dict[str, str], error: str) -> None:
    back = pool.authorize(Visitor(), **changes)
    assert back.location.startswith(f"{CALLBACK}?")
    assert (back.parameters["error"], back.parameters["state"]) == (error, "the-state")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": ""},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?more=1"},
        {"redirect_uri": "https://evil.example/back"},
    ],
)
def test_browser_is_never_sent_to_an_address_that_is_not_registered(pool: HostedPool, changes: dict[str, str]) -> None:
    page = pool.authorize(Visitor(), **changes)
    assert (page.status, page.location) == (400, "")


@pytest.mark.parametrize(
    "settings",
    [
        {"AllowedOAuthFlowsUserPoolClient": False},
        {"AllowedOAuthFlows": ["implicit"]},
        {"SupportedIdentityProviders": []},
    ],
)
def test_client_that_is_not_for_the_pages_is_refused(cloud: RunningCloud, settings: dict[str, Any]) -> None:
    back = HostedPool(cloud, **settings).authorize(Visitor())
    assert back.parameters["error"] in ("unauthorized_client", "invalid_request")


def test_pool_without_a_domain_has_no_pages(cloud: RunningCloud) -> None:
    pool = Pool(cloud, **OAUTH)
    asked = {"response_type": "code", "client_id": pool.client_id, "redirect_uri": CALLBACK}
    assert Visitor().get(f"{cloud.endpoint}/oauth2/authorize", **asked).status == 400


def test_code_is_good_once(pool: HostedPool) -> None:
    code = pool.sign_in_there(pool.add_confirmed()).parameters["code"]
    assert pool.redeem(code)[0] == 200
    assert pool.redeem(code) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": FAREWELL},
        {"redirect_uri": ""},
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
    ],
)
def test_code_is_bound_to_what_was_asked(pool: HostedPool, changes: dict[str, str]) -> None:
    code = pool.sign_in_there(pool.add_confirmed()).parameters["code"]
    assert pool.redeem(code, **changes) == (400, {"error": "invalid_grant"})


def test_code_without_a_challenge_takes_no_verifier(pool: HostedPool) -> None:
    username, without = pool.add_confirmed(), {"code_challenge": "", "code_challenge_method": ""}
    code = pool.sign_in_there(username, **without).parameters["code"]
    assert pool.redeem(code) == (400, {"error": "invalid_grant"})
    code = pool.sign_in_there(username, **without).parameters["code"]
    assert pool.redeem(code, code_verifier="")[0] == 200


def test_code_of_another_client_is_refused(pool: HostedPool) -> None:
    settings = {"UserPoolId": pool.pool_id, "ClientName": "other", "GenerateSecret": False, **OAUTH}
    other = pool.cognito.create_user_pool_client(**settings)["UserPoolClient"]["ClientId"]
    code = pool.sign_in_there(pool.add_confirmed()).parameters["code"]
    assert pool.redeem(code, client_id=other, client_secret="") == (400, {"error": "invalid_grant"})


def test_client_must_prove_itself(pool: HostedPool) -> None:
    code = pool.sign_in_there(pool.add_confirmed()).parameters["code"]
    assert pool.redeem(code, client_secret="") == (400, {"error": "invalid_client"})
    assert pool.redeem(code, client_secret="wrong") == (400, {"error": "invalid_client"})
    fields = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    status, tokens = pool.token(basic=True, code=code, **fields)
    assert status == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert pool.token(client_secret="", **refresh) == (400, {"error": "invalid_client"})


def test_wrong_password_shows_the_form_again_and_locks_out_in_the_end(pool: HostedPool) -> None:
    username, visitor = pool.add_confirmed(), Visitor()
    page = pool.authorize(visitor)
    for _ in range(5):
        page = visitor.submit(page, username=username, password="wrong")
        assert "Incorrect username or password." in page.text
    page = visitor.submit(page, username=username, password=PASSWORD)
    assert "Password attempts exceeded" in page.text
    assert page.location == ""


def test_invited_person_chooses_a_password(pool: HostedPool) -> None:
    username, visitor = pool.invite(), Visitor()
    password = pool.mailed_password(username)
    page = visitor.submit(pool.authorize(visitor), username=username, password=password)
    page = visitor.submit(page, password="weak")
    assert "password" in page.text
    back = visitor.submit(page, password=PASSWORD)
    assert pool.redeem(back.parameters["code"])[0] == 200


def test_authenticator_app_is_asked_for(cloud: RunningCloud) -> None:
    pool = HostedPool(cloud)
    pool.cognito.set_user_pool_mfa_config(
        UserPoolId=pool.pool_id, MfaConfiguration="ON", SoftwareTokenMfaConfiguration={"Enabled": True}
    )
    username, visitor = pool.add_confirmed(), Visitor()
    page = visitor.submit(pool.authorize(visitor), username=username, password=PASSWORD)
    found = re.search(r"authenticator app: ([A-Z2-7]{32})", page.text)
    assert found is not None
    page = visitor.submit(page, code="000000")
    assert page.location == ""
    back = visitor.submit(page, code=totp(found[1]))
    assert "code" in back.parameters
    visitor = Visitor()
    page = visitor.submit(pool.authorize(visitor), username=username, password=PASSWORD)
    page = visitor.submit(page, code="000000")
    assert "Invalid code" in page.text
    back = visitor.submit(page, code=totp(found[1], steps=1))
    assert pool.redeem(back.parameters["code"])[0] == 200


def test_person_with_both_factors_chooses_the_text(cloud: RunningCloud) -> None:
    pool = HostedPool(cloud, GenerateSecret=False)
    pool.cognito.set_user_pool_mfa_config(
        UserPoolId=pool.pool_id,
        MfaConfiguration="OPTIONAL",
        SoftwareTokenMfaConfiguration={"Enabled": True},
        SmsMfaConfiguration={"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"}},
    )
    username, visitor, number = pool.add_confirmed(), Visitor(), "+12025550177"
    attributes = [{"Name": "phone_number", "Value": number}, {"Name": "phone_number_verified", "Value": "true"}]
    named = {"UserPoolId": pool.pool_id, "Username": username}
    pool.cognito.admin_update_user_attributes(**named, UserAttributes=attributes)
    enrol(pool, username)
    both = {"SMSMfaSettings": {"Enabled": True}, "SoftwareTokenMfaSettings": {"Enabled": True}}
    pool.cognito.admin_set_user_mfa_preference(**named, **both)
    page = visitor.submit(pool.authorize(visitor), username=username, password=PASSWORD)
    assert "SOFTWARE_TOKEN_MFA" in page.text
    page = visitor.submit(page, answer="SMS_MFA")
    assert "0177" in page.text
    found = re.search(r"\d{6}", cloud.texts_to(number)[-1])
    assert found is not None
    back = visitor.submit(page, code=found[0])
    assert pool.redeem(back.parameters["code"])[0] == 200


def test_person_is_remembered_for_an_hour_and_until_they_sign_out(pool: HostedPool) -> None:
    username, visitor = pool.add_confirmed(), Visitor()
    first = pool.sign_in_there(username, visitor)
    signed_in_at = claims(pool.redeem(first.parameters["code"])[1]["id_token"])["auth_time"]
    again = pool.authorize(visitor)
    assert claims(pool.redeem(again.parameters["code"])[1]["id_token"])["auth_time"] == signed_in_at
    assert pool.authorize(visitor, prompt="login").forms
    logout = f"{pool.cloud.endpoint}/logout"
    assert visitor.get(logout, client_id=pool.client_id, logout_uri="https://evil.example/").status == 400
    assert visitor.get(logout, client_id=pool.client_id, logout_uri="").status == 400
    assert pool.authorize(visitor).parameters["code"]
    assert visitor.get(logout, client_id=pool.client_id, logout_uri=FAREWELL).location == FAREWELL
    assert pool.authorize(visitor).forms


def test_cookie_alone_is_worth_nothing_after_signing_out(pool: HostedPool) -> None:
    visitor = Visitor()
    pool.sign_in_there(pool.add_confirmed(), visitor)
    stolen = Visitor()
    stolen.cookies = {host: dict(cookies) for host, cookies in visitor.cookies.items()}
    visitor.get(f"{pool.cloud.endpoint}/logout", client_id=pool.client_id, logout_uri=FAREWELL)
    assert pool.authorize(stolen).forms


def test_disabled_person_is_out_of_the_pages(pool: HostedPool) -> None:
    username, visitor = pool.add_confirmed(), Visitor()
    code = pool.sign_in_there(username, visitor).parameters["code"]
    pool.cognito.admin_disable_user(UserPoolId=pool.pool_id, Username=username)
    assert pool.redeem(code) == (400, {"error": "invalid_grant"})
    page = pool.authorize(visitor)
    assert page.forms
    assert "User is disabled." in visitor.submit(page, username=username, password=PASSWORD).text


def test_token_without_the_scope_does_not_manage_the_account(pool: HostedPool) -> None:
    code = pool.sign_in_there(pool.add_confirmed(), scope="openid email").parameters["code"]
    _status, tokens = pool.redeem(code)
    assert refusal(lambda: pool.cognito.get_user(AccessToken=tokens["access_token"])) == (
        "NotAuthorizedException",
        "Access Token does not have required scopes",
    )
    assert "given_name" not in claims(tokens["id_token"])
    assert claims(tokens["id_token"])["email_verified"] is True


def test_token_without_openid_brings_no_id_token(pool: HostedPool) -> None:
    code = pool.sign_in_there(pool.add_confirmed(), scope="email").parameters["code"]
    assert "id_token" not in pool.redeem(code)[1]


def test_refresh_ends_with_signing_out_everywhere_and_with_revocation(pool: HostedPool) -> None:
    username = pool.add_confirmed()
    tokens = pool.redeem(pool.sign_in_there(username).parameters["code"])[1]
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    http = urllib3.PoolManager(retries=False)
    credentials = {"client_id": pool.client_id, "client_secret": pool.secret}
    body = urlencode({"token": tokens["refresh_token"], **credentials})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.request("POST", f"{pool.cloud.endpoint}/oauth2/revoke", body=body, headers=headers).status == 200
    assert pool.token(**refresh) == (400, {"error": "invalid_grant"})
    tokens = pool.redeem(pool.sign_in_there(username).parameters["code"])[1]
    pool.cognito.admin_user_global_sign_out(UserPoolId=pool.pool_id, Username=username)
    assert pool.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])[0] == 400


def test_ministacks_own_pages_are_out_of_reach(pool: HostedPool) -> None:
    username = pool.add_confirmed()
    fields = {"username": username, "password": PASSWORD, "client_id": pool.client_id, "redirect_uri": CALLBACK}
    for path in ("/oauth2/login", "/oauth2/idpresponse", "/oauth2/authorize/x", "/saml2/idpresponse/x", "/loginx"):
        page = Visitor().post(f"{pool.cloud.endpoint}{path}", **fields)
        assert (page.status, page.location) == (404, ""), path
    assert Visitor().post(f"{pool.cloud.endpoint}/login", **fields).status == 400


def test_login_page_escapes_what_is_in_the_address(pool: HostedPool) -> None:
    page = pool.authorize(Visitor(), login_hint='"><script>alert(1)</script>', state='"><b>')
    assert "alert" not in page.text
    assert page.forms[0].fields["username"] == '"><script>alert(1)</script>'


def test_pages_can_be_made_to_fail(pool: HostedPool) -> None:
    fault = {"service": "unsigned", "action": "POST /oauth2/token", "kind": "error", "times": 1}
    pool.cloud.control("POST", "/_portico/faults", fault, **{"Content-Type": "application/json"})
    try:
        http = urllib3.PoolManager(retries=False)
        assert http.request("POST", f"{pool.cloud.endpoint}/oauth2/token", body=b"").status == 500
    finally:
        pool.cloud.control("DELETE", "/_portico/faults")


@pytest.mark.parametrize(
    ("seconds", "client_id", "redirect_uri", "verifier", "is_for"),
    [
        (299, "app", CALLBACK, VERIFIER, True),
        (301, "app", CALLBACK, VERIFIER, False),
        (0, "other", CALLBACK, VERIFIER, False),
        (0, "app", FAREWELL, VERIFIER, False),
        (0, "app", CALLBACK, "w" * 43, False),
        (0, "app", CALLBACK, "", False),
    ],
)
def test_code_is_for_its_client_and_address_for_five_minutes(
    seconds: int, client_id: str, redirect_uri: str, verifier: str, is_for: bool
) -> None:
    asked = Authorization("pool", "app", CALLBACK, "openid", "", "", CHALLENGE, "", {})
    grant = Grant(asked, "ada", 0, CODE_SECONDS)
    assert grant.is_for(client_id, redirect_uri, verifier, now=seconds) is is_for
