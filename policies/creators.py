"""Who launched an instance, read from CloudTrail's RunInstances events.

A tag should name somebody whom a person recognises: the user, the person behind a role's session, the Auto Scaling
group. What the event does not say is not guessed.
Reference: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

_MOST_CHARACTERS = 256  # of a tag's value

_SERVICES = {
    "autoscaling.amazonaws.com": "Auto Scaling",
    "batch.amazonaws.com": "AWS Batch",
    "cloudformation.amazonaws.com": "CloudFormation",
    "cloud9.amazonaws.com": "Cloud9",
    "codebuild.amazonaws.com": "CodeBuild",
    "ec2fleet.amazonaws.com": "EC2 Fleet",
    "ecs.amazonaws.com": "ECS",
    "eks.amazonaws.com": "EKS",
    "eks-nodegroup.amazonaws.com": "EKS",
    "elasticbeanstalk.amazonaws.com": "Elastic Beanstalk",
    "elasticmapreduce.amazonaws.com": "EMR",
    "imagebuilder.amazonaws.com": "EC2 Image Builder",
    "opsworks.amazonaws.com": "OpsWorks",
    "servicecatalog.amazonaws.com": "Service Catalog",
    "spot.amazonaws.com": "EC2 Spot",
    "spotfleet.amazonaws.com": "Spot Fleet",
    "ssm.amazonaws.com": "Systems Manager",
}
# The tag that says on whose behalf the service launched the instance.
_BEHALF = {
    "autoscaling.amazonaws.com": "aws:autoscaling:groupName",
    "ec2fleet.amazonaws.com": "aws:ec2:fleet-id",
    "eks.amazonaws.com": "eks:cluster-name",
    "eks-nodegroup.amazonaws.com": "eks:cluster-name",
    "elasticbeanstalk.amazonaws.com": "elasticbeanstalk:environment-name",
    "elasticmapreduce.amazonaws.com": "aws:elasticmapreduce:job-flow-id",
    "spotfleet.amazonaws.com": "aws:ec2spot:fleet-request-id",
}
# These call with the identity of whoever asked them to; the console does, too.
_KEEPS_CALLER = frozenset({"cloudformation.amazonaws.com", "servicecatalog.amazonaws.com", "signin.amazonaws.com"})

# Session names that tools and services make up.
_GENERATED = re.compile(
    r"""(?ix)
    i-[0-9a-f]{8,17}                                             # an instance's profile
    | [0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}
    | (?=[a-f]*[0-9])[0-9a-f]{12,} | [0-9._-]+
    | .*[0-9]{10,}.*                                             # a moment, as most SDKs add it
    | (boto(core|3)|aws-?(sdk|go|cli|cdk|codebuild|cloudformation|codepipeline|batch|config)|cdk|codebuild|default|temp)
      ([-_].*)?
    | (assume-?role-?|role-?|my-?|test-?|cli-?)?session[-_]?[0-9]*
    | autoscaling | sc-[0-9]{12}-pp-.* | ecs-.* | eks-.* | github-?actions | gitlab(-ci)? | jenkins | terraform([-_].*)?
    | ec2(fleet|spot)?(-?session)? | fleetsession | ssm | cloudformation | servicecatalog | lambda
    """
)
_SERVICE_ROLE = re.compile(r":role/aws-service-role/([^/]+)/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


class Creator(NamedTuple):
    """Who launched an instance, and how that is known. Without a name it is not known, and the evidence says why."""

    name: str
    evidence: str


def launches(event: Mapping[str, Any]) -> dict[str, Creator | None]:
    """Return who launched each instance of an event: one of LookupEvents, which holds the record as text, or one of
    EventBridge, which holds it as its detail. Other and failed events give nothing, and nothing is raised."""
    record = _record(event)
    if _text(record, "eventName") != "RunInstances" or record.get("errorCode") or record.get("errorMessage"):
        return {}
    evidence = _evidence(record, event)
    requested = _requested_tags(record)
    creators: dict[str, Creator | None] = {}
    known: dict[tuple[str, str], Creator] = {}  # one event can launch a thousand
    for instance_id, tags in _launched(record, event):
        name, by = _identity(record, tags | requested)
        if (name, by) not in known:
            shown = f"CloudTrail: RunInstances by {by}{evidence}" if name else f"{by}{evidence}"
            known[name, by] = Creator(_clean(name), _CONTROL.sub(" ", shown))
        creators[instance_id] = known[name, by]
    return creators


# --- The identity -----------------------------------------------------------------------------------------------------


def _identity(record: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str, str]:
    """Return the name, and in words what it was taken from; without a name the words say why there is none."""
    identity = _mapping(record, "userIdentity")
    kind = _text(identity, "type")
    issuer = _mapping(identity, "sessionContext", "sessionIssuer")
    service = _service(identity, issuer)
    through = f" through {_SERVICES.get(service, service)}" if service and service != "signin.amazonaws.com" else ""
    is_own = kind == "AWSService" or bool(_SERVICE_ROLE.search(_text(issuer, "arn")))
    # Before there were service-linked roles, services called as the root account.
    is_own = is_own or service == "autoscaling.amazonaws.com" or (kind == "Root" and service not in _KEEPS_CALLER)
    if service and is_own:
        name = _SERVICES.get(service, service)
        behalf = tags.get(_BEHALF.get(service, ""), "")
        return (f"{name}: {behalf}", f"{name}, {behalf}") if behalf else (name, name)
    name, by = _caller(kind, identity, issuer)
    return name, f"{by}{through}" if name else by


def _caller(kind: str, identity: Mapping[str, Any], issuer: Mapping[str, Any]) -> tuple[str, str]:
    account = _text(identity, "accountId")
    user = _text(identity, "userName") or _last(_text(identity, "arn"))
    match kind:
        case "Root":
            return "root account", f"the root account{f' {account}' if account else ''}"
        case "IAMUser" if user:
            return user, f"user {user}"
        case "AssumedRole":
            return _session(identity, issuer)
        case "Role" if role := _last(_text(identity, "arn")):
            return role, f"role {role}"
        case "FederatedUser":
            name = _last(_text(identity, "arn")) or _text(identity, "principalId").partition(":")[2]
            lender = _text(issuer, "userName")
            if name:
                return name, f"federated user {name}{f' of {lender}' if lender else ''}"
        case "SAMLUser" | "WebIdentityUser" | "Directory":
            name = _text(identity, "userName") or _text(identity, "principalId").rpartition(":")[2]
            if name:
                return name, f"{kind} {name}"
        case "IdentityCenterUser":
            number = _text(identity, "onBehalfOf", "userId")
            if name := _text(identity, "userName") or (f"Identity Center user {number}" if number else ""):
                return name, name if name.startswith("Identity") else f"Identity Center user {name}"
        case "AWSAccount" if account:
            return f"account {account}", f"another account, {account}"
        case "AWSService":
            return "", "the event does not name the service"
    if not kind:
        return "", "the event names no identity"
    return "", f"the event's identity, of type {kind}, has no name"


def _session(identity: Mapping[str, Any], issuer: Mapping[str, Any]) -> tuple[str, str]:
    """Name the person behind a role's session or, if there is none to be seen, the role."""
    # arn:aws:sts::123456789012:assumed-role/Developers/mary@example.com
    parts = _text(identity, "arn").split("/")
    role = _text(issuer, "userName") or (parts[1] if len(parts) > 2 else "")
    session = parts[-1] if len(parts) > 2 else _text(identity, "principalId").partition(":")[2]
    source = _text(identity, "sessionContext", "sourceIdentity")
    words = f"assumed role {role or 'without a name'}"
    if session:
        words += f", session {session}"
    if source:
        # Whoever set it vouches for it: unlike the session's name, later sessions cannot change it.
        return source, f"{words}, source identity {source}"
    if session and (role.startswith("AWSReservedSSO_") or "@" in session or not _GENERATED.fullmatch(session)):
        return session, words
    if role:
        return role, words
    return "", "the event names neither the role nor a person's session"


