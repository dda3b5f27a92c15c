"""`POST /ride` through the Lambda entry point against the bare handler: CPU of a warm request and of a cold start.

Both sides run in processes of their own against one stub, in turn, so that a slow minute of the machine hits both.
Reference: the ratios of stock stacks that the aims compare with are in docs/performance.md.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import tokens
from portal.localcloud.cloud import free_port, setting_of

ROUNDS, REQUESTS, COLD_STARTS = 15, 100, 11
ROOT = Path(__file__).resolve().parent.parent
_, _TEMPLATES_OUTPUTS = (ROOT / "infrastructure" / "portal.yaml").read_text().split("\nOutputs:")
OUTPUTS = re.findall(r"^  (\w+): \{", _TEMPLATES_OUTPUTS, re.MULTILINE)


def environment(port: int) -> dict[str, str]:
    """Return what both sides run with: every output of the template has a value, and every call goes to the stub."""
    stub = f"http://127.0.0.1:{port}"
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PORTICO_", "PYTHON"))},
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": stub,
        "BENCH_KEY": os.environ.get("BENCH_KEY", ""),
        "PORTICO_SECRET_KEY": "x" * 50,
        **{setting_of(output): output for output in OUTPUTS},
        "PORTICO_USER_POOL_ID": "eu-west-1_Bench0000",
        "PORTICO_API_CLIENT_ID": tokens.CLIENT_ID,
        "PORTICO_JWKS_URL": f"{stub}/keys",
        "PORTICO_HOSTED_UI_URL": stub,
        "PORTICO_STREAMING_ORIGINS": stub,
    }


@contextmanager
def stub() -> Iterator[int]:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.stub", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield port
        process.terminate()


class Worker:
    """One side; `cold` is the CPU milliseconds until its first answer."""

    def __init__(self, side: str, port: int, id_tokens: list[str], asks: str = "ride") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", side, asks], cwd=ROOT, env=environment(port),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.cold = float(self._ask(json.dumps(id_tokens)))

    def run(self, requests: int) -> float:
        """Return the CPU milliseconds of one request."""
        return float(self._ask(str(requests))) / requests

    def _ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.communicate()


def compare(values: list[float], others: list[float]) -> str:
    ratios = [a / b for a, b in zip(values, others, strict=True)]
    return f"{statistics.median(ratios):5.2f} ×  (pairs from {min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_KEY"] = str(Path(folder) / "key.json")
        one, many = [tokens.id_token()], [tokens.id_token(number) for number in range(ROUNDS * REQUESTS)]
        # What a good package ships: bytecode that is valid.
        compileall.compile_dir(ROOT / "portal", quiet=2)
        compileall.compile_dir(ROOT / "rides", quiet=2)
        with stub() as port:
            cold: dict[str, list[float]] = {"bare": [], "portal": []}
            for _ in range(COLD_STARTS):
                for side, times in cold.items():
                    worker = Worker(side, port, one)
                    times.append(worker.cold)
                    worker.close()
            bare, same, new = (
                Worker("bare", port, one),
                Worker("portal", port, one),
                Worker("portal", port, many),
            )
            warm: dict[str, list[float]] = {"bare": [], "same": [], "new": []}
            for _ in range(ROUNDS):
                for name, worker in (("bare", bare), ("same", same), ("new", new)):
                    warm[name].append(worker.run(REQUESTS))
            for worker in (bare, same, new):
                worker.close()
    print("POST /ride, CPU against a bare boto3 handler that picks at random and does one PutItem (= 1):")
    print(f"  warm, the caller's token seen before   {compare(warm['same'], warm['bare'])}")
    print(f"  warm, every token new                  {compare(warm['new'], warm['bare'])}")
    print(f"  cold start: import and first request   {compare(cold['portal'], cold['bare'])}")


if __name__ == "__main__":
    main()
