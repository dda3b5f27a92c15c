"""Which other web sites' scripts may call the JSON API: exactly settings.API_ALLOWED_ORIGINS, and never with cookies.

Reference: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from portal.errors import is_api


class Cors:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if preflight else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if origin in settings.API_ALLOWED_ORIGINS:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Retry-After, X-Reference"
            if preflight:
                response["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
                response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Idempotency-Key"
                response["Access-Control-Max-Age"] = "600"
        return response