def _service(identity: Mapping[str, Any], issuer: Mapping[str, Any]) -> str:
    """Return the principal of the service that called, such as autoscaling.amazonaws.com."""
    linked = _SERVICE_ROLE.search(_text(issuer, "arn"))
    if linked:
        return linked[1]
    service = _text(identity, "invokedBy")
    return "" if service == "AWS Internal" else service


# --- The event --------------------------------------------------------------------------------------------------------


def _record(event: Mapping[str, Any]) -> Mapping[str, Any]:
    text = event.get("CloudTrailEvent")
    if isinstance(text, str):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, Mapping) else {}
    return _mapping(event, "detail")


def _launched(record: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the ids of the launched instances with their tags. A response that was too long for CloudTrail is left out
    of the record, but LookupEvents still lists the instances."""
    found = False
    for one in _items(record, "responseElements", "instancesSet"):
        if instance_id := _text(one, "instanceId"):
            found = True
            yield instance_id, _tags(_items(one, "tagSet"))
    resources = event.get("Resources")
    if not found and isinstance(resources, list):
        for one in resources:
            if _text(one, "ResourceType") == "AWS::EC2::Instance" and (instance_id := _text(one, "ResourceName")):
                yield instance_id, {}


def _requested_tags(record: Mapping[str, Any]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for one in _items(record, "requestParameters", "tagSpecificationSet"):
        if _text(one, "resourceType") == "instance":
            given = one.get("tags")
            tags |= _tags(given if isinstance(given, list) else _items(one, "tags"))
    return tags


def _tags(items: list[Any]) -> dict[str, str]:
    return {_text(one, "key"): _text(one, "value") for one in items if _text(one, "key")}


def _evidence(record: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    text = _text(record, "eventTime")
    event_id = _text(record, "eventID") or _text(event, "EventId")
    try:
        at = f", at {datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        at = ""
    return f"{at}{f' (event {event_id})' if event_id else ''}"


# --- JSON of any shape ------------------------------------------------------------------------------------------------


def _mapping(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _text(value: Any, *path: str) -> str:
    found = _mapping(value, *path[:-1]).get(path[-1])
    return found.strip() if isinstance(found, str) else ""


def _items(value: Any, *path: str) -> list[Any]:
    items = _mapping(value, *path).get("items")
    return items if isinstance(items, list) else []


def _last(arn: str) -> str:
    return arn.rpartition("/")[2] if "/" in arn else ""


def _clean(name: str) -> str:
    name = _CONTROL.sub(" ", name).strip()
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}…"
