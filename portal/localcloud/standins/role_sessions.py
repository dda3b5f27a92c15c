"""Sessions of roles that an identity provider's word opens, and the limits of all role sessions.

MiniStack trusts web identities without looking at their tokens, knows no session tags of providers, and grants any
duration.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_manage-assume.html
"""

import dataclasses
import re
import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

SHORTEST_SECONDS = 900
DEFAULT_SECONDS = 3600
# A role session may open another role's session, but only for an hour.
CHAINED_SECONDS = 3600
POLICY_CHARACTERS = 2048
TAG_COUNT = 50
_TAG_KEY = re.compile(r"[\w .:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w .:/=+\-@]{0,256}")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class Refusal(Exception):
    """AWS's refusal of a call, as its error code and message."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Bearer:
    """Whom an identity provider names: its principal, the condition keys and session tags it gives, and an identity
    pool's details."""

    action: str
    provider: str
    keys: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleSession:
    """An open session with its credentials."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float
    arn: str
    role_id: str


class RoleSessions:
    """Opens sessions of roles in MiniStack's IAM and STS."""

    def __init__(self) -> None:
        self._evaluator = module_with(
            "ministack.core.iam_evaluator",
            "_trust_principal_matches",
            "evaluate_trust_policy",
            "EvalContext",
            "validate_policy_document",
        )
        self._iam = module_with("ministack.services.iam", "_roles.get_scoped", "_extract_tags")
        self._sts = module_with("ministack.services.sts", "register_session", "_sessions", "_session_policies")
        self._responses = module_with("ministack.core.responses", "get_region", "get_account_id")
        # Touchpoint: looked up at each call; it knows federated principals of one action only.
        matches = self._evaluator._trust_principal_matches

        def matches_provider(principal: Any, caller: str, federated: bool) -> Any:
            is_provider = ":saml-provider/" in caller or ":oidc-provider/" in caller or not caller.startswith("arn:")
            return matches(principal, caller, federated or is_provider)

        self._evaluator._trust_principal_matches = matches_provider

    def role(self, role_arn: str) -> Any:
        """Return the role of that ARN, or None."""
        parts = role_arn.split(":", 5)
        if len(parts) != 6 or not parts[5].startswith("role/"):
            return None
        role = self._iam._roles.get_scoped(parts[4], None, role_arn.rpartition("/")[2])
        return role if role and role.get("Arn") == role_arn else None

    def open(
        self,
        role_arn: str,
        name: str,
        bearer: Bearer,
        *,
        seconds: int = DEFAULT_SECONDS,
        policies: Mapping[str, Any] | None = None,
    ) -> RoleSession:
        """Open a session of a role if its trust policy lets the bearer in. Raises Refusal."""
        if not _SESSION_NAME.fullmatch(name):
            raise Refusal("ValidationError", "roleSessionName must satisfy [\\w+=,.@-]{2,64}")
        _check_tags(bearer.tags)
        role = self.role(role_arn)
        if role is None or not self._trusted(role, name, bearer):
            raise Refusal("AccessDenied", f"Not authorized to perform {bearer.action}", status=403)
        self.check_duration(role, seconds)
        account = role_arn.split(":")[4]
        session = RoleSession(
            access_key_id="ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16)),
            secret_access_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(150),
            expires_at=int(time.time()) + seconds,
            arn=f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
            role_id=f"{role['RoleId']}:{name}",
        )
        self._sts.register_session(
            session.access_key_id,
            {
                "Arn": session.arn,
                "UserId": session.role_id,
                "SecretAccessKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expires_at,
                "AccountId": account,
                "PrincipalType": "AssumedRole",
                "SessionTags": [{"Key": key, "Value": value} for key, value in bearer.tags.items()],
                "SessionPolicies": policies if policies and any(policies.values()) else None,
                "ConditionKeys": {**bearer.keys, "aws:federatedprovider": bearer.provider},
                **bearer.details,
            },
        )
        return session

    def check_duration(self, role: Any, seconds: int, *, chained: bool = False) -> None:
        """Raise Refusal unless a session of a role may be that long."""
        if seconds < SHORTEST_SECONDS:
            raise Refusal(
                "ValidationError",
                f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value greater than or equal to {SHORTEST_SECONDS}",
            )
        if seconds > role.get("MaxSessionDuration", DEFAULT_SECONDS):
            message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise Refusal("ValidationError", message)
        if chained and seconds > CHAINED_SECONDS:
            message = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
            raise Refusal("ValidationError", message)

    def session_policies(self, params: Mapping[str, Any], account: str) -> dict[str, Any]:
        """Return the session policies of a call's parameters. Raises Refusal."""
        text = (params.get("Policy") or [""])[0]
        if len(text) > POLICY_CHARACTERS:
            raise Refusal("ValidationError", f"Policy must have length less than or equal to {POLICY_CHARACTERS}")
        if text and (malformed := self._evaluator.validate_policy_document(text)):
            raise Refusal("MalformedPolicyDocument", malformed)
        policies, unknown = self._sts._session_policies(params, account)
        if unknown:
            raise Refusal("ValidationError", "PolicyArns names a policy that does not exist")
        found: dict[str, Any] = policies
        return found

    def _trusted(self, role: Any, name: str, bearer: Bearer) -> bool:
        """Return whether a role's trust policy admits a bearer, and their tags where they bring any."""
        context = self._evaluator.EvalContext(
            principal_arn=bearer.provider,
            principal_type="FederatedUser",
            principal_account=role["Arn"].split(":")[4],
            action=bearer.action,
            resource_arn=role["Arn"],
            region=self._responses.get_region(),
            service_context={**bearer.keys, "sts:rolesessionname": name},
            request_tags=dict(bearer.tags),
            tag_keys=list(bearer.tags) or None,
        )
        contexts = [context]
        if bearer.tags:
            contexts.append(dataclasses.replace(context, action="sts:TagSession"))
        trust = role.get("AssumeRolePolicyDocument", "{}")
        return all(self._evaluator.evaluate_trust_policy(trust, bearer.provider, one) for one in contexts)


def _check_tags(tags: Mapping[str, str]) -> None:
    if len({key.lower() for key in tags}) < len(tags):
        raise Refusal("InvalidParameterValue", "Duplicate tag keys found.")
    if len(tags) > TAG_COUNT or not all(
        _TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value) for key, value in tags.items()
    ):
        raise Refusal("ValidationError", "A session tag's key or value is not one")
