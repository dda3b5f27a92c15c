"""The JSON API: what is common to all of it. Its paths are in each app's api.py."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from approvals.api import router as approvals
from documents.api import preview_router as preview
from documents.api import router as documents
from portal import api_docs
from portal.accounts.api import Caller
from portal.accounts.api import router as me
from portal.accounts.aws_credentials_api import router as aws_credentials
from portal.dynamo.table import BadCursor
from portal.errors import Failure
from portal.middleware import reference
from portal.streaming.api import router as streaming
from rides.api import router as rides

JSON = "application/json"


# Every operation may answer these. Others (404, 409 …) an operation declares itself.
COMMON_ERRORS = (400, 401, 403, 404, 413, 415, 500, 503)


class StrictJson(Parser):
    """An object in JSON as its standard has it: NaN, Infinity and numbers that no float can hold are refused."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        body = json.loads(request.body, parse_constant=_refuse, parse_float=_finite)
        if not isinstance(body, dict):
            raise NotAcceptable("it must be an object, such as {}")
        return body


class NotAcceptable(ValueError):
    """JSON, or nearly, but not what this API takes."""


def _refuse(constant: str) -> float:
    raise NotAcceptable(f"{constant} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


class Api(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**kwargs)
        schema = Failure.model_json_schema()
        document["components"].setdefault("schemas", {})["Failure"] = schema
        for operations in document["paths"].values():
            for operation in operations.values():
                for status in COMMON_ERRORS:
                    operation["responses"].setdefault(
                        str(status),
                        {
                            "description": HTTPStatus(status).phrase,
                            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Failure"}}},
                        },
                    )
        return document


def error(status: int, message: str) -> JsonResponse:
    """Return the answer to a request that failed."""
    return JsonResponse({"Error": message, "Reference": reference.get()}, status=status)


def json_only(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse a body that is not declared as JSON."""

    @wraps(run)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.META.get("CONTENT_LENGTH") not in (None, "", "0") and request.content_type != JSON:
            return error(415, f"The body must be sent as Content-Type: {JSON}.")
        return run(request, *args, **kwargs)

    return checked


api = Api(
    title="Portico",
    version="1",
    description="Ask for unicorns, keep documents, make PDFs, answer approvals, start applications. "
    "Sign in with an ID token of the user pool.",
    auth=Caller(),
    parser=StrictJson(),
    openapi_url="/api/openapi.json",
    docs_url="/api/docs",
    docs=api_docs.Page(),
    urls_namespace="api",
)
api.add_decorator(json_only, mode="view")


# --- What can go wrong ------------------------------------------------------------------------------------------------


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, exception: ValidationError) -> HttpResponse:
    """Name the field: ("body", "request", "PickupLocation", "Latitude") is PickupLocation.Latitude to the caller."""
    problem = exception.errors[0]
    place, *path = problem["loc"]
    field = ".".join(str(part) for part in path[place == "body" :])
    return error(400, f"{field or place}: {problem['msg'].removeprefix('Value error, ')}.")


@api.exception_handler(AuthenticationError)
def unauthenticated(request: HttpRequest, exception: AuthenticationError) -> HttpResponse:
    message = exception.message
    if message == "Unauthorized":
        # The first words are those of the published handlers, which answer 500 with them.
        message = "Authorization not configured: send an ID token in the Authorization header, or sign in."
    answer = error(401, message)
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, exception: HttpError) -> HttpResponse:
    message = exception.message
    if message.startswith("Cannot parse request body"):
        cause = exception.__cause__
        why = f": {cause}" if isinstance(cause, (json.JSONDecodeError, NotAcceptable)) else ""
        message = f"The body is not JSON that this API takes{why}."
    return error(exception.status_code, message)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, exception: Http404) -> HttpResponse:
    return error(404, str(exception) or "There is nothing here.")


@api.exception_handler(PermissionDenied)
def denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return error(403, str(exception) or "That is not allowed.")


@api.exception_handler(BadCursor)
def bad_cursor(request: HttpRequest, exception: BadCursor) -> HttpResponse:
    return error(400, "cursor: It was not given by this list.")


@api.exception_handler(RequestDataTooBig)
def too_big(request: HttpRequest, exception: RequestDataTooBig) -> HttpResponse:
    return error(413, "The body is too large.")


@api.exception_handler(SuspiciousOperation)
@api.exception_handler(BadRequest)
@api.exception_handler(UnreadablePostError)
def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error(400, "That request was not understood.")


@api.exception_handler(Exception)
def unexpected(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Leave it to portal.errors.server_error, in debug mode too: ninja would answer with a traceback."""
    raise exception


api.add_router("", me)
api.add_router("/ride", rides)
api.add_router("/api/aws-credentials", aws_credentials)
api.add_router("/documents", documents)
api.add_router("/preview", preview)
api.add_router("/approvals", approvals)
api.add_router("/streaming-url", streaming)
