"""A thousand riders ask at once for the two hundred unicorns that there are, over real HTTP on the local cloud.

Nobody may share a unicorn, no answered ride may be missing, and every answer is a 201 or an honest "none free".
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from portal.localcloud import samples
from portal.localcloud.cloud import ROOT, Cloud, free_port
from portal.localcloud.people import PASSWORD, Person

RIDERS, FLEET, PEOPLE = 1000, 200, 20


async def ask(port: int, token: str, latitude: float, longitude: float, gate: asyncio.Event) -> tuple[int, dict, float]:
    await gate.wait()
    started = time.perf_counter()
    body = json.dumps({"PickupLocation": {"Latitude": latitude, "Longitude": longitude}})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /ride HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )
    await writer.drain()
    answer = (await reader.read()).decode()
    writer.close()
    head, _, content = answer.partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(content), time.perf_counter() - started


async def stampede(port: int, tokens: list[str]) -> list[tuple[int, dict, float]]:
    gate = asyncio.Event()
    around = random.Random(7)
    asked = [
        asyncio.create_task(
            ask(
                port,
                tokens[n % len(tokens)],
                47.6 + around.gauss(0, 0.05),
                -122.3 + around.gauss(0, 0.05),
                gate,
            )
        )
        for n in range(RIDERS)
    ]
    await asyncio.sleep(0)
    gate.set()
    return await asyncio.gather(*asked)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(port=free_port(), folder=Path(folder), keep=False)
        cloud.start()
        try:
            run(cloud)
        finally:
            cloud.stop()


def run(cloud: Cloud) -> None:
    outputs = cloud.deploy("http://127.0.0.1:8000")
    cognito, dynamodb = cloud.client("cognito-idp"), cloud.client("dynamodb")
    tokens = []
    for n in range(PEOPLE):
        samples.add_person(cognito, outputs["UserPoolId"], Person(f"rider{n}", "Rider", str(n), "rides"))
        tokens.append(
            cognito.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=outputs["ApiClientId"],
                AuthParameters={"USERNAME": f"rider{n}", "PASSWORD": PASSWORD},
            )["AuthenticationResult"]["IdToken"]
        )
    around = random.Random(8)
    for n in range(FLEET):
        where = {
            "Latitude": f"{47.6 + around.gauss(0, 0.05):.5f}",
            "Longitude": f"{-122.3 + around.gauss(0, 0.05):.5f}",
        }
        dynamodb.put_item(TableName=outputs["FleetTable"], Item=samples.unicorn(f"u{n}", **where))
    port = free_port()
    environment = {**os.environ, **cloud.portal_environment(outputs)}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.server", str(port)], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as portal:  # fmt: skip
        assert portal.stdout
        portal.stdout.readline()
        answers = asyncio.run(stampede(port, tokens))
        portal.terminate()

    statuses = Counter(status for status, _, _ in answers)
    answered = {body["RideId"] for status, body, _ in answers if status == 201}
    rides = {
        item["RideId"]["S"]: item["UnicornId"]["S"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=outputs["RidesTable"], ConsistentRead=True)
        for item in page["Items"]
    }
    served = Counter(rides.values())
    claimed = {
        item["UnicornId"]["S"]: item["RideId"]["S"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=outputs["FleetTable"], ConsistentRead=True)
        for item in page["Items"]
        if "RideId" in item
    }
    for reason, n in Counter(body["Error"] for status, body, _ in answers if status not in (201, 409)).items():
        print(f"  {n} × {reason}")
    seconds = sorted(took for _, _, took in answers)
    print(f"{RIDERS} concurrent requests over HTTP, {FLEET} unicorns:")
    print(f"  answers                              {dict(statuses)}")
    print(f"  unicorns with two live rides         {sum(1 for rides_of in served.values() if rides_of > 1)}")
    print(f"  rides answered but not stored        {len(answered - set(rides))}")
    print(f"  rides stored but not answered        {len(set(rides) - answered)}")
    print(f"  unicorns claimed without their ride  {sum(1 for u, ride in claimed.items() if rides.get(ride) != u)}")
    print(
        f"  answers neither 201 nor none free    {sum(n for status, n in statuses.items() if status not in (201, 409))}"
    )
    print(f"  slowest answer / median              {seconds[-1] / statistics.median(seconds):.1f} ×")


if __name__ == "__main__":
    main()
