"""The sides on prepared answers (policies_server.py), where nearly all of the CPU is the client's own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bench.policies_fleet import VPC
from bench.policies_sides import (
    CLOUD_CUSTODIAN,
    LOOP,
    LOOP_WITH_CREATORS,
    PORTICO,
    PORTICO_WITH_CREATORS,
    RULES,
    Measured,
    Side,
    run,
)
from bench.request import ROOT, environment
from portal.localcloud.cloud import free_port

# How often each side runs: they take turns, so that a slow minute of the machine hits all of them. The loop takes as
# long as all of the others together.
ROUNDS = {CLOUD_CUSTODIAN: 3, PORTICO: 3, PORTICO_WITH_CREATORS: 3, LOOP: 1, LOOP_WITH_CREATORS: 1}
LARGE = 10_000


def measure(size: int, now: datetime) -> dict[Side, Measured]:
    """Let each side work a few times; the loop on a large fleet with all of the rules only."""
    results = {side: Measured() for side in ROUNDS if size < LARGE or side is not LOOP}
    with _serving(size, now) as port:
        for number in range(max(ROUNDS.values())):
            for side, measured in results.items():
                if number < ROUNDS[side]:
                    _once(side, port, measured)
    return results


@contextmanager
def _serving(size: int, now: datetime) -> Iterator[int]:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.policies_server", str(port), str(size), now.isoformat()],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield port
        process.terminate()


def _once(side: Side, port: int, measured: Measured) -> None:
    """Let one side work on the fleet as it was at first."""
    while True:
        _ask(port, "reset", {"Rules": RULES[: side.rules]})
        before = len(measured.cpu)
        run(side, {**environment(port), "BENCH_AT_ONCE": "1"}, VPC, measured)
        state = _ask(port, "state")
        measured.calls, measured.digest = Counter(state["Calls"]), state["Digest"]
        # Custodian looks at one instance, and where that has no tags, one in twenty, it asks for all tags once more.
        if "ec2 DescribeTags" not in measured.calls:
            return
        del measured.cpu[before:], measured.peak[before:]


def _ask(port: int, what: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_bench/{what}", data) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found
