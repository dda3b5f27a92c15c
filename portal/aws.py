"""The AWS clients, made once and shared, and the one question asked of their failures: is it worth another try?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected
from django.conf import settings

from portal.dynamo.client import DynamoDB
from portal.streaming.client import AppStream

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cognito_identity import CognitoIdentityClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client, S3ServiceResource
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient

# API Gateway gives up after 29 seconds, and a request makes up to three calls: two tries of four seconds for each
# leave time to say so.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=20,
)
# Links into S3 are signed as everything else is; botocore signs them in an older way where it is not told.
_S3 = Config(signature_version="s3v4")

# Outside of requests there is time: a throttled call slows the next ones down and is tried again for minutes.
_PATIENT = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "adaptive", "total_max_attempts": 6},
    max_pool_connections=20,
)

# GetActivityTask holds a question for 60 seconds; AWS says to wait five longer.
_LONG_POLL = Config(read_timeout=65)

_TRANSIENT_CODES = frozenset(
    {
        # An identity pool's and STS's words for an identity provider that did not answer.
        "ExternalServiceException",
        "IDPCommunicationError",
        "InternalError",
        "InternalErrorException",
        "InternalServerError",
        "InternalFailure",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestLimitExceededException",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class Busy(Exception):
    """Others were changing the same items for as long as a request may take. Trying again will help."""


class Unavailable(Exception):
    """An outside service that is not spoken to through boto3 failed in a way that passes."""


# botocore's sessions are not made for two threads that make clients.
_making = threading.Lock()


# One session: a client in a session of its own loads botocore's data again.
@cache
def session() -> botocore.session.Session:
    made = botocore.session.Session()
    made.set_config_variable("region", settings.AWS_REGION)
    return made


@cache
def _boto3() -> Any:
    # The JSON API never needs boto3 itself, and it takes as long to import as the rest of the portal's AWS code.
    import boto3

    return boto3.Session(botocore_session=session())


@overload
def client(service: Literal["dynamodb"]) -> DynamoDB: ...
@overload
def client(service: Literal["appstream"]) -> AppStream: ...
@overload
def client(service: Literal["cognito-idp"]) -> CognitoIdentityProviderClient: ...
@overload
def client(service: Literal["cognito-identity"]) -> CognitoIdentityClient: ...
@overload
def client(service: Literal["iam"]) -> IAMClient: ...
@overload
def client(service: Literal["s3"]) -> S3Client: ...
@overload
def client(service: Literal["sesv2"]) -> Any: ...
@overload
def client(service: Literal["sns"]) -> SNSClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...
@overload
def client(service: Literal["stepfunctions"]) -> Any: ...
@overload
def client(service: Literal["sts"]) -> STSClient: ...
@cache
def client(service: str) -> Any:
    """Return the process's client of an AWS service, e.g. "dynamodb"."""
    if service == "dynamodb":
        return DynamoDB(session())
    if service == "appstream":
        return AppStream(session())
    with _making:
        return _boto3().client(service, config=_config(service, _CONFIG))


@overload
def client_in(service: Literal["cloudtrail"], region: str) -> CloudTrailClient: ...
@overload
def client_in(service: Literal["ec2"], region: str) -> EC2Client: ...
@overload
def client_in(service: Literal["s3"], region: str) -> S3Client: ...
@overload
def client_in(service: Literal["sqs"], region: str) -> SQSClient: ...
@overload
def client_in(service: Literal["stepfunctions"], region: str) -> Any: ...
@cache
def client_in(service: str, region: str) -> Any:
    """Return the process's patient client of a service in a region, for what nobody waits for."""
    with _making:
        config = _PATIENT.merge(_LONG_POLL) if service == "stepfunctions" else _config(service, _PATIENT)
        return _boto3().client(service, region_name=region, config=config)


def client_with(service: str, *, key_id: str, secret: str, token: str) -> Any:
    """Return a client of a person's own credentials. In the process's session, whose data botocore has read already,
    it takes 20 ms instead of 200."""
    if service == "dynamodb":
        return client("dynamodb").signing_as(Credentials(key_id, secret, token))
    with _making:
        return _boto3().client(
            service,
            config=_config(service, _CONFIG),
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )


def s3_resource(client: S3Client) -> S3ServiceResource:
    """Return boto3's resource of S3 around a client. It is of one thread; the client may be everybody's."""
    made: S3ServiceResource = _s3_resource()(client=client)
    return made


@cache
def _s3_resource() -> Any:
    with _making:
        return type(_boto3().resource("s3"))


def _config(service: str, config: Config) -> Config:
    return config.merge(_S3) if service == "s3" else config


def error_code(error: ClientError) -> str:
    """Return AWS's name of the error, e.g. "ConditionalCheckFailedException"."""
    return error.response.get("Error", {}).get("Code", "")


def refused(error: BaseException) -> str:
    """Say what AWS refused and why, or nothing if the error is not AWS's."""
    return f"AWS refused {error.operation_name}: {error_code(error)}." if isinstance(error, ClientError) else ""


@contextmanager
def suppress_transient() -> Iterator[None]:
    """Go on without what failed for a reason that passes."""
    try:
        yield
    except Exception as error:
        if not is_transient(error):
            raise


def is_transient(error: BaseException | None) -> bool:
    """Tell whether a call failed for a reason that passes: throttling, a timeout, a lost reply, a 5xx of AWS.

    The client has already tried again by the time it raises.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error_code(error) in _TRANSIENT_CODES
    return isinstance(error, (Busy, NotConnected, HTTPClientError, Unavailable))
