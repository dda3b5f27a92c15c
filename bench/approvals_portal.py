"""The portal's processes on a local cloud, and deciding with its JSON API, as the approvals' benchmarks need them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from bench.approvals_outcome import Answer
from portal.localcloud.cloud import ROOT, Cloud
from portal.localcloud.people import PASSWORD


@dataclass(frozen=True)
class Try:
    """One approver's try to decide one approval."""

    approval_id: str
    username: str
    verdict: str


async def decide(port: int, token: str, attempt: Try) -> Answer:
    """Decide with the JSON API. Its answer is the whole of the connection."""
    verdict = {"approved": "approve", "rejected": "reject"}[attempt.verdict]
    body = json.dumps({"Decision": verdict, "Reason": f"So says {attempt.username}"})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/approvals/{attempt.approval_id}/decision"
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )
    await writer.drain()
    head, _, content = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    said = json.loads(content).get("Error", "")
    return Answer(attempt.approval_id, attempt.username, attempt.verdict, int(head.split()[1]), said)


def look(port: int, token: str) -> None:
    """Look at somebody's inbox."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/approvals", headers={"Authorization": f"Bearer {token}"})
    urllib.request.urlopen(request).close()


def mails(cloud: Cloud) -> list[dict[str, Any]]:
    """Return the mails that were sent, oldest first."""
    with urllib.request.urlopen(f"{cloud.endpoint}/_ministack/ses/messages") as answer:
        accounts = json.loads(answer.read())["messages"]
    return [mail for some in accounts.values() for mail in some]


def id_of(execution_arn: str) -> str:
    """Return the approval's id, as approvals.approval.id_of: that module wants Django's settings."""
    return hashlib.sha256(f"{execution_arn}\nemployee-promotion\n0".encode()).hexdigest()[:32]


def id_token(cognito: Any, client_id: str, username: str) -> str:
    given = {"USERNAME": username, "PASSWORD": PASSWORD}
    answer = cognito.initiate_auth(AuthFlow="USER_PASSWORD_AUTH", ClientId=client_id, AuthParameters=given)
    token: str = answer["AuthenticationResult"]["IdToken"]
    return token


@contextlib.contextmanager
def serving(
    module: str, *arguments: str, environment: dict[str, str], log: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a module in a process of its own, which says first that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log or subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.terminate()
