"""What IAM checks a call of AppStream against: the fleets and stacks that it names.

Reference: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonappstream2.0.html
"""

from collections.abc import Iterator
from typing import Any

# The members that name what a call is checked on, by operation. A call with none of them is checked on all resources.
_FLEET, _STACK = ("fleet", "Name"), ("stack", "Name")
_BOTH = (("fleet", "FleetName"), ("stack", "StackName"))
_NAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "CreateFleet": (_FLEET, ("image", "ImageName"), ("image", "ImageArn")),
    "UpdateFleet": (_FLEET, ("image", "ImageName"), ("image", "ImageArn")),
    "DeleteFleet": (_FLEET,),
    "DescribeFleets": (("fleet", "Names"),),
    "StartFleet": (_FLEET,),
    "StopFleet": (_FLEET,),
    "CreateStack": (_STACK,),
    "UpdateStack": (_STACK,),
    "DeleteStack": (_STACK,),
    "DescribeStacks": (("stack", "Names"),),
    "AssociateFleet": _BOTH,
    "DisassociateFleet": _BOTH,
    "ListAssociatedFleets": (("stack", "StackName"),),
    "ListAssociatedStacks": (("fleet", "FleetName"),),
    "CreateStreamingURL": _BOTH,
    "DescribeSessions": _BOTH,
}
# Listing tags has no resource.
_TAGGING = ("TagResource", "UntagResource")


def resources(action: str, parameters: dict[str, Any], prefix: str) -> list[str]:
    """Return the ARNs a call is checked on; prefix is arn:aws:appstream:REGION:ACCOUNT."""
    if action in _TAGGING:
        return [str(parameters.get("ResourceArn") or "*")]
    found = [arn for kind, member in _NAMED.get(action, ()) for arn in _arns(kind, parameters.get(member), prefix)]
    return found or ["*"]


def _arns(kind: str, named: Any, prefix: str) -> Iterator[str]:
    if isinstance(named, list):
        for name in named or ["*"]:
            yield f"{prefix}:{kind}/{name}"
    elif named is not None:
        yield str(named) if str(named).startswith("arn:") else f"{prefix}:{kind}/{named}"
    elif kind != "image":
        yield f"{prefix}:{kind}/*"


def tag_keys(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the condition keys of the tags that a call sets or removes."""
    tags, removed = parameters.get("Tags"), parameters.get("TagKeys")
    set_here = tags if isinstance(tags, dict) else {}
    keys: dict[str, Any] = {f"aws:RequestTag/{name}": value for name, value in set_here.items()}
    names = [*set_here, *(removed if isinstance(removed, list) else [])]
    return {**keys, "aws:TagKeys": names} if names else keys
