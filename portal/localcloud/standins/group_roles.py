"""The roles of a user's groups in the ID token: cognito:roles and cognito:preferred_role.

MiniStack puts the groups into the token but not their roles, and takes a group without a precedence for the first.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from portal.localcloud.standins.cognito_calls import Response
from portal.localcloud.standins.touchpoints import module_with

# Where a group stands that has no precedence: behind all that have one.
LAST = 2**31


def install() -> None:
    """Patch the making of ID tokens and of groups. Raises TouchpointMissing."""
    cognito = module_with("ministack.services.cognito", "_apply_pretoken_trigger", "_create_group", "_user_pools")
    # Touchpoints: both are looked up in the module at each call.
    trigger, create = cognito._apply_pretoken_trigger, cognito._create_group

    def trigger_with_roles(**options: Any) -> Any:
        pool = cognito._user_pools.get(options["pool_id"])
        is_id_token = options["token_type"] == "id"  # noqa: S105
        if is_id_token and pool:
            groups = [pool["_groups"][name] for name in options["groups"] if name in pool["_groups"]]
            options["claims"] = {**options["claims"], **role_claims(groups)}
        return trigger(**options)

    def create_without_precedence(data: dict[str, Any]) -> Response:
        response: Response = create(data)
        if response[0] == 200 and data.get("Precedence") is None:
            cognito._user_pools[data["UserPoolId"]]["_groups"][data["GroupName"]].pop("Precedence", None)
        return response

    cognito._apply_pretoken_trigger = trigger_with_roles
    cognito._create_group = create_without_precedence


def role_claims(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the claims of the groups' roles. No role is preferred where two that are first differ."""

    def precedence(group: Mapping[str, Any]) -> int:
        given = group.get("Precedence")
        return LAST if given is None else int(given)

    with_role = sorted((group for group in groups if group.get("RoleArn")), key=precedence)
    if not with_role:
        return {}
    first = {group["RoleArn"] for group in with_role if precedence(group) == precedence(with_role[0])}
    roles = list(dict.fromkeys(group["RoleArn"] for group in with_role))
    return {"cognito:roles": roles, **({"cognito:preferred_role": first.pop()} if len(first) == 1 else {})}
