"""Make the configured administrator key the only root key, and check its signature like any other.

MiniStack takes as root, with any secret: no key at all, the key id "test", every 12-digit key id, and the key
of its own environment. AWS accepts a root call only when it is signed with the root key's secret, and refuses
an unsigned call unless the operation is public or a resource policy admits everyone.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""

import sys
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

ACCOUNT_ID_VARIABLE = "MINISTACK_ACCOUNT_ID"


def install(access_key_id: str, secret_access_key: str) -> None:
    """Patch MiniStack's credential lookup. Must run before its services are imported."""
    # Touchpoint: services and the app take these functions by name when they are imported.
    if "ministack.app" in sys.modules:
        raise RuntimeError("administrator.install() must run before ministack.app is imported")
    evaluator = module_with(
        "ministack.core.iam_evaluator",
        "is_root_access_key",
        "_is_root_key",
        "resolve_credential",
        "find_iam_access_key_account",
        "enforce",
        "_served_unsigned",
        "ResolvedCredential",
        "AuthError",
        "_anonymous",
        "_served_unsigned",
        "_signed_request",
        "_validate_session_token",
        "_SESSION_TOKEN_NOT_CHECKED",
    )
    responses = module_with("ministack.core.responses", "get_account_id")
    resolve_other, enforce_signed, find_account = (
        evaluator.resolve_credential,
        evaluator.enforce,
        evaluator.find_iam_access_key_account,
    )
    default_account = responses._request_account_id.get()

    # Touchpoint: a key that is "root" here skips the signature check, so none is.
    def never_root(_access_key_id: str) -> bool:
        return False

    def resolve_credential(
        key: str, account_id: str | None = None, session_token: Any = evaluator._SESSION_TOKEN_NOT_CHECKED
    ) -> Any:
        if key != access_key_id:
            return resolve_other(key, account_id, session_token)
        wrong_token = evaluator._validate_session_token(None, session_token)
        if wrong_token:
            return wrong_token
        return evaluator.ResolvedCredential(
            access_key_id=key,
            secret_access_key=secret_access_key,
            account_id=default_account,
            principal_arn=f"arn:aws:iam::{default_account}:root",
            principal_id=default_account,
            principal_type="Root",
            source_access_key_id=key,
        )

    def find_iam_access_key_account(key: str) -> Any:
        # A 12-digit key id would otherwise choose the account it names.
        return default_account if key == access_key_id or key.isdigit() else find_account(key)

    def enforce(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        if not key and evaluator._signed_request.get() is None and evaluator._anonymous.get():
            # Touchpoint: the calls that AWS serves unsigned, e.g. Cognito's InitiateAuth.
            if evaluator._served_unsigned(service, action):
                return None
            served = evaluator._served_unsigned(service, action)
            if served or _public(service, action, resource_arn, service_context or {}):
                return None
            if service == "s3" or action in ("execute-api:Invoke", "lambda:InvokeFunctionUrl"):
                return evaluator.AuthError("MissingAuthenticationToken", "Request is missing Authentication Token")
        return enforce_signed(key, action, service, region, resource_arn, service_context)

    evaluator.is_root_access_key = never_root
    evaluator._is_root_key = never_root
    evaluator.resolve_credential = resolve_credential
    evaluator.find_iam_access_key_account = find_iam_access_key_account
    evaluator.enforce = enforce


def _public(service: str, action: str, resource_arn: str, context: dict[str, Any]) -> bool:
    """Return whether an unsigned call may go on to the service, which then checks its own public grants."""
    if action == "lambda:InvokeFunctionUrl":
        return bool(context.get("lambda:FunctionUrlAuthType") == "NONE")
    if service != "s3" or not resource_arn.startswith("arn:aws:s3:::"):
        return False
    # S3 itself asks the bucket's policy and ACL about an anonymous caller, but only for a bucket that exists.
    s3 = module_with("ministack.services.s3", "_bucket_owner_account")
    bucket = resource_arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    return s3._bucket_owner_account(bucket) is not None
