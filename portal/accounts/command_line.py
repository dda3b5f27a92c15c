"""How the AWS CLI and the SDKs take credentials: as environment variables, or from a program that prints them.

Reference: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
and https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from django.conf import settings

from portal.accounts.sts import Credentials


def variables(credentials: Credentials) -> dict[str, str]:
    """Return the environment variables by name. On the local cloud its address is among them."""
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_DEFAULT_REGION": settings.AWS_REGION,
    } | ({"AWS_ENDPOINT_URL": settings.LOCAL_CLOUD} if settings.LOCAL_CLOUD else {})


def shells(credentials: Credentials) -> dict[str, str]:
    """Return what to paste, by shell. In double quotes nothing in it means anything to any of them."""
    values = variables(credentials).items()
    return {
        "bash and zsh": "\n".join(f'export {name}="{value}"' for name, value in values),
        "fish": "\n".join(f'set -gx {name} "{value}"' for name, value in values),
        "PowerShell": "\n".join(f'$Env:{name}="{value}"' for name, value in values),
    }


def process_output(credentials: Credentials) -> dict[str, Any]:
    """Return what a `credential_process` prints."""
    return {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def credential_process(credentials: Credentials) -> str:
    """Return that as text."""
    return json.dumps(process_output(credentials), indent=2)
