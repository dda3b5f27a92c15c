"""STS AssumeRoleWithWebIdentity: a role for whom a signed token names.

MiniStack reads the token without looking at its signature or its age. Known issuers are identity pools and user
pools of this cloud; a user pool needs an OIDC provider in IAM, as any other issuer would.
Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import time
from collections.abc import Mapping
from typing import Any

from portal.localcloud.standins.identity_pools import HOST, IdentityPools
from portal.localcloud.standins.identity_roles import tags_of
from portal.localcloud.standins.role_sessions import Bearer, Refusal
from portal.localcloud.standins.sts_calls import Params, StsCalls, one, opened, seconds_of
from portal.localcloud.standins.touchpoints import module_with

ACTION = "AssumeRoleWithWebIdentity"


def install(calls: StsCalls, pools: IdentityPools) -> None:
    """Answer the call. Raises TouchpointMissing."""
    iam = module_with("ministack.services.iam", "_oidc_providers.get_scoped")
    cognito = pools.cognito

    def assume(params: Params) -> dict[str, Any]:
        role_arn, token = one(params, "RoleArn"), one(params, "WebIdentityToken")
        claims = cognito._token_claims(token)
        host = str(claims.get("iss", "")).removeprefix("https://")
        account = (role_arn.split(":") + [""] * 5)[4]
        if host == HOST:
            principal = HOST
            pool = cognito._identity_pools.get(str(claims.get("aud")))
            known = pool is not None
        else:
            principal, pool = f"arn:aws:iam::{account}:oidc-provider/{host}", None
            provider = iam._oidc_providers.get_scoped(account, None, principal)
            if provider is None:
                raise Refusal(
                    "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for https://{host}"
                )
            known = _is_user_pool(host, cognito) and claims.get("aud") in provider["ClientIDList"]
        if not known or not cognito._signature_valid(token):
            raise Refusal("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        if not isinstance(claims.get("exp"), (int, float)) or claims["exp"] <= time.time():
            raise Refusal("ExpiredTokenException", "Token expired")
        if pool is not None and not pool.get("AllowClassicFlow"):
            raise Refusal("AccessDenied", f"Not authorized to perform sts:{ACTION}", status=403)
        bearer = Bearer(f"sts:{ACTION}", principal, _keys(host, claims), tags_of(claims))
        session = calls.roles.open(
            role_arn,
            one(params, "RoleSessionName"),
            bearer,
            seconds=seconds_of(params),
            policies=calls.roles.session_policies(params, account),
        )
        return {
            **opened(session),
            "SubjectFromWebIdentityToken": claims.get("sub", ""),
            "Audience": claims.get("aud", ""),
            "Provider": principal,
        }

    calls.add(ACTION, assume)


def _keys(host: str, claims: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{host}:{name}".lower(): claims[name] for name in ("aud", "sub", "amr") if name in claims}


def _is_user_pool(host: str, cognito: Any) -> bool:
    domain, _, pool_id = host.partition("/")
    return domain.startswith("cognito-idp.") and cognito._get_pool_unscoped(pool_id) is not None
