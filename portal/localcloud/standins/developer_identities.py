"""Developer identities: people for whom an app vouches at an identity pool under a name of its own.

MiniStack has none of it. A developer user is held among the logins of the identity, as the pool's other logins are.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/developer-authenticated-identities.html
"""

import time
from typing import Any

from portal.localcloud.standins.cognito_calls import Response, answer, error
from portal.localcloud.standins.identity_pools import DEVELOPER_USERS, ISSUER, IdentityPools
from portal.localcloud.standins.identity_roles import tags_claim
from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.touchpoints import module_with

DEFAULT_SECONDS = 900
LONGEST_SECONDS = 24 * 3600


def install(pools: IdentityPools) -> None:
    """Answer the calls about developer identities. Raises TouchpointMissing."""
    cognito = module_with(
        "ministack.services.cognito",
        "_dispatch_identity",
        "_run_identity_handler",
        "_merge_developer_identities",
        "_unlink_developer_identity",
        "_identity_login_names",
        "_identity_logins_error",
        "_identity_login_fields",
        "_login_owner",
        "_link_logins",
        "_identity_id",
        "_now_epoch",
        "_signed_jwt",
        "_identity_pools",
        "run_reentrant",
    )
    added = {
        "GetOpenIdTokenForDeveloperIdentity": lambda data: _vouch(pools, data),
        "LookupDeveloperIdentity": lambda data: _lookup(pools, data),
        "MergeDeveloperIdentities": lambda data: _merge(pools, data),
        "UnlinkDeveloperIdentity": lambda data: _unlink(pools, data),
    }
    # Touchpoints: both are looked up in the module at each call.
    dispatch, login_names = cognito._dispatch_identity, cognito._identity_login_names

    async def dispatch_added(action: str, data: dict[str, Any]) -> Response:
        if action not in added:
            other: Response = await dispatch(action, data)
            return other

        def handler(content: dict[str, Any]) -> Response:
            try:
                return answer(added[action](content))
            except Refusal as refusal:
                return error(refusal.code, refusal.message)

        response: Response = await cognito.run_reentrant(
            cognito._run_identity_handler, handler, action, data, thread_name="cognito-developer-identities"
        )
        return response

    def login_names_with_developer(identity: dict[str, Any]) -> list[str]:
        names: list[str] = login_names(identity)
        pool = pools.pool_of(identity["IdentityId"]) or {}
        return [*names, pool["DeveloperProviderName"]] if identity.get(DEVELOPER_USERS) else names

    cognito._dispatch_identity = dispatch_added
    cognito._identity_login_names = login_names_with_developer


def _vouch(pools: IdentityPools, data: dict[str, Any]) -> dict[str, Any]:
    """GetOpenIdTokenForDeveloperIdentity: return an identity and a token for the developer user in Logins."""
    cognito, pool = pools.cognito, _pool(pools, data)
    logins = dict(data.get("Logins") or {})
    provider = pool.get("DeveloperProviderName")
    user = logins.pop(provider, None) if provider else None
    if not user:
        raise Refusal("NotAuthorizedException", "Logins don't contain the developer provider of this identity pool.")
    seconds = data.get("TokenDuration") or DEFAULT_SECONDS
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise Refusal("InvalidParameterException", f"TokenDuration must be between 1 and {LONGEST_SECONDS}")
    # An identity of None: the tokens are checked by themselves, whoever holds them.
    refused = cognito._identity_logins_error(pool, None, logins) if logins else None
    if refused is not None:
        content = cognito.json.loads(refused[2])
        raise Refusal(content["__type"], content["message"])
    identity = _identity_for(pools, pool, data.get("IdentityId"), user, logins)
    now = int(time.time())
    pool_name = f"{provider}:{pool['IdentityPoolId']}:{user}"
    claims = {
        "sub": identity["IdentityId"],
        "aud": pool["IdentityPoolId"],
        "amr": ["authenticated", provider, pool_name, *cognito._identity_login_fields(logins)[0][1:]],
        "iss": ISSUER,
        "iat": now,
        "exp": now + seconds,
        **tags_claim(data.get("PrincipalTags") or {}),
    }
    return {"IdentityId": identity["IdentityId"], "Token": cognito._signed_jwt(claims)}


