"""The outermost ASGI application: answers /_portico/*, counts AWS calls, injects faults, notes writes."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from portal.localcloud.standins import appstream_control
from portal.localcloud.standins.appstream_cbor import in_cbor
from portal.localcloud.standins.appstream_control import ControlMalformed
from portal.localcloud.standins.appstream_protocols import Protocol
from portal.localcloud.standins.appstream_records import Records
from portal.localcloud.standins.appstream_streaming import PREFIX as STREAMING_PREFIX
from portal.localcloud.standins.aws_calls import CallCounter, identify
from portal.localcloud.standins.console import PATH as CONSOLE_PATH
from portal.localcloud.standins.console import Console
from portal.localcloud.standins.faults import Fault, FaultList, FaultMalformed, Reply, error_reply
from portal.localcloud.standins.pages import Pages, Request
from portal.localcloud.standins.saml_provider import PREFIX as SAML_PROVIDER_PREFIX
from portal.localcloud.standins.snapshots import Snapshots
from portal.localcloud.standins.trail_launches import AskedLaunches, LaunchMalformed
from portal.localcloud.standins.workflows import Workflows

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

CONTROL_PREFIX = "/_portico/"
# Paths without a signature: a web page in the same browser must not reach them (reset, faults, mails).
UNSIGNED_PREFIXES = (CONTROL_PREFIX, "/_ministack/", "/_localstack/", STREAMING_PREFIX)
# Where Cognito's pages are. MiniStack's own sign people in with less than a password: none of them is reached.
HOSTED_UI_PREFIXES = ("/oauth2/", "/saml2/", "/login", "/logout")
OPEN_PREFIXES = (SAML_PROVIDER_PREFIX, STREAMING_PREFIX)
USER_INFO_PATHS = ("/oauth2/userInfo", "/oauth2/userinfo")


class Gateway:
    """Wraps MiniStack's application."""

    def __init__(
        self,
        cloud: Application,
        snapshots: Snapshots,
        console: Console,
        pages: Pages,
        launches: AskedLaunches,
        workflows: Workflows,
        streaming: Records,
    ) -> None:
        self._cloud = cloud
        self._snapshots = snapshots
        self._console = console
        self._pages = pages
        self._launches = launches
        self._workflows = workflows
        self._streaming = streaming
        self._calls = CallCounter()
        self._faults = FaultList()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._snapshots.run_during(self._cloud, scope, receive, send)
            return
        if scope["type"] != "http":
            await self._cloud(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        if path.startswith(OPEN_PREFIXES) and _is_addressed_here(headers):
            # Other sites send people here: that is what they are for.
            await self._serve(scope, headers, receive, send)
        elif path.startswith(UNSIGNED_PREFIXES) and not _from_this_machine(headers):
            await answer(send, _json(403, {"message": "other web sites may not use the local cloud"}))
        elif path.startswith(CONTROL_PREFIX):
            await answer(send, self._control(scope["method"], path, await read_body(receive)))
        elif path == CONSOLE_PATH:
            await answer(send, self._console.answer(scope["method"], scope["query_string"], await read_body(receive)))
        elif path.startswith(UNSIGNED_PREFIXES):
            self._snapshots.note_request(scope["method"], "")
            await self._cloud(scope, receive, send)
        else:
            await self._aws_call(scope, headers, receive, send)

    async def _aws_call(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        body = b""
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = await read_body(receive)
            receive = replay(body, receive)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        call = identify(scope["method"], scope["path"], query, headers, body)
        self._calls.add(call)
        fault = self._faults.find(call)
        if fault is not None and fault.kind in ("throttle", "error"):
            # The request is read to its end first: a client still sending would see a reset, not the answer.
            await read_body(receive)
            reply = error_reply("throttle" if fault.kind == "throttle" else "error", call, fault.code)
            await answer(send, in_cbor(reply) if Protocol.of(headers).is_cbor else reply)
            return
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.delay_seconds)
        try:
            if fault is not None and fault.kind == "lost_reply":
                await self._serve(scope, headers, receive, _nowhere)
                # An answer without a length comes in chunks; without a last chunk the server closes the
                # connection on it, which boto3 takes for a connection closed before the answer.
                await send({"type": "http.response.start", "status": 200, "headers": []})
            else:
                await self._serve(scope, headers, receive, send)
        finally:
            self._snapshots.note_request(scope["method"], call.action)

    def _elapse(self, body: bytes) -> Reply:
        """Let as many seconds pass for the workflows that wait as a JSON object says."""
        try:
            seconds = float(json.loads(body)["elapse_seconds"])
        except (KeyError, TypeError, ValueError) as wrong:
            return _json(400, {"message": f"elapse_seconds: {wrong}"})
        waiting = self._workflows.elapse(seconds)
        self._snapshots.note_write()
        return _json(200, {"waiting": waiting})

    async def _serve(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Answer with a page of our own, or let MiniStack answer."""
        method, path = scope["method"], scope["path"]
        page = self._pages.get((method, path))
        if page is not None:
            request = Request.read(method, path, scope["query_string"], headers, await read_body(receive))
            await answer(send, await asyncio.to_thread(page, request))
        elif path.startswith((*HOSTED_UI_PREFIXES, *OPEN_PREFIXES)) and path not in USER_INFO_PATHS:
            await answer(send, _json(404, {"message": f"no {method} {path}"}))
        else:
            await self._cloud(scope, receive, send)

    def _control(self, method: str, path: str, body: bytes) -> Reply:
        match method, path.removeprefix(CONTROL_PREFIX):
            case "GET", "health":
                return _json(200, {"status": "ready", "pid": os.getpid(), **self._snapshots.as_json()})
            case "GET", "faults":
                return _json(200, self._faults.as_json())
            case "POST", "faults":
                try:
                    posted = json.loads(body)
                    self._faults.add(
                        [Fault.from_json(one) for one in (posted if isinstance(posted, list) else [posted])]
                    )
                except (json.JSONDecodeError, FaultMalformed) as wrong:
                    return _json(400, {"message": str(wrong)})
                return _json(200, self._faults.as_json())
            case "DELETE", "faults":
                self._faults.clear()
                return _json(200, [])
            case "GET", "calls":
                return _json(200, self._calls.as_json())
            case "DELETE", "calls":
                self._calls.clear()
                return _json(200, self._calls.as_json())
            case "DELETE", "executions":
                forgotten = self._workflows.forget()
                self._snapshots.note_write()
                return _json(200, {"forgotten": forgotten})
            case "POST", "executions":
                return self._elapse(body)
            case "GET", "streaming":
                return _json(200, appstream_control.shown(self._streaming))
            case "POST", "streaming":
                try:
                    return _json(200, appstream_control.changed(self._streaming, body))
                except ControlMalformed as wrong:
                    return _json(400, {"message": str(wrong)})
            case "DELETE", "streaming":
                self._streaming.forget()
                return _json(200, appstream_control.shown(self._streaming))
            case "POST", "launches":
                try:
                    launched = self._launches.answer(body)
                except LaunchMalformed as wrong:
                    return _json(400, {"message": str(wrong)})
                self._snapshots.note_write()
                return _json(200, launched)
            case "POST", "save":
                self._snapshots.save()
                return _json(200, self._snapshots.as_json())
            case _:
                return _json(404, {"message": f"no {method} {path}"})


def _from_this_machine(headers: dict[str, str]) -> bool:
    """Return whether no other web site sent this: neither across sites nor by a name rebound to this address."""
    return _is_addressed_here(headers) and headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _is_addressed_here(headers: dict[str, str]) -> bool:
    return headers.get("host", "").rpartition(":")[0] in ("127.0.0.1", "localhost")


def _json(status: int, content: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(content).encode())


async def read_body(receive: Receive) -> bytes:
    """Read a request's body to its end."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body already read, then what follows it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


async def answer(send: Send, reply: Reply) -> None:
    """Send a whole reply."""
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


async def _nowhere(message: Message) -> None:
    """Drop a message of a reply that is to be lost."""
