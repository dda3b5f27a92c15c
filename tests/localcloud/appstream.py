"""Fleets, stacks and streaming URLs, as the tests of the AppStream stand-in need them."""

import json
from dataclasses import dataclass
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import urllib3

from tests.localcloud.running_cloud import ACCOUNT_ID, ADMINISTRATOR, REGION, RunningCloud

FLEET: dict[str, Any] = {
    "InstanceType": "stream.standard.medium",
    "ImageName": "an-image",
    "ComputeCapacity": {"DesiredInstances": 2},
}
ELASTIC: dict[str, Any] = {
    "InstanceType": "stream.standard.medium",
    "FleetType": "ELASTIC",
    "Platform": "AMAZON_LINUX2",
    "MaxConcurrentSessions": 2,
    "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"]},
}
CONTROL = "/_portico/streaming"
# A region's client is made once: making it costs more than most calls.
_clients: dict[tuple[str, str], Any] = {}


@dataclass
class Streams:
    """A test's own fleets and stacks, in a region of its own."""

    cloud: RunningCloud
    name: str
    region: str = REGION

    @property
    def api(self) -> Any:
        at = self.cloud.endpoint, self.region
        if at not in _clients:
            _clients[at] = self.cloud.client("appstream", region=self.region)
        return _clients[at]

    def arn(self, kind: str, name: str = "") -> str:
        return f"arn:aws:appstream:{self.region}:{ACCOUNT_ID}:{kind}/{name or self.name}"

    def make_fleet(self, name: str = "", **properties: Any) -> Any:
        """Create a fleet of two instances, or as told; return what the call returns of it."""
        given = ELASTIC if properties.get("FleetType") == "ELASTIC" else FLEET
        return self.api.create_fleet(Name=name or self.name, **{**given, **properties})["Fleet"]

    def make(self, *, domains: list[str] | None = None, **properties: Any) -> None:
        """Make a stack with a fleet that runs, both of the test's name."""
        self.make_fleet(**properties)
        self.api.create_stack(Name=self.name, **({"EmbedHostDomains": domains} if domains else {}))
        self.api.associate_fleet(FleetName=self.name, StackName=self.name)
        self.api.start_fleet(Name=self.name)

    def fleet(self, name: str = "") -> Any:
        return self.api.describe_fleets(Names=[name or self.name])["Fleets"][0]

    def capacity(self) -> dict[str, int]:
        found: dict[str, int] = self.fleet()["ComputeCapacityStatus"]
        return found

    def url(self, user_id: str = "ada", **options: Any) -> str:
        answer = self.api.create_streaming_url(FleetName=self.name, StackName=self.name, UserId=user_id, **options)
        return str(answer["StreamingURL"])

    def sessions(self, **filters: Any) -> Any:
        return self.api.describe_sessions(FleetName=self.name, StackName=self.name, **filters)["Sessions"]

    def control(self, **seconds: float) -> Any:
        return self.cloud.control("POST", CONTROL, seconds)


def fetch(url: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
    """Ask for a page as a browser does, and return the answer whatever it is."""
    return urllib3.request(method, url, headers=headers, retries=False)


def call_in_json(
    cloud: RunningCloud, action: str, body: Any, *, region: str = REGION, key: tuple[str, ...] = ADMINISTRATOR
) -> tuple[int, dict[str, Any], Any]:
    """Call as the AWS CLI does: JSON 1.1, signed. Return the status, the answer and its headers."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    target = {"X-Amz-Target": f"PhotonAdminProxyService.{action}", "Content-Type": "application/x-amz-json-1.1"}
    return _signed(cloud, cloud.endpoint + "/", content, target, region, key, json.loads)


def call_in_cbor(
    cloud: RunningCloud, action: str, content: bytes, *, region: str = REGION, path: str = ""
) -> tuple[int, bytes, Any]:
    """Call as boto3 does, with a body of the test's own. Return the status, the answer and its headers."""
    headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
    path = path or f"/service/PhotonAdminProxyService/operation/{action}"
    return _signed(cloud, cloud.endpoint + path, content, headers, region, ADMINISTRATOR, bytes)


def _signed(
    cloud: RunningCloud,
    url: str,
    content: bytes,
    headers: dict[str, str],
    region: str,
    key: tuple[str, ...],
    read: Any,
) -> tuple[int, Any, Any]:
    request = botocore.awsrequest.AWSRequest("POST", url, headers=headers, data=content)
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(*key), "appstream", region).add_auth(request)
    answer = urllib3.request("POST", url, headers=dict(request.headers), body=content, retries=False)
    return answer.status, read(answer.data), answer.headers
