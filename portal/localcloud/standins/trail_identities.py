"""Who made a call, as CloudTrail's userIdentity says it.

MiniStack takes every caller for an IAM user whose name is the access key.
Reference: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

import time
from typing import Any

from portal.localcloud.standins.touchpoints import module_with


class Identities:
    """Looks callers up in MiniStack's IAM and STS."""

    def __init__(self) -> None:
        self._evaluator = module_with(
            "ministack.core.iam_evaluator",
            "resolve_credential",
            "CredentialResolutionError",
            "_role_name_from_assumed_arn",
        )
        self._iam = module_with("ministack.services.iam", "_roles.get_scoped")
        self._sts = module_with("ministack.services.sts", "_sessions")

    def of(self, access_key_id: str) -> dict[str, Any] | None:
        """Return the userIdentity of an access key; None for one that nobody has."""
        credential = self._evaluator.resolve_credential(access_key_id)
        if isinstance(credential, self._evaluator.CredentialResolutionError):
            return None
        identity: dict[str, Any] = {
            "type": {"User": "IAMUser"}.get(credential.principal_type, credential.principal_type),
            "principalId": credential.principal_id,
            "arn": credential.principal_arn,
            "accountId": credential.account_id,
            "accessKeyId": access_key_id,
        }
        if credential.principal_type == "User":
            identity["userName"] = credential.principal_name
        session = self._sts._sessions.get(access_key_id)
        if session is not None:
            opened_at = session.get("IssuedAt") or time.time()
            attributes = {"creationDate": iso(opened_at), "mfaAuthenticated": "false"}
            issuer = self._issuer(credential) if credential.principal_type == "AssumedRole" else {}
            identity["sessionContext"] = {**({"sessionIssuer": issuer} if issuer else {}), "attributes": attributes}
        return identity

    def _issuer(self, credential: Any) -> dict[str, Any]:
        name = self._evaluator._role_name_from_assumed_arn(credential.principal_arn)
        role = self._iam._roles.get_scoped(credential.account_id, None, name) or {}
        return {
            "type": "Role",
            "principalId": role.get("RoleId", credential.principal_id.partition(":")[0]),
            "arn": role.get("Arn", f"arn:aws:iam::{credential.account_id}:role/{name}"),
            "accountId": credential.account_id,
            "userName": name,
        }


def username_of(identity: dict[str, Any]) -> str | None:
    """Return the Username under which LookupEvents finds a caller's events: of a role, the name of its session."""
    if identity.get("type") == "Root":
        return "root"
    if identity.get("userName"):
        return str(identity["userName"])
    if identity.get("type") in ("AssumedRole", "FederatedUser"):
        by_principal = str(identity.get("principalId", "")).partition(":")[2]
        return str(identity.get("arn", "")).rpartition("/")[2] or by_principal or None
    return None


def iso(seconds: float) -> str:
    """Return a time as CloudTrail's events write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
