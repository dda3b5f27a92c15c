"""What it costs to know who asks: `tokens.verify` with cached keys against joserfc alone, CPU of one check.

joserfc alone decodes with the key in hand and validates nothing; the portal finds the key, refuses unknown headers
and weighs the claims.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import tokens
from bench.request import ROOT, compare, environment, stub

ROUNDS, CHECKS = 21, 200


def inside() -> None:
    """Compare, in a process whose settings name the stub's keys."""
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    from portal.accounts.tokens import verify

    key = RSAKey.import_key(tokens.public_keys()["keys"][0])
    fresh = [tokens.id_token(number) for number in range(ROUNDS * CHECKS)]
    verify(tokens.id_token(-1))  # reads the keys

    def cpu(check: Callable[[str], object], signed: list[str]) -> float:
        started = time.process_time()
        for token in signed:
            check(token)
        return time.process_time() - started

    alone, new, again = [], [], []
    for start in range(0, len(fresh), CHECKS):
        signed = fresh[start : start + CHECKS]
        alone.append(cpu(lambda token: jwt.decode(token, key, algorithms=["RS256"]), signed))
        new.append(cpu(verify, signed))
        again.append(cpu(verify, signed))
    print("Checking an ID token with cached keys, CPU against joserfc alone (= 1):")
    print(f"  a token not seen before                {compare(new, alone)}")
    print(f"  a token seen before                    {compare(again, alone)}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_KEY"] = str(Path(folder) / "key.json")
        tokens.id_token()  # makes the key that the stub and the check share
        with stub() as port:
            code = "import django; django.setup(); from bench.token_check import inside; inside()"
            environment_ = {**environment(port), "DJANGO_SETTINGS_MODULE": "portal.settings"}
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment_, check=True)
