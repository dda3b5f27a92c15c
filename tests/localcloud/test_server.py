"""The server process: where it listens, how it starts and stops."""

import contextlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.localcloud.running_cloud import PYTHON, ROOT, RunningCloud, Start, environment, wait_until


def listening_addresses(pid: int) -> set[str]:
    """Return the addresses that a process listens on, e.g. 127.0.0.1:4566."""
    if not Path("/proc/net/tcp").exists():  # not Linux
        command = ["lsof", "-nP", "-a", "-p", str(pid), "-iTCP", "-sTCP:LISTEN", "-Fn"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return {line[1:] for line in listed if line.startswith("n")}
    inodes = {
        link.readlink().name.removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in inodes:
                host, port = columns[1].split(":")
                addresses.add(f"{'.'.join(str(byte) for byte in bytes.fromhex(host)[::-1])}:{int(port, 16)}")
    return addresses


def test_listens_on_loopback_only(cloud: RunningCloud) -> None:
    for service, call in (("iot", "list_things"), ("transfer", "list_servers"), ("s3", "list_buckets")):
        getattr(cloud.client(service), call)()
    assert listening_addresses(cloud.process.pid) == {f"127.0.0.1:{cloud.port}"}


def test_says_that_it_is_ready(cloud: RunningCloud) -> None:
    assert cloud.control("GET", "/_portico/health")["status"] == "ready"


def test_taken_port_is_one_clear_line_and_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = subprocess.run(
            [PYTHON, "-m", "portal.localcloud.server"],
            cwd=ROOT,
            env=environment(port, None),
            capture_output=True,
            text=True,
            timeout=10,
        )
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f"local cloud: port {port} on 127.0.0.1 is already in use (set CLOUD_PORT to another)"
    ]


def test_missing_setting_is_named() -> None:
    settings = environment(free_port(), None)
    del settings["CLOUD_ACCESS_KEY_ID"]
    command = [str(PYTHON), "-m", "portal.localcloud.server"]
    run = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=10)
    assert run.returncode == 1
    assert "CLOUD_ACCESS_KEY_ID" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_while_a_long_poll_waits(start: Start, tmp_path: Path, number: int) -> None:
    cloud = start(tmp_path)
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="waiting")["QueueUrl"]

    def poll() -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)

    polling = threading.Thread(target=poll)
    polling.start()
    wait_until(lambda: "ReceiveMessage" in cloud.control("GET", "/_portico/calls")["services"]["sqs"])
    began = time.monotonic()
    assert cloud.stop(number) == 0
    assert time.monotonic() - began < 2
    polling.join(timeout=10)
    assert not (tmp_path / "running").exists()


def test_log_is_quiet(cloud: RunningCloud) -> None:
    cloud.client("sts").get_caller_identity()
    assert not [line for line in cloud.log if " INFO " in line and "portal.localcloud" not in line]


def test_other_web_sites_cannot_reach_the_unsigned_paths(cloud: RunningCloud) -> None:
    for path in ("/_portico/faults", "/_ministack/reset"):
        for sign in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example.org"}):
            with pytest.raises(urllib.error.HTTPError) as refused:
                cloud.control("POST", path, [], **sign)
            assert refused.value.code == 403
            refused.value.close()


def test_another_ministack_is_named_at_the_start() -> None:
    """A name that a stand-in patches is gone, as after an upgrade."""
    program = (
        "import ministack.core.iam_evaluator as evaluator, portal.localcloud.server as server;"
        "del evaluator.find_iam_access_key_account; raise SystemExit(server.main())"
    )
    run = subprocess.run(
        [str(PYTHON), "-c", program],
        cwd=ROOT,
        env=environment(free_port(), None),
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert run.returncode == 1
    assert "MiniStack 1.5.33 has no ministack.core.iam_evaluator.find_iam_access_key_account" in run.stderr
    assert "Traceback" not in run.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
