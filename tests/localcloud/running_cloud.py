"""A local cloud of the tests' own, as a child process with the cloud's own Python."""

import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("CLOUD_PYTHON") or ROOT / ".cloud/bin/python")
REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
ADMINISTRATOR = ("AKIALOCALADMINISTR01", "the-administrator-of-the-tests")
PORTS = range(47100, 47200)
PORT_TAKEN = 2
# One for all clouds: it keeps the services' descriptions, which take longer to read than most calls to
# answer.
_session = boto3.Session()


@dataclass
class RunningCloud:
    """A cloud that answers. log holds what it has written to stderr."""

    process: subprocess.Popen[str]
    port: int
    state_dir: Path | None
    log: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(
        self,
        service: str,
        *,
        key: tuple[str, ...] = ADMINISTRATOR,
        attempts: int = 1,
        region: str = REGION,
        **config: Any,
    ) -> Any:
        """Return a boto3 client; key is (id, secret) or (id, secret, session token). 1 attempt: no retry."""
        session_token = key[2] if len(key) > 2 else None
        return _session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=session_token,
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, **config),
        )

    def control(self, method: str, path: str, content: object = None, **headers: str) -> Any:
        """Call the cloud's own paths and return what they answer. Raises urllib.error.HTTPError."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.endpoint + path, data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)

    def mails_to(self, address: str) -> list[dict[str, Any]]:
        """Return the mails to an address, oldest first."""
        by_account = self.control("GET", "/_ministack/ses/messages")["messages"]
        messages = by_account.get(ACCOUNT_ID, [])
        return [mail for mail in messages if address in mail["To"]]

    def texts_to(self, number: str) -> list[str]:
        """Return the text messages to a telephone, oldest first."""
        sent: list[dict[str, str]] = self.control("GET", "/_ministack/sns/sms-messages")["sms_messages"].get(number, [])
        return [message["Message"] for message in sent]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        self._close()
        return code

    def _close(self) -> None:
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


Start = Callable[..., RunningCloud]


def environment(port: int, state_dir: Path | None, **settings: Any) -> dict[str, str]:
    """Return the variables of a server process."""
    return {
        "PATH": os.environ["PATH"],
        "CLOUD_PORT": str(port),
        "CLOUD_ACCESS_KEY_ID": ADMINISTRATOR[0],
        "CLOUD_SECRET_ACCESS_KEY": ADMINISTRATOR[1],
        **({"CLOUD_STATE_DIR": str(state_dir)} if state_dir else {}),
        **settings,
    }


def start_cloud(state_dir: Path | None = None, **settings: Any) -> RunningCloud:
    """Start a cloud on a free port and return it when it answers. The server says which ports are taken."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        process = subprocess.Popen(
            [PYTHON, "-m", "portal.localcloud.server"],
            cwd=ROOT,
            env=environment(port, state_dir, **settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        cloud = RunningCloud(process, port, state_dir)
        reader = threading.Thread(target=_read, args=(process, cloud.log), daemon=True)
        reader.start()
        if _answers(cloud):
            return cloud
        reader.join(timeout=5)
        cloud._close()
        if process.returncode != PORT_TAKEN:
            raise RuntimeError("the local cloud did not start: " + "".join(cloud.log))
    raise RuntimeError("no free port")


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stderr is not None
    try:
        lines.extend(iter(process.stderr.readline, ""))
    except ValueError:
        return  # closed by stop()


def _answers(cloud: RunningCloud) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and cloud.process.poll() is None:
        try:
            if cloud.control("GET", "/_portico/health")["pid"] == cloud.process.pid:
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.02)
    return False


def wait_until(condition: Any, *, seconds: float = 5) -> Any:
    """Return condition()'s first true value, asked for every few milliseconds, or fail."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true in {seconds} s")
