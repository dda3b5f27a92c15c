"""Identity pools: who gets an identity, and the credentials of which role.

MiniStack makes identities for guests that a pool does not admit and credentials for identities that do not exist; it
looks neither at role mappings nor at the role's trust policy, and principal tags reach no session.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html
"""

import time
from collections.abc import Mapping
from typing import Any

from portal.localcloud.standins.cognito_calls import Response, answer, attributes_of, error
from portal.localcloud.standins.identity_roles import MISCONFIGURED, chosen_role, tags_claim, tags_from, tags_of
from portal.localcloud.standins.role_sessions import Bearer, Refusal, RoleSessions
from portal.localcloud.standins.touchpoints import module_with

HOST = "cognito-identity.amazonaws.com"
ISSUER = f"https://{HOST}"
SESSION_NAME = "CognitoIdentityCredentials"
SESSION_SECONDS = 3600
# Where an identity keeps its developer users. MiniStack saves it with the rest of the pool. An identity that once had
# one is never a guest's again.
DEVELOPER_USERS = "_developer_users"
NO_ID_TOKEN = "Invalid login token. Not a valid OpenId Connect identity token."  # noqa: S105
CLASSIC_FLOW_OFF = "Basic (classic) flow is not enabled, please use enhanced flow."


class IdentityPools:
    """Patches the calls that an app makes of an identity pool."""

    def __init__(self, roles: RoleSessions) -> None:
        self._roles = roles
        self.cognito = module_with(
            "ministack.services.cognito",
            "_get_id",
            "_get_credentials_for_identity",
            "_get_open_id_token",
            "_identity_logins_error",
            "_identity_login_fields",
            "_link_logins",
            "_login_owner",
            "_identity_pools",
            "_get_pool_unscoped",
            "_token_claims",
            "_signature_valid",
            "_signed_jwt",
            "_revoked_tokens",
            "json",
        )
        # Touchpoints: all are looked up in the module at each call.
        get_id, get_token = self.cognito._get_id, self.cognito._get_open_id_token
        logins_error, link = self.cognito._identity_logins_error, self.cognito._link_logins

        def get_id_of_known(data: dict[str, Any]) -> Response:
            pool = self.cognito._identity_pools.get(data.get("IdentityPoolId"))
            if pool and not data.get("Logins") and not pool.get("AllowUnauthenticatedIdentities"):
                return _guests_refused()
            response: Response = get_id(data)
            return response

        def checked_logins(pool: Any, identity_id: str | None, logins: Any) -> Any:
            identity = pool["_identities"][identity_id] if identity_id else {}
            if not isinstance(logins, dict) or not logins:
                return _forbidden(identity) if DEVELOPER_USERS in identity else logins_error(pool, identity_id, logins)
            own, others = logins.get(HOST), {key: token for key, token in logins.items() if key != HOST}
            if own is None:
                if DEVELOPER_USERS in identity and not logins.keys() & (identity.get("Logins") or {}).keys():
                    return _forbidden(identity)
                return logins_error(pool, identity_id, logins) or self._checks_error(pool, logins)
            # The pool's own token vouches for this very identity.
            claims = self.verified(own)
            if identity_id is None or (claims.get("aud"), claims.get("sub")) != (pool["IdentityPoolId"], identity_id):
                return error("NotAuthorizedException", NO_ID_TOKEN)
            if others and (refused := logins_error(pool, None, others) or self._checks_error(pool, others)):
                return refused
            if self.cognito._login_owner(pool, others) not in (None, identity_id):
                return error("ResourceConflictException", "Logins are already linked to another account.")
            return None

        def link_without_own(pool: Any, identity_id: str | None, logins: dict[str, str]) -> Any:
            others = {provider: token for provider, token in logins.items() if provider != HOST}
            return identity_id if HOST in logins and not others else link(pool, identity_id, others)

        def get_tagged_token(data: dict[str, Any]) -> Response:
            pool = self.pool_of(data.get("IdentityId"))
            if pool is not None and not pool.get("AllowClassicFlow"):
                return error("InvalidParameterException", CLASSIC_FLOW_OFF)
            if pool is not None and not data.get("Logins") and not pool.get("AllowUnauthenticatedIdentities"):
                return _guests_refused()
            response: Response = get_token(data)
            if response[0] != 200 or pool is None:
                return response
            content = self.cognito.json.loads(response[2])
            tags = tags_from(pool, self._claims(data.get("Logins") or {}))
            claims = {**self.cognito._token_claims(content["Token"]), **tags_claim(tags)}
            return answer({**content, "Token": self.cognito._signed_jwt(claims)})

        self.cognito._get_id = get_id_of_known
        self.cognito._identity_logins_error = checked_logins
        self.cognito._link_logins = link_without_own
        self.cognito._get_open_id_token = get_tagged_token
        self.cognito._get_credentials_for_identity = self._get_credentials

    def pool_of(self, identity_id: Any) -> Any:
        """Return the pool that an identity is in, or None."""
        for pool in self.cognito._identity_pools.values():
            if identity_id in pool["_identities"]:
                return pool
        return None

    def verified(self, token: Any) -> dict[str, Any]:
        """Return the claims of a token that an identity pool signed; none if it did not, or the token has expired."""
        claims: dict[str, Any] = self.cognito._token_claims(token)
        if claims.get("iss") != ISSUER or not self.cognito._signature_valid(token):
            return {}
        return claims if claims.get("exp", 0) > time.time() else {}

    def _get_credentials(self, data: dict[str, Any]) -> Response:
        identity_id, logins = data.get("IdentityId"), data.get("Logins") or {}
        pool = self.pool_of(identity_id)
        if pool is None:
            return error("ResourceNotFoundException", f"Identity '{identity_id}' not found.")
        if not logins and not pool.get("AllowUnauthenticatedIdentities"):
            return _guests_refused()
        refused: Response | None = self.cognito._identity_logins_error(pool, identity_id, logins)
        if refused is not None:
            return refused
        identity_id = self.cognito._link_logins(pool, identity_id, logins)
        own_claims = self.verified(logins.get(HOST, ""))
        amr, providers = self.cognito._identity_login_fields(
            {key: token for key, token in logins.items() if key != HOST}
        )
        amr = own_claims.get("amr") or (amr if logins else ["unauthenticated"])
        bearer = Bearer(
            action="sts:AssumeRoleWithWebIdentity",
            provider=HOST,
            keys={f"{HOST}:aud": pool["IdentityPoolId"], f"{HOST}:sub": identity_id, f"{HOST}:amr": amr},
            tags={**tags_from(pool, self._claims(logins)), **tags_of(own_claims)},
            details={  # what API Gateway tells of the caller
                "_identity_id": identity_id,
                "_identity_pool_id": pool["IdentityPoolId"],
                "_cognito_auth_type": amr[0],
                "_cognito_auth_provider": ",".join(providers) or None,
                "_cognito_amr": amr,
            },
        )
        try:
            role_arn = chosen_role(pool, self._claims(logins), data.get("CustomRoleArn"))
            session = self._roles.open(role_arn, SESSION_NAME, bearer, seconds=SESSION_SECONDS)
        except Refusal as refusal:
            if refusal.code == "AccessDenied":
                return error("InvalidIdentityPoolConfigurationException", MISCONFIGURED)
            return error(refusal.code, refusal.message)
        return answer(
            {
                "IdentityId": identity_id,
                "Credentials": {
                    "AccessKeyId": session.access_key_id,
                    "SecretKey": session.secret_access_key,
                    "SessionToken": session.session_token,
                    "Expiration": session.expires_at,
                },
            }
        )

    def _claims(self, logins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return the claims of checked tokens, by provider."""
        return {provider: self.cognito._token_claims(token) for provider, token in logins.items()}

    def _checks_error(self, pool: Any, logins: Mapping[str, str]) -> Response | None:
        """Return the refusal of a token whose user the pool is to ask after: gone, disabled or signed out."""
        for provider, token in logins.items():
            claims = self.cognito._token_claims(token)
            if not provider.startswith("cognito-idp."):
                continue
            if claims.get("token_use") != "id":
                return error("NotAuthorizedException", NO_ID_TOKEN)
            asked = any(
                one.get("ServerSideTokenCheck")
                for one in pool.get("CognitoIdentityProviders") or []
                if one.get("ProviderName") == provider and one.get("ClientId") == claims.get("aud")
            )
            if asked and not self._still_in(provider, claims):
                return error("NotAuthorizedException", "Invalid login token. Token is expired or was revoked.")
        return None

    def _still_in(self, provider: str, claims: Mapping[str, Any]) -> bool:
        user_pool = self.cognito._get_pool_unscoped(provider.rpartition("/")[2]) or {"_users": {}}
        user = user_pool["_users"].get(claims.get("cognito:username"))
        return (
            user is not None
            and user.get("Enabled", True)
            and attributes_of(user).get("sub") == claims.get("sub")
            and claims.get("origin_jti") not in self.cognito._revoked_tokens
        )


def _forbidden(identity: Mapping[str, Any]) -> Response:
    return error("NotAuthorizedException", f"Access to Identity '{identity['IdentityId']}' is forbidden.")


def _guests_refused() -> Response:
    return error("NotAuthorizedException", "Unauthenticated access is not supported for this identity pool.")
