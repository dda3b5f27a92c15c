"""What the queues and schedules do for approvals, in a process of its own: `python -m bench.approvals_worker [twice]`.

They are those of zappa_settings.json, served as Lambda serves them: five messages of a queue at a time, and a
schedule's next run begins whether or not the last one is over. With "twice", each message is given to the function
twice at the same moment. It ends when its standard input closes, and then says what failed, and how often.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from portal.localcloud.worker import Handler, Queue, Schedule, read

AT_A_TIME = 5
RECEIVED_AT_MOST = 5  # the queues' maxReceiveCount
_AGAIN_AFTER_SECONDS = 1

failed: Counter[str] = Counter()


def twice(handler: Handler) -> Handler:
    """Return a function that gives each event to the handler twice at the same moment, as a queue may. A copy that
    fails comes again, as often as the queue would give it."""

    def give(event: dict[str, Any], context: Any, together: threading.Barrier) -> None:
        together.wait()
        for times in range(1, RECEIVED_AT_MOST + 1):
            try:
                handler(event, context)
            except Exception as error:
                queue = event["Records"][0]["eventSourceARN"].rpartition(":")[2]
                failed[f"{queue}: {type(error).__name__}"] += 1
                if times == RECEIVED_AT_MOST:
                    raise
                time.sleep(_AGAIN_AFTER_SECONDS)
            else:
                return

    def both(event: dict[str, Any], context: Any) -> None:
        together = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            for copy in [pool.submit(give, event, context, together) for _ in range(2)]:
                copy.result()

    return both


def subscribed(handler: Handler) -> tuple[list[Queue], list[Schedule]]:
    """Return the approvals' queues and schedules of the local stage. Django's settings have to be there."""
    from portal import events

    return read([one for one in events.stages()["local"] if one["function"].startswith("approvals.")], handler)


def serve(poll: Callable[[], object]) -> None:
    while True:
        try:
            poll()
        except Exception as error:  # the event source mapping goes on whatever happens
            failed[f"{type(error).__name__}"] += 1
            time.sleep(_AGAIN_AFTER_SECONDS)


def keep(schedule: Schedule) -> None:
    while True:
        time.sleep(1)
        if time.monotonic() >= schedule.due_at:
            threading.Thread(target=schedule.fire_if_due, daemon=True).start()


def main() -> None:
    from portal.lambda_entry import lambda_handler

    logging.disable()
    queues, schedules = subscribed(twice(lambda_handler) if "twice" in sys.argv else lambda_handler)
    for queue in queues:
        for _ in range(AT_A_TIME):
            threading.Thread(target=serve, args=(queue.poll,), daemon=True).start()
    for schedule in schedules:
        threading.Thread(target=keep, args=(schedule,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    print(json.dumps(failed), flush=True)


if __name__ == "__main__":
    main()
