"""The two protocols in which AppStream is called: boto3 speaks RPC v2 with CBOR, the AWS CLI JSON 1.1.

Reference: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html and
https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.localcloud.standins import appstream_cbor
from portal.localcloud.standins.appstream_errors import Refused, malformed
from portal.localcloud.standins.faults import Reply

SERVICE = "PhotonAdminProxyService"
_NAMESPACE = "com.amazonaws.appstream#"
_RPC_PATH = re.compile(rf"/service/{SERVICE}/operation/(\w+)/?")
_RPC = "rpc-v2-cbor"


@dataclass(frozen=True)
class Protocol:
    """How a call was made, and so how it is answered."""

    is_cbor: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Protocol":
        return cls(headers.get("smithy-protocol") == _RPC)

    def action(self, path: str, headers: Mapping[str, str]) -> str:
        """Return the operation that is called, "" for none."""
        if self.is_cbor:
            found = _RPC_PATH.fullmatch(path)
            return found[1] if found else ""
        service, _, action = headers.get("x-amz-target", "").rpartition(".")
        return action if service == SERVICE else ""

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the parameters of a call. Raises Refused with a SerializationException."""
        try:
            content = (appstream_cbor.decode if self.is_cbor else json.loads)(body) if body else {}
        except (ValueError, RecursionError) as wrong:
            raise malformed(str(wrong)) from wrong
        if not isinstance(content, dict):
            raise malformed("Start of structure or map found where not expected.")
        return content

    def answer(self, content: dict[str, Any]) -> Reply:
        return self._reply(200, content)

    def refusal(self, refused: Refused, status: int) -> Reply:
        """Return an error. The errors of the service's model have a Message, those of all services a message."""
        common = refused.code in ("ValidationException", "SerializationException", "UnknownOperationException")
        name = f"{_NAMESPACE}{refused.code}" if self.is_cbor else refused.code
        return self._reply(status, {"__type": name, "message" if common else "Message": refused.message})

    def _reply(self, status: int, content: dict[str, Any]) -> Reply:
        if self.is_cbor:
            return Reply(status, dict(appstream_cbor.HEADERS), appstream_cbor.encode(content))
        body = json.dumps(content, default=_seconds).encode()
        return Reply(status, {"Content-Type": "application/x-amz-json-1.1"}, body)


def _seconds(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"no JSON for {type(value).__name__}")
