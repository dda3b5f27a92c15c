"""Reads every log line, every stored item and every page that the suite produces, and fails the test that leaks.

What must not be found: tokens, AWS credentials, codes, passwords, assertions and streaming URLs. They are known by what
they look like (a JWT is a JWT) or because they were seen where they are made or handed in.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import pytest
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# A JSON Web Token has three parts, an encrypted one (Cognito's refresh token) five. SAML is XML, or that in base 64.
PATTERNS = {
    "a token": re.compile(r"eyJ[\w-]{8,}(\.[\w-]{8,}){2,4}"),
    "an assertion": re.compile(r"<(?:\w+:)?Assertion[\s>]|PHNhbWxwO|PD94bWwg[\w+/]{80,}"),
}
HANDED_IN = ("password", "new_password", "SAMLResponse", "token")
CODE = "the code that was handed in"
# Who asks for credentials of their own or for a streaming URL is shown them, once; the laptop's pages say the sample
# people's password, and the partner system there is another one than the portal.
SHOWN_ON_PURPOSE = re.compile(r"^/(aws-access|api/aws-credentials|streaming-url|local|api/docs)")
# A link into the bucket carries the session token of whoever signed it, as AWS has it: without the secret, which the
# link does not have, it signs nothing. Such a link is given to its owner, and is in no log.
SIGNED_LINK = re.compile(r"X-Amz-Security-Token=[^&\s\"']+")
# The session is where tokens are kept.
KEEPS_TOKENS = "sessions"


@dataclass
class Watcher:
    """What one test produced, and the secrets that were seen meanwhile."""

    secrets: dict[str, str] = field(default_factory=dict)
    produced: list[tuple[str, str]] = field(default_factory=list)

    def knows(self, kind: str, secret: object) -> None:
        # A shorter one is found everywhere by chance: a six-digit code is not, between word boundaries.
        if isinstance(secret, str) and len(secret) >= 6:
            self.secrets[secret] = kind

    def reads(self, where: str, text: str) -> None:
        self.produced.append((where, text))

    def leaks(self) -> Iterator[str]:
        """Say what was found where, without repeating the secret."""
        for where, text in self.produced:
            for kind, pattern in PATTERNS.items():
                if pattern.search(text):
                    yield f"{kind} in {where}"
            for secret, kind in self.secrets.items():
                # A refused form gives the code back that was typed into it.
                if kind == CODE and where.startswith("the page"):
                    continue
                if secret in text and re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text):
                    yield f"{kind} in {where}"


watcher = Watcher()


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        watcher.reads(f"a log line of {record.name}", logging.Formatter().format(record))


_handler = _Handler()


def _watch_secrets() -> None:
    """Note what is made: Cognito's tokens, people's AWS credentials, streaming URLs."""
    from portal.accounts import cognito
    from portal.accounts.sts import Credentials
    from portal.streaming import appstream

    streaming_url = appstream.streaming_url

    @wraps(streaming_url)
    def noting_url(**parameters: str) -> str:
        url = streaming_url(**parameters)
        watcher.knows("a streaming URL", url.partition("parameters=")[2])
        return url

    appstream.streaming_url = noting_url

    def noting(init: Callable[..., None], names: tuple[str, ...]) -> Callable[..., None]:
        @wraps(init)
        def made(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            for name in names:
                watcher.knows(f"{type(self).__name__}.{name}", getattr(self, name))

        return made

    cognito.Tokens.__init__ = noting(cognito.Tokens.__init__, ("id", "access", "refresh"))  # type: ignore[method-assign]
    Credentials.__init__ = noting(Credentials.__init__, ("secret_access_key", "session_token"))  # type: ignore[method-assign]


def _watch_pages() -> None:
    """Read what the portal answers, whoever asks: the test client, a browser, Lambda's entry point."""
    from django.core.handlers.base import BaseHandler

    answered = BaseHandler.get_response

    @wraps(answered)
    def get_response(self: BaseHandler, request: HttpRequest) -> HttpResponseBase:
        response = answered(self, request)
        # What the view read; reading it here could fail where it is malformed.
        posted = request.__dict__.get("_post", {})
        for name in HANDED_IN:
            watcher.knows(f"the {name} that was handed in", posted.get(name))
        watcher.knows(CODE, posted.get("code"))
        watcher.knows("an authorization code", request.GET.get("code"))
        if not response.streaming and not SHOWN_ON_PURPOSE.match(request.path):
            page = response.content.decode(errors="replace")  # type: ignore[attr-defined]
            watcher.reads(f"the page {request.method} {request.path}", SIGNED_LINK.sub("", page))
        return response

    BaseHandler.get_response = get_response  # type: ignore[method-assign]


def _watch_items() -> None:
    """Read what is stored in every table but the sessions'."""
    from django.conf import settings

    from portal.dynamo.client import DynamoDB

    call = DynamoDB._call

    @wraps(call)
    def stores(self: DynamoDB, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        # Deleting, reading and asking store nothing.
        if action in ("PutItem", "UpdateItem", "TransactWriteItems"):
            stored = json.dumps(parameters, default=str)
            if settings.TABLES[KEEPS_TOKENS] not in stored:
                watcher.reads(f"what {action} stores", stored)
        return call(self, action, parameters)

    DynamoDB._call = stores  # type: ignore[method-assign]


def pytest_collection_finish(session: pytest.Session) -> None:
    _watch_secrets()
    _watch_pages()
    _watch_items()


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Whoever configures logging, as Django does, takes the root's handlers away.
    if _handler not in logging.getLogger().handlers:
        logging.getLogger().addHandler(_handler)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    found = sorted(set(watcher.leaks()))
    watcher.secrets.clear()
    watcher.produced.clear()
    assert not found, f"This test leaked: {'; '.join(found)}"
