"""Serve the local cloud on loopback: `python -m portal.localcloud.server`, in the cloud's own environment.

MiniStack answers the AWS calls; portal/localcloud/standins adds what it lacks. Settings are environment
variables: CLOUD_PORT, CLOUD_ACCESS_KEY_ID and CLOUD_SECRET_ACCESS_KEY (the administrator), CLOUD_STATE_DIR
(optional: absent keeps nothing), CLOUD_KEYS_DIR (where the sample SAML provider's key is kept; absent: with the state),
CLOUD_REGION, CLOUD_SAVE_SECONDS and CLOUD_TTL_SWEEP_SECONDS.
"""

import asyncio
import errno
import logging
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT_ID = "123456789012"
PORT_TAKEN = 2

log = logging.getLogger("portal.localcloud")


class SettingMissing(ValueError):
    """An environment variable the server cannot start without is absent or unusable."""


@dataclass(frozen=True)
class ServerSettings:
    """How to serve the cloud. Ports and seconds as numbers; state_dir None keeps nothing."""

    port: int
    access_key_id: str
    secret_access_key: str
    state_dir: Path | None
    region: str
    save_seconds: float
    ttl_sweep_seconds: float
    keys_dir: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ServerSettings":
        """Read the CLOUD_* variables. Raises SettingMissing."""
        for name in ("CLOUD_PORT", "CLOUD_ACCESS_KEY_ID", "CLOUD_SECRET_ACCESS_KEY"):
            if not environment.get(name):
                raise SettingMissing(f"{name} is not set")
        try:
            return cls(
                port=int(environment["CLOUD_PORT"]),
                access_key_id=environment["CLOUD_ACCESS_KEY_ID"],
                secret_access_key=environment["CLOUD_SECRET_ACCESS_KEY"],
                state_dir=Path(environment["CLOUD_STATE_DIR"]).resolve()
                if environment.get("CLOUD_STATE_DIR")
                else None,
                region=environment.get("CLOUD_REGION") or "eu-west-1",
                save_seconds=float(environment.get("CLOUD_SAVE_SECONDS") or 2),
                ttl_sweep_seconds=float(environment.get("CLOUD_TTL_SWEEP_SECONDS") or 5),
                keys_dir=Path(environment["CLOUD_KEYS_DIR"]).resolve() if environment.get("CLOUD_KEYS_DIR") else None,
            )
        except ValueError as wrong:
            raise SettingMissing(f"a CLOUD_ variable is not a number: {wrong}") from wrong


def ministack_environment(settings: ServerSettings, state_dir: Path) -> dict[str, str]:
    """Return the variables MiniStack reads at import: listen on loopback only, check signatures."""
    keep = "1" if settings.state_dir else "0"
    return {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "AUTH": "true",
        # Its MQTT listener binds 0.0.0.0:8883 whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": settings.region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_DEFAULT_REGION": settings.region,
        "PERSIST_STATE": keep,
        # Set even when nothing is kept: Cognito's signing keys would otherwise be shared through /tmp.
        "STATE_DIR": str(state_dir / "services"),
        "S3_PERSIST": keep,
        "S3_DATA_DIR": str(state_dir / "s3"),
        "CLOUDTRAIL_RECORDING": "1",
        "LOG_LEVEL": "WARNING",
        # No daemon is looked for: Lambda functions run as child processes.
        "DOCKER_HOST": "unix:///nonexistent",
    }


def bind(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1. Raises OSError (EADDRINUSE) when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def end_with_launcher(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Stop when the pipe to whoever started the server closes: it has ended, however that happened."""
    sys.stdin.read()
    loop.call_soon_threadsafe(stopping.set)


async def serve(listener: socket.socket, settings: ServerSettings, state_dir: Path) -> None:
    """Serve until SIGTERM or SIGINT, then save."""
    from hypercorn.asyncio import serve as serve_asgi
    from hypercorn.config import Config

    from portal.localcloud.standins.gateway import Gateway
    from portal.localcloud.standins.installation import install_all

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=end_with_launcher, args=(loop, stopping), daemon=True).start()

    gateway: Gateway = install_all(settings, state_dir)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    # Long polls (SQS, activities) would otherwise hold the stop for up to a minute.
    config.graceful_timeout = 0.2
    config.loglevel = "WARNING"
    config.accesslog = None
    log.info("the local cloud listens on http://127.0.0.1:%s (%s)", settings.port, settings.region)

    async def until_stopped() -> None:
        await stopping.wait()

    application: Any = gateway
    await serve_asgi(application, config, shutdown_trigger=until_stopped)


def main() -> int:
    """Run the server and return its exit code: 0 stopped, 1 wrong settings, 2 the port is taken."""
    try:
        settings = ServerSettings.from_environment(os.environ)
    except SettingMissing as wrong:
        print(f"local cloud: {wrong}", file=sys.stderr)
        return 1
    try:
        listener = bind(settings.port)
    except OSError as refused:
        reason = "is already in use" if refused.errno == errno.EADDRINUSE else f"cannot be opened: {refused.strerror}"
        print(
            f"local cloud: port {settings.port} on 127.0.0.1 {reason} (set CLOUD_PORT to another)",
            file=sys.stderr,
        )
        return PORT_TAKEN
    os.umask(0o077)  # the state holds signing keys and passwords
    scratch = None if settings.state_dir else tempfile.mkdtemp(prefix="localcloud-")
    state_dir = settings.state_dir or Path(scratch or "")
    (state_dir / "services").mkdir(parents=True, exist_ok=True)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(ministack_environment(settings, state_dir))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    from portal.localcloud.standins.touchpoints import TouchpointMissing

    try:
        # Not asyncio.run: it waits for every worker thread, and a state machine's may wait for a minute.
        asyncio.new_event_loop().run_until_complete(serve(listener, settings, state_dir))
    except TouchpointMissing as wrong:
        print(f"local cloud: {wrong}", file=sys.stderr)
        return 1
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Worker threads of MiniStack (pollers, function runtimes) are not all daemons and would hold the exit.
    os._exit(code)
