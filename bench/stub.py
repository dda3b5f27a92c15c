"""A DynamoDB and an AppStream that answer at once, and the public keys of a user pool: what both sides of a comparison
call.

`python -m bench.stub PORT` serves until its standard input closes.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench import tokens
from portal.dynamo.values import to_item
from portal.localcloud.samples import unicorn

_UNICORNS = [
    unicorn(
        f"u{n}",
        Name=f"U{n}",
        Latitude=f"{47.6 + (n - 15) / 500:.4f}",
        Longitude=f"{-122.3 + (n % 7 - 3) / 300:.4f}",
    )
    for n in range(30)
]
# The projection of the index, in the order of the curve.
_NEAR = [
    {name: value for name, value in item.items() if name != "CurveB"}
    for item in sorted(_UNICORNS, key=lambda item: item["CurveA"]["S"])
]


_STUDIO = to_item(
    {
        "ApplicationId": "studio",
        "Title": "Studio",
        "Groups": "*",
        "Stack": "apps",
        "Fleet": "apps",
        "Opens": "tab",
        "Enabled": True,
    }
)
_STREAMING = {
    "Scan": {"Items": [_STUDIO]},
    "GetItem": {"Item": _STUDIO},
    "ListAssociatedFleets": {"Names": ["apps"]},
    "DescribeFleets": {
        "Fleets": [
            {
                "Name": "apps",
                "State": "RUNNING",
                "FleetType": "ALWAYS_ON",
                "ComputeCapacityStatus": {"Desired": 5, "Running": 5, "InUse": 0, "Available": 5},
            }
        ]
    },
}


def answer(action: str, request: dict[str, Any], host: str) -> dict[str, Any]:
    if action == "CreateStreamingURL":
        return {"StreamingURL": f"http://{host}/authenticate?parameters={'x' * 400}", "Expires": 1795245619}
    if action in _STREAMING:
        return _STREAMING[action]
    if action != "Query":
        return {}
    index = {"ByCurveA": "CurveA", "ByCurveB": "CurveB"}.get(request["IndexName"], "BusyUntil")
    near = sorted(_UNICORNS, key=lambda item: next(iter(item[index].values())))
    if index != "BusyUntil":
        bounds = [value["S"] for value in request["ExpressionAttributeValues"].values() if "S" in value]
        edge = next(value for value in bounds if value != "all")
        forwards = request.get("ScanIndexForward", True)
        near = [item for item in near if (item[index]["S"] >= edge) == forwards]
        near = near if forwards else near[::-1]
    near = near[: request["Limit"]]
    return {"Items": near, "Count": len(near), "ScannedCount": len(near)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def do_GET(self) -> None:
        self._send(tokens.public_keys())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers["X-Amz-Target"].split(".")[1]
        self._send(answer(action, json.loads(body), self.headers["Host"]))

    def _send(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", "0" * 32)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
