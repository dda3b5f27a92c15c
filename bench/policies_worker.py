"""Portico's side of the comparison, in a process of its own: `python -m bench.policies_worker enforce|evaluate RULES`.

`enforce` is one run of the rules in the table, as the schedule starts it. `evaluate` prints the microseconds of CPU
that the rules take for each instance and rule, reading and writing left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import UTC, datetime

import django

REPEATS = 15


def wait_for_nothing() -> None:
    """Put the clock forward wherever somebody sleeps: what hangs on the time that passed happens all the same."""
    now, slept = time.monotonic, 0.0

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    time.sleep, time.monotonic = sleep, lambda: now() + slept


def enforce() -> None:
    from policies import engine
    from policies.runs import Kind, State

    if os.environ.get("BENCH_AT_ONCE"):
        wait_for_nothing()
    run = engine.begin(Kind.ENFORCE, by=None, now=datetime.now(UTC), vpc_ids=[os.environ["BENCH_VPC"]])
    while not run.is_over:
        run = engine.step(run.run_id, until=time.monotonic() + 900)
    assert run.state is State.DONE, (run.state, run.problems)
    assert not run.problems, run.problems


def evaluate() -> None:
    from bench.policies_answers import around_tags, tag_set
    from bench.policies_fleet import REGION, fleet
    from bench.policies_sides import RULES
    from policies.description import read as read_instances
    from policies.rules import Counts, RuleBook
    from policies.rules import read as read_rule
    from portal.dynamo.values import from_item

    now = datetime.now(UTC)
    around = [(one, *around_tags(one)) for one in fleet(1000, now)]
    xml = "".join(f"{before}{tag_set(one.tags)}{after}" for one, before, after in around)
    answer = f"<DescribeInstancesResponse><reservationSet>{xml}</reservationSet></DescribeInstancesResponse>"
    instances, _ = read_instances(answer.encode(), REGION)
    count = int(sys.argv[2])
    rules = RuleBook([read_rule(from_item(item)) for item in RULES[:count]])
    took = []
    for _ in range(REPEATS):
        counts = Counts()
        started = time.process_time()
        for one in instances:
            rules.evaluate(one, now=now, counts=counts)
        took.append(time.process_time() - started)
    print(statistics.median(took) / len(instances) / count * 1e6)


if __name__ == "__main__":
    django.setup()
    {"enforce": enforce, "evaluate": evaluate}[sys.argv[1]]()
