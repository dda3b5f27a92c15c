"""`make run`: the local cloud, everything on it, the portal, and what runs in the background, until Ctrl-C.

PORT is where the portal listens (8000), CLOUD_PORT where the cloud does (4566), RUN_DIR where both keep their data.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from portal.localcloud import samples
from portal.localcloud.cloud import ROOT, Cloud, CloudFailed
from portal.localcloud.people import PASSWORD, PEOPLE


class Stop(Exception):
    """Someone asked for the end."""


def main() -> int:
    port = int(os.environ.get("PORT", "8000"))
    cloud_port = int(os.environ.get("CLOUD_PORT", "4566"))
    folder = Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve()
    for number, name in ((port, "PORT"), (cloud_port, "CLOUD_PORT")):
        if not is_free(number):
            print(
                f"Port {number} is taken. Is Portico running already? Choose another with {name}=….",
                file=sys.stderr,
            )
            return 2

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    cloud = Cloud(port=cloud_port, folder=folder, keep=True)
    description = folder / "local.env"
    description.unlink(missing_ok=True)
    log = folder / "worker.log"
    portal: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    try:
        print("Starting the local cloud …", flush=True)
        cloud.start()
        for warning in cloud.warnings():
            print(warning, flush=True)
        address = f"http://127.0.0.1:{port}"
        outputs = cloud.deploy(address)
        samples.load(cloud, outputs)
        print("Starting the portal …", flush=True)
        environment = {**without_aws(os.environ), **cloud.portal_environment(outputs)}
        portal = serve(port, environment)
        worker = work(environment, log)
        wait_for(port, portal)
        # Written last: who finds the file finds a portal that answers.
        variables = cloud.administrator_environment(outputs)
        with open(os.open(description, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
        print(welcome(address, cloud, description, log), flush=True)
        return watch(portal, worker, cloud, log)
    except Stop:
        print("\nStopping …", flush=True)
        return 0
    except CloudFailed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        description.unlink(missing_ok=True)
        for process in (worker, portal):
            if process:
                end(process)
        cloud.stop()


def on_signal(number: int, frame: FrameType | None) -> None:
    raise Stop


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def without_aws(environment: os._Environ[str]) -> dict[str, str]:
    """Leave out whatever points to a real account."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def serve(port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # A process group of its own, so that its reloader's child can be ended with it.
    return subprocess.Popen(
        [sys.executable, "-m", "portal.localcloud.serve", f"127.0.0.1:{port}"],
        cwd=ROOT,
        env={**environment, "DJANGO_RUNSERVER_HIDE_WARNING": "true"},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def work(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start what EventBridge and SQS would start on AWS. All that it says is in its log."""
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "portal.localcloud.worker"],
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )


def wait_for(port: int, portal: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 30
    while is_free(port):
        if portal.poll() is not None or time.monotonic() > give_up_at:
            raise CloudFailed("The portal did not start; its error is above.")
        time.sleep(0.05)


def watch(portal: subprocess.Popen[bytes], worker: subprocess.Popen[bytes], cloud: Cloud, log: Path) -> int:
    """Return when the portal or the cloud has ended: one is of no use without the other."""
    works = True
    while cloud.is_running:
        if works and worker.poll() is not None:
            works = False
            print(f"Nothing runs in the background any more. Why is in {os.path.relpath(log)}.", file=sys.stderr)
        try:
            return portal.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue
    raise CloudFailed(f"The local cloud has stopped. Its log is {os.path.relpath(cloud.log)}.")


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=5)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def welcome(address: str, cloud: Cloud, description: Path, log: Path) -> str:
    width = max(len(person.username) for person in PEOPLE)
    people = "\n".join(f"    {person.username:<{width}}  {person.does}" for person in PEOPLE)
    return f"""
  Portico is at  {address}

  Sign in with the password {PASSWORD} as
{people}

  Mails, codes   {address}/local/
  Schedules      each minute to each hour, first in a minute; what they say is in {os.path.relpath(log)}
  Acme's sign-in {cloud.company}   (the sample company of {address}/sign-in/)
  AWS endpoint   {cloud.endpoint}   (in a shell: . {os.path.relpath(description)})

  Ctrl-C stops it; your data stays until `make reset`.
"""


if __name__ == "__main__":
    sys.exit(main())
