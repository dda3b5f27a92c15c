"""Streaming URLs as JSON: the contract of the published article."""

from __future__ import annotations

from typing import Annotated

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from ninja.errors import HttpError
from ninja.responses import Status
from pydantic import Field, StringConstraints

from portal.accounts.models import User
from portal.errors import Failure
from portal.middleware import reference
from portal.streaming import launching

router = Router(tags=["Streaming"])


class StreamingRequest(Schema):
    """What is to be started, and nothing of who or where: stack, fleet and user come from the server."""

    Application: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="Its id in the catalogue, or what AppStream calls it; not needed by who has one, or a default",
    )
    SessionContext: Annotated[str, StringConstraints(min_length=1, max_length=launching.LONGEST_CONTEXT)] | None = (
        Field(default=None, description="What the session's programs are told")
    )


class StreamingAnswer(Schema):
    Message: str = Field(description="The streaming URL. It works once, for some seconds, for whoever has it")
    Reference: str


@router.post(
    "", response={201: StreamingAnswer, 409: Failure}, operation_id="post_streaming_url", summary="Start an application"
)
def create_streaming_url(request: HttpRequest, body: StreamingRequest | None = None) -> Status[StreamingAnswer]:
    """The caller's groups decide what they may start. 409: it is stopped, full or being started; the error says so."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - Caller saw to it
    asked = body or StreamingRequest()
    try:
        application = launching.chosen(asked.Application or "", by=user)
        # In no variable: an error report would show those.
        return Status(
            201,
            StreamingAnswer(
                Message=launching.launch_url(
                    application, by=user, now=timezone.now(), context=asked.SessionContext or ""
                ),
                Reference=reference.get(),
            ),
        )
    except launching.NotThere as error:
        raise Http404(str(error)) from error
    except launching.NotForYou as error:
        raise PermissionDenied(str(error)) from error
    except launching.Unnamed as error:
        raise HttpError(400, str(error)) from error
    except launching.CannotStart as error:
        raise HttpError(409, str(error)) from error
