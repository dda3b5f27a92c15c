"""Recognise which AWS service and action a request is for, and count them: what AWS would bill."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

# The service names of a signature's credential scope and of an X-Amz-Target prefix, as boto3 spells its
# clients.
SERVICE_OF_TARGET = {
    "AWSCognitoIdentityProviderService": "cognito-idp",
    "AWSCognitoIdentityService": "cognito-identity",
    "DynamoDB": "dynamodb",
    "DynamoDBStreams": "dynamodbstreams",
    "AmazonSQS": "sqs",
    "AWSStepFunctions": "stepfunctions",
    "AWSEvents": "events",
    "AmazonSSM": "ssm",
    "PhotonAdminProxyService": "appstream",
    "Logs": "logs",
    "CloudTrail": "cloudtrail",
}
SERVICE_OF_SCOPE = {
    "ses": "ses",
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "execute-api": "execute-api",
}
# Calls that need no signature, so that they name no service.
UNSIGNED_ACTIONS = {"AssumeRoleWithSAML": "sts", "AssumeRoleWithWebIdentity": "sts"}
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_S3_SUBRESOURCES = (
    "uploads",
    "uploadId",
    "delete",
    "versioning",
    "versions",
    "tagging",
    "policy",
    "cors",
    "lifecycle",
    "acl",
)


@dataclass(frozen=True)
class AwsCall:
    """One call as boto3 names it: the client's service and the API's action, "GetObject" or "PutItem"."""

    service: str
    action: str


def identify(
    method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str], body: bytes
) -> AwsCall:
    """Return the AWS call a request makes.

    Reads the X-Amz-Target header (JSON protocols), else the Action form field (query protocols), else the
    method and path (REST protocols, where the action is "METHOD /path" unless it is a common one of S3).
    """
    scope = _SCOPE.search(headers.get("authorization", ""))
    scoped = scope.group(1) if scope else _presigned_scope(query)
    target, _, action = headers.get("x-amz-target", "").rpartition(".")
    if action:
        name = re.split(r"[_.]", target.rsplit(".", 1)[-1])[0]
        return AwsCall(SERVICE_OF_TARGET.get(name) or SERVICE_OF_SCOPE.get(scoped, scoped) or name, action)
    if "smithy-protocol" in headers:
        return AwsCall(SERVICE_OF_SCOPE.get(scoped, scoped), path.rstrip("/").rpartition("/")[2])
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(body.decode("utf-8", "replace"))
        if "Action" in fields:
            unsigned = UNSIGNED_ACTIONS.get(fields["Action"][0], "unsigned")
            return AwsCall(SERVICE_OF_SCOPE.get(scoped, scoped) or unsigned, fields["Action"][0])
    if "Action" in query:
        return AwsCall(SERVICE_OF_SCOPE.get(scoped, scoped) or "unsigned", query["Action"][0])
    if scoped == "s3":
        return AwsCall("s3", _s3_action(method, path, query, headers))
    if scoped == "ses":
        return AwsCall("sesv2", _sesv2_action(method, path))
    return AwsCall(SERVICE_OF_SCOPE.get(scoped, scoped) or "unsigned", f"{method} {path}")


def _presigned_scope(query: Mapping[str, list[str]]) -> str:
    credential = query.get("X-Amz-Credential", [""])[0].split("/")
    return credential[3] if len(credential) == 5 else ""


def _s3_action(method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    subresource = next((name for name in _S3_SUBRESOURCES if name in query), "")
    has_key = bool(path.strip("/").partition("/")[2])
    noun = "Object" if has_key else "Bucket"
    if subresource in ("uploads", "uploadId"):
        return {
            "POST": "CreateMultipartUpload" if subresource == "uploads" else "CompleteMultipartUpload",
            "PUT": "UploadPart",
            "DELETE": "AbortMultipartUpload",
        }.get(method, "ListParts")
    if subresource in ("delete", "versions"):
        return {"delete": "DeleteObjects", "versions": "ListObjectVersions"}[subresource]
    if subresource:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method, method)
        return f"{verb}{noun}{subresource.capitalize()}"
    if path == "/":
        return "ListBuckets"
    if has_key and method == "PUT" and "x-amz-copy-source" in headers:
        return "CopyObject"
    if not has_key and method == "GET":
        return "ListObjectsV2" if "list-type" in query else "ListObjects"
    verbs = {
        "GET": "Get",
        "PUT": "Put" if has_key else "Create",
        "HEAD": "Head",
        "DELETE": "Delete",
        "POST": "Post",
    }
    return f"{verbs.get(method, method)}{noun}"


def _sesv2_action(method: str, path: str) -> str:
    if path == "/v2/email/outbound-emails":
        return "SendEmail"
    return f"{method} {path}"


class CallCounter:
    """How often each service and action was called since the last clear."""

    def __init__(self) -> None:
        self._counts: Counter[AwsCall] = Counter()

    def add(self, call: AwsCall) -> None:
        self._counts[call] += 1

    def clear(self) -> None:
        self._counts.clear()

    def as_json(self) -> dict[str, object]:
        """Return {"total": n, "services": {service: {action: n}}}."""
        services: dict[str, dict[str, int]] = {}
        for call, count in sorted(self._counts.items(), key=lambda item: (item[0].service, item[0].action)):
            services.setdefault(call.service, {})[call.action] = count
        return {"total": self._counts.total(), "services": services}
