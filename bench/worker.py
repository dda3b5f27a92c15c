"""One side of a comparison in a process of its own: `python -m bench.worker bare|portal ride|streaming-url`.

Each line on standard input is a number of requests; each answer a line with the CPU milliseconds that they took.
The first line written is the CPU time of importing and of the first request (the cold start).
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace

SIDE, ASKS, TOKENS = sys.argv[1], sys.argv[2], json.loads(sys.stdin.readline())
BODIES = {
    "ride": '{"PickupLocation": {"Latitude": 47.6, "Longitude": -122.3}}',
    "streaming-url": '{"Application": "studio"}',
}
CONTEXT = SimpleNamespace(aws_request_id="0" * 36)


def event(number: int) -> dict[str, object]:
    claims = {"cognito:username": "rider", "sub": "6c3f1f0a-0000-4000-8000-000000000000"}
    return {
        "path": f"/{ASKS}",
        "httpMethod": "POST",
        "headers": {
            "Accept": "*/*",
            "Authorization": TOKENS[number % len(TOKENS)],
            "Content-Type": "application/json",
            "Host": "localhost",
            "X-Forwarded-Proto": "https",
        },
        "queryStringParameters": None,
        "requestContext": {"authorizer": {"claims": claims}} if SIDE == "bare" else {"stage": "prod"},
        "body": BODIES[ASKS],
    }


def main() -> None:
    started = time.process_time()
    if SIDE == "bare" and ASKS == "streaming-url":
        from bench.bare_streaming import lambda_handler
    elif SIDE == "bare":
        from bench.bare import lambda_handler
    else:
        from portal.lambda_entry import lambda_handler
    count = 0

    def ask() -> None:
        nonlocal count
        answer = lambda_handler(event(count), CONTEXT)
        count += 1
        assert answer["statusCode"] == 201, answer

    ask()
    print((time.process_time() - started) * 1000, flush=True)
    for line in sys.stdin:
        before = time.process_time()
        for _ in range(int(line)):
            ask()
        print((time.process_time() - before) * 1000, flush=True)


if __name__ == "__main__":
    main()
