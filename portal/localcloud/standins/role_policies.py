"""The size of a role's inline policies, which MiniStack does not limit.

Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import json
import re
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

# Over all inline policies of a role together; white space does not count.
CHARACTERS = 10_240


def install() -> None:
    """Patch PutRolePolicy. Raises TouchpointMissing."""
    iam = module_with("ministack.services.iam", "_IAM_HANDLERS", "_put_role_policy", "_roles", "_p", "_error")
    put = iam._put_role_policy

    def put_within_limit(params: Any) -> Any:
        name = iam._p(params, "RoleName")
        others = {
            policy: document
            for policy, document in ((iam._roles.get(name) or {}).get("InlinePolicies") or {}).items()
            if policy != iam._p(params, "PolicyName")
        }
        size = _size(iam._p(params, "PolicyDocument")) + sum(_size(document) for document in others.values())
        if name in iam._roles and size > CHARACTERS:
            message = f"Maximum policy size of {CHARACTERS} bytes exceeded for role {name}"
            return iam._error(409, "LimitExceeded", message, ns="iam")
        return put(params)

    # Touchpoint: the table of handlers, which holds the function itself.
    iam._IAM_HANDLERS["PutRolePolicy"] = put_within_limit


def _size(document: Any) -> int:
    text = document if isinstance(document, str) else json.dumps(document)
    return len(re.sub(r"\s", "", text))
