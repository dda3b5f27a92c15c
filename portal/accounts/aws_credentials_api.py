"""AWS credentials for programs: what the AWS CLI's and the SDKs' `credential_process` wants to read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from django.http import HttpRequest
from ninja import Body, Router, Schema
from ninja.errors import AuthenticationError, HttpError
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from portal.accounts import command_line, credentials, iam, issued
from portal.accounts.models import User
from portal.accounts.refusals import SignedOut

router = Router(tags=["AWS"])


class Wanted(Schema):
    """Which of the caller's roles; without one, the role that the token prefers."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)

    role_arn: str | None = Field(default=None, max_length=2048)


class ProcessOutput(Schema):
    """Credentials as `credential_process` prints them."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)

    version: Literal[1]
    access_key_id: str
    secret_access_key: str = Field(repr=False)
    session_token: str = Field(repr=False)
    expiration: datetime


@router.post(
    "",
    response=ProcessOutput,
    by_alias=True,
    operation_id="post_aws_credentials",
    summary="Take AWS credentials",
    url_name="aws-credentials",
)
def take(request: HttpRequest, wanted: Body[Wanted | None] = None) -> ProcessOutput:
    """Return an hour's credentials of the caller's own. Each taking is in the audit log, without the secret."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - Caller saw to it
    arns = credentials.roles(user)
    arn = (wanted and wanted.role_arn) or arns[0]
    if arn not in arns:
        raise HttpError(403, "That is none of your roles.")
    [role] = iam.describe([arn])
    now = datetime.now(UTC)
    try:
        given, _ = credentials.fresh(request, role_arn=arn)
    except SignedOut as error:
        raise AuthenticationError(message="Sign in anew, and send the new ID token.") from error
    issued.record(user, given, role=role.name, form="a program", now=now)
    return ProcessOutput.model_validate(command_line.process_output(given))
