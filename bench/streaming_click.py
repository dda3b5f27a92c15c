"""`POST /streaming-url` through the Lambda entry point against the bare handler: CPU of a warm request.

What AppStream told of the fleet is believed for seconds, so nearly all requests of the measurement ask for the
application, for the URL, and write the launch down.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench import tokens
from bench.request import REQUESTS, ROUNDS, Worker, compare, stub

ASKS = "streaming-url"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_KEY"] = str(Path(folder) / "key.json")
        with stub() as port:
            sides = [Worker(side, port, [tokens.id_token()], ASKS) for side in ("bare", "portal")]
            bare, portal = [], []
            for _ in range(ROUNDS):
                bare.append(sides[0].run(REQUESTS))
                portal.append(sides[1].run(REQUESTS))
            for side in sides:
                side.close()
    print("POST /streaming-url, CPU against a bare boto3 handler that does one CreateStreamingURL (= 1):")
    print(f"  warm                                   {compare(portal, bare)}")


if __name__ == "__main__":
    main()