def _identity_for(
    pools: IdentityPools, pool: Any, identity_id: str | None, user: str, logins: dict[str, str]
) -> dict[str, Any]:
    """Return the identity of a developer user and of other logins, linked or made where there is none. Raises
    Refusal."""
    cognito, identities = pools.cognito, pool["_identities"]
    of_user, of_logins = _owner(pool, user), cognito._login_owner(pool, logins)
    if identity_id and identity_id not in identities:
        raise Refusal("ResourceNotFoundException", f"Identity '{identity_id}' not found.")
    if identity_id and of_user and of_user != identity_id:
        message = "Developer user is already registered with a different identity"
        raise Refusal("DeveloperUserAlreadyRegisteredException", message)
    wanted = identity_id or of_user or of_logins
    if of_logins and of_logins != wanted:
        raise Refusal("ResourceConflictException", "Logins are already linked to another account.")
    if wanted is None:
        wanted = cognito._identity_id(pool["IdentityPoolId"])
        now = cognito._now_epoch()
        identities[wanted] = {"IdentityId": wanted, "Logins": {}, "CreationDate": now, "LastModifiedDate": now}
    identity: dict[str, Any] = identities[wanted]
    if identity.get("_merged_into"):
        raise Refusal("ResourceNotFoundException", f"Identity '{wanted}' not found.")
    if identity_id and not of_user and not of_logins and (identity["Logins"] or identity.get(DEVELOPER_USERS)):
        # https://github.com/aws/aws-sdk-js/issues/2327
        message = "Logins don't match. Please include at least one valid login for this identity or identity pool."
        raise Refusal("NotAuthorizedException", message)
    if user not in identity.setdefault(DEVELOPER_USERS, []):
        identity[DEVELOPER_USERS].append(user)
    for provider, token in logins.items():
        identity["Logins"].setdefault(provider, token)
    return identity


def _lookup(pools: IdentityPools, data: dict[str, Any]) -> dict[str, Any]:
    pool, user = _pool(pools, data), data.get("DeveloperUserIdentifier")
    identity_id = data.get("IdentityId") or _owner(pool, user)
    identity = pool["_identities"].get(identity_id)
    if identity is None:
        raise Refusal("ResourceNotFoundException", "No identity found.")
    users = identity.get(DEVELOPER_USERS) or []
    if user and user not in users:
        raise Refusal("ResourceConflictException", "The developer user belongs to another identity.")
    return {"IdentityId": identity_id, "DeveloperUserIdentifierList": users[: data.get("MaxResults") or 60]}


def _merge(pools: IdentityPools, data: dict[str, Any]) -> dict[str, Any]:
    """Move what the source user's identity holds to the destination user's, and disable the emptied one."""
    pool = _pool(pools, data)
    source, destination = (
        pool["_identities"].get(_owner(pool, data.get(f"{side}UserIdentifier"))) for side in ("Source", "Destination")
    )
    if source is None or destination is None or data.get("DeveloperProviderName") != pool.get("DeveloperProviderName"):
        raise Refusal("ResourceNotFoundException", "No identity found.")
    if source is not destination:
        destination[DEVELOPER_USERS] += source[DEVELOPER_USERS]
        destination["Logins"] = {**source["Logins"], **destination["Logins"]}
        source.update({"Logins": {}, DEVELOPER_USERS: [], "_merged_into": destination["IdentityId"]})
    return {"IdentityId": destination["IdentityId"]}


def _unlink(pools: IdentityPools, data: dict[str, Any]) -> dict[str, Any]:
    pool, user = _pool(pools, data), data.get("DeveloperUserIdentifier")
    identity = pool["_identities"].get(data.get("IdentityId"))
    if identity is None or data.get("DeveloperProviderName") != pool.get("DeveloperProviderName"):
        raise Refusal("ResourceNotFoundException", "No identity found.")
    if user not in (identity.get(DEVELOPER_USERS) or []):
        raise Refusal("ResourceConflictException", "The developer user belongs to another identity.")
    identity[DEVELOPER_USERS].remove(user)
    return {}


def _pool(pools: IdentityPools, data: dict[str, Any]) -> Any:
    pool = pools.cognito._identity_pools.get(data.get("IdentityPoolId"))
    if pool is None:
        raise Refusal("ResourceNotFoundException", f"IdentityPool '{data.get('IdentityPoolId')}' not found.")
    return pool


def _owner(pool: Any, user: str | None) -> str | None:
    """Return the id of the identity that holds a developer user, or None."""
    for identity_id, identity in pool["_identities"].items():
        if user and user in (identity.get(DEVELOPER_USERS) or []):
            return str(identity_id)
    return None
