"""Which role an identity pool gives to whom, and with which session tags: rules on the claims of checked tokens.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html and
https://docs.aws.amazon.com/cognito/latest/developerguide/attributes-for-access-control.html
"""

from collections.abc import Mapping
from typing import Any

from portal.localcloud.standins.role_sessions import Refusal

TAGS_CLAIM = "https://aws.amazon.com/tags"
# What a pool tags sessions with that was told to use the defaults.
DEFAULT_TAGS = {"username": "sub", "client": "aud"}
MISCONFIGURED = "Invalid identity pool configuration. Check assigned IAM roles for this pool."
NOT_IN_TOKEN = "Custom role is not in the token."  # noqa: S105
# The claims of each token, by its provider.
Claims = Mapping[str, Mapping[str, Any]]


def chosen_role(pool: Mapping[str, Any], claims_by_provider: Claims, custom: str | None) -> str:
    """Return the ARN of the role for the bearer of tokens, or of the one they ask for. Raises Refusal."""
    for provider, claims in claims_by_provider.items():
        mapping = _mapping(pool, provider, claims)
        if mapping is None:
            continue
        if mapping.get("Type") != "Token":
            raise Refusal("InvalidParameterException", "The local cloud maps roles by the type Token only.")
        named = claims.get("cognito:roles") or []
        if custom:
            if custom not in named:
                raise Refusal("NotAuthorizedException", NOT_IN_TOKEN)
            return custom
        preferred = claims.get("cognito:preferred_role") or (named[0] if len(named) == 1 else None)
        if preferred:
            return str(preferred)
        if mapping.get("AmbiguousRoleResolution") == "Deny":
            raise Refusal("NotAuthorizedException", "Access denied: the token names no role, or several.")
    if custom:
        raise Refusal("NotAuthorizedException", NOT_IN_TOKEN)
    default = (pool.get("_roles") or {}).get("authenticated" if claims_by_provider else "unauthenticated")
    if not default:
        raise Refusal("InvalidIdentityPoolConfigurationException", MISCONFIGURED)
    return str(default)


def _mapping(pool: Mapping[str, Any], provider: str, claims: Mapping[str, Any]) -> Any:
    """Return the pool's role mapping of a provider, or None."""
    mappings = pool.get("_role_mappings") or {}
    name = f"{provider}:{claims.get('aud')}" if provider.startswith("cognito-idp.") else provider
    # CloudFormation names a mapping freely and has its provider inside; the API names it by the provider.
    inside = (mapping for mapping in mappings.values() if mapping.get("IdentityProvider") == name)
    return mappings.get(name) or next(inside, None)


def tags_from(pool: Mapping[str, Any], claims_by_provider: Claims) -> dict[str, str]:
    """Return the session tags that a pool makes of the tokens' claims. A claim that is a list becomes none."""
    tags = {}
    for provider, claims in claims_by_provider.items():
        mapping = (pool.get("_principal_tags") or {}).get(provider) or {}
        names = DEFAULT_TAGS if mapping.get("UseDefaults") else mapping.get("PrincipalTags") or {}
        for tag, claim in names.items():
            value = claims.get(claim)
            if isinstance(value, bool):
                value = str(value).lower()
            if isinstance(value, (str, int)):
                tags[tag] = str(value)
    return tags


def tags_of(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the session tags that a token carries."""
    tags = (claims.get(TAGS_CLAIM) or {}).get("principal_tags") or {}
    return {key: str(value[0] if isinstance(value, list) else value) for key, value in tags.items()}


def tags_claim(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return session tags as a token carries them."""
    return {TAGS_CLAIM: {"principal_tags": {key: [value] for key, value in tags.items()}}} if tags else {}
