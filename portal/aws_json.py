"""A client of services that speak AWS JSON, for the calls that requests wait for: a third of the CPU that botocore's
client takes.

The wire format is the JSON that the portal builds and reads anyway, so nothing is lost by not walking it through
botocore's service model. botocore still signs and finds and renews the credentials; urllib3 speaks HTTP.
docs/decisions/0007-own-dynamodb-client.md has the measurements.

Reference: https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.session import Session

if TYPE_CHECKING:
    from typing import Self

# A call is tried three times, as long as the request has time.
TRIES = 3
CONNECT_SECONDS, READ_SECONDS = 2.0, 5.0
PAUSE_SECONDS = 0.05

# When the request at hand must be answered, by time.monotonic(); None outside of requests.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def time_of_its_own(seconds: float) -> Iterator[None]:
    """Let the calls within have so many seconds, whatever the request has: less for what is not needed, or a little
    more for saying what went wrong."""
    token = deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        deadline.reset(token)


_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})


class AwsJson:
    """A service's calls. They raise what boto3's raise: ClientError, or HTTPClientError where no answer came."""

    # What the service is called in a signature, in its address, and in X-Amz-Target; and the version of its JSON.
    service: ClassVar[str]
    host: ClassVar[str]
    target: ClassVar[str]
    version: ClassVar[str]
    # AWS's names of errors that pass, besides those that all services have.
    passing: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, session: Session) -> None:
        region = session.get_config_variable("region")
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = (
            os.environ.get(f"AWS_ENDPOINT_URL_{self.service.upper()}")
            or os.environ.get("AWS_ENDPOINT_URL")
            or f"https://{self.host}.{region}.{suffix}"
        ).rstrip("/") + "/"
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        self._credentials, self._region = credentials, region
        # Is called with AWS's name of each error that AWS answers.
        self.on_error: Callable[[str], None] | None = None
        address = urllib3.util.parse_url(self._url)
        if address.scheme == "https":
            # One context for all connections: reading the certificates takes 20 ms.
            bundle = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
            self._pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                address.host or "", address.port, maxsize=64, ssl_context=ssl.create_default_context(cafile=bundle)
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(address.host or "", address.port, maxsize=64)

    def signing_as(self, credentials: Credentials) -> Self:
        """Return a client of somebody else's credentials, which shares this one's connections."""
        other = copy.copy(self)
        other._credentials = credentials
        other.on_error = None
        return other

    def _call(self, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(parameters).encode()
        for tries in range(1, TRIES + 1):
            # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
            pause = random.uniform(0, PAUSE_SECONDS * 2**tries)  # noqa: S311
            is_last = tries == TRIES
            try:
                return self._try(action, body)
            except ClientError as error:
                if is_last or not self._is_passing(error) or _seconds_left() < pause:
                    raise
            except urllib3.exceptions.HTTPError as error:
                if is_last or _seconds_left() < pause:
                    raise HTTPClientError(error=error) from error
            time.sleep(pause)
        raise AssertionError

    def _try(self, action: str, body: bytes) -> dict[str, Any]:
        left = _seconds_left()
        if left <= 0:
            raise HTTPClientError(error="the request's time is up")
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=min(READ_SECONDS, left))
        headers = {
            "Content-Type": f"application/x-amz-json-{self.version}",
            "X-Amz-Target": f"{self.target}.{action}",
        }
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        # Frozen: key, secret and token of one and the same renewal.
        SigV4Auth(self._credentials.get_frozen_credentials(), self.service, self._region).add_auth(request)
        answer = self._pool.urlopen(
            "POST", "/", body, dict(request.headers.items()), retries=False, redirect=False, timeout=timeout
        )
        checksum = answer.headers.get("x-amz-crc32")
        if checksum and int(checksum) != zlib.crc32(answer.data):
            raise urllib3.exceptions.ProtocolError("The answer was damaged on its way.")
        try:
            content = json.loads(answer.data)
        except ValueError:
            content = {}
        if answer.status == 200:
            return content  # type: ignore[no-any-return]
        described = _described(content, answer)
        if self.on_error:
            self.on_error(described["Error"]["Code"])
        raise ClientError(described, action)

    def _is_passing(self, error: ClientError) -> bool:
        answer: Any = error.response
        code = answer["Error"]["Code"]
        return answer["ResponseMetadata"]["HTTPStatusCode"] >= 500 or code in _THROTTLED or code in self.passing


def _seconds_left() -> float:
    until = deadline.get()
    return math.inf if until is None else until - time.monotonic()


def _code(content: dict[str, Any], answer: urllib3.BaseHTTPResponse) -> str:
    """Return AWS's name of an error: services write it as com.amazonaws…#Name, as Name, or as Name:http://…"""
    said = content.get("__type") or answer.headers.get("x-amzn-ErrorType") or str(answer.status)
    return str(said).rpartition("#")[2].partition(":")[0]


def _described(content: dict[str, Any], answer: urllib3.BaseHTTPResponse) -> Any:
    """Return an error's answer in boto3's shape."""
    return {
        **content,
        "Error": {
            "Code": _code(content, answer),
            "Message": content.get("message") or content.get("Message") or "",
        },
        "ResponseMetadata": {
            "HTTPStatusCode": answer.status,
            "RequestId": answer.headers.get("x-amzn-RequestId", ""),
        },
    }
