"""The tag policies side by side with Cloud Custodian and with the published example's loop: calls, CPU and memory.

Calls are counted on the local cloud and on prepared answers; CPU and memory are taken on prepared answers only, because
an emulator takes longer than any client.
"""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from bench.policies_counted import count
from bench.policies_fleet import as_wanted, bound, digest, fleet
from bench.policies_prepared import measure
from bench.policies_sides import (
    CLOUD_CUSTODIAN,
    LOOP,
    LOOP_WITH_CREATORS,
    PORTICO,
    PORTICO_WITH_CREATORS,
    WORK,
    Measured,
    Side,
)
from bench.request import ROOT, environment

SIZES = (1_000, 10_000)
# Those that do the same job, and first the one that CPU is compared with.
JOBS = {
    "two rules": (CLOUD_CUSTODIAN, LOOP, PORTICO),
    "three rules, who launched it among them": (LOOP_WITH_CREATORS, PORTICO_WITH_CREATORS),
}
_ROW = "  {:<20}{:>8}{:>10}{:>10}{:>8}{:>8}{:>22}{:>9}"

Results = Mapping[Side, Measured]
By = Mapping[tuple[int, Side], Measured]


def main() -> None:
    for folder in ("bench", "policies", "portal"):
        compileall.compile_dir(ROOT / folder, quiet=2)
    now = datetime.now(UTC)
    prepared = {size: measure(size, now) for size in SIZES}
    counted = count(now)
    print("Tag policies, one run in a process of its own:")
    for size in SIZES:
        for job, sides in JOBS.items():
            _print_job(size, now, job, [side for side in sides if side in prepared[size]], prepared[size])
        for side in (CLOUD_CUSTODIAN, PORTICO, PORTICO_WITH_CREATORS):
            print(f"  {side.name}'s other calls, {side.rules} rules: {_listed(prepared[size][side].besides)}")
    _print_growth(prepared)
    all_of_it = {(size, side): one for size, results in prepared.items() for side, one in results.items()}
    print(f"What is left is what the rules say    {_wrong(all_of_it, counted, now) or 'on every side'}")
    print(f"Counted on the local cloud            {_otherwise(all_of_it, counted) or 'the same calls'}")
    for rules in (2, 3):
        print(f"Evaluation alone, {rules} rules             {_evaluation(rules):.1f} µs for each instance and rule")


def _print_job(size: int, now: datetime, job: str, sides: list[Side], results: Results) -> None:
    peer = sides[0]
    fewest = bound(fleet(size, now), with_creators=peer.rules == 3)
    print(f"\n{size:,} instances, {job}; CPU against {peer.name} (= 1):")
    print(_ROW.format("", "calls", "× fewest", "Describe", "Create", "Lookup", "CPU", "peak MB"))
    print(_ROW.format("the fewest", fewest.calls, "", fewest.describes, fewest.creates, fewest.lookups, "", ""))
    for side in sides:
        one = results[side]
        calls = [one.calls[name] for name in WORK]
        ratio = "1" if side is peer else _compared(one.cpu, results[peer].cpu)
        peak = f"{statistics.median(one.peak):.0f}"
        print(_ROW.format(side.name, one.work, f"{one.work / fewest.calls:.2f}", *calls, ratio, peak))


def _compared(values: list[float], others: list[float]) -> str:
    """Say the median ratio of pairs, and the least and the most; of what ran once, its only time is everyone's pair."""
    pairs = zip(values, others * (len(values) if len(others) == 1 else 1), strict=False)
    ratios = [value / other for value, other in pairs]
    return f"{statistics.median(ratios):.3f}" + (f" ({min(ratios):.3f}–{max(ratios):.3f})" if len(ratios) > 1 else "")


def _print_growth(prepared: Mapping[int, Results]) -> None:
    """Say what each further instance takes, which leaves out what starting takes."""
    small, large = (prepared[size] for size in SIZES)

    def more(side: Side) -> float:
        return statistics.median(large[side].cpu) - statistics.median(small[side].cpu)

    def growth(side: Side) -> float:
        return statistics.median(large[side].peak) / statistics.median(small[side].peak)

    print("\nFrom 1,000 to 10,000 instances:")
    for side, peer in ((PORTICO, CLOUD_CUSTODIAN), (PORTICO_WITH_CREATORS, LOOP_WITH_CREATORS)):
        print(f"  CPU of each further instance, {side.rules} rules   {more(side) / more(peer):.3f} × {peer.name}'s")
    for side in (PORTICO, PORTICO_WITH_CREATORS, CLOUD_CUSTODIAN):
        print(f"  peak memory, {f'{side.name}, {side.rules} rules':<29}{growth(side):.2f} ×")


def _wrong(measured: By, counted: By, now: datetime) -> str:
    wanted = {
        (size, rules): digest(as_wanted(fleet(size, now), now, with_creators=rules == 3))
        for size in SIZES
        for rules in (2, 3)
    }
    return ", ".join(
        f"not with {side.name}, {side.rules} rules, {size:,} instances"
        for results in (measured, counted)
        for (size, side), one in results.items()
        if one.digest != wanted[size, side.rules]
    )


def _otherwise(measured: By, counted: By) -> str:
    return ", ".join(
        f"{one.work} with {side.name}, {side.rules} rules, {size:,} instances"
        for (size, side), one in counted.items()
        if one.work != measured[size, side].work
    )


def _evaluation(rules: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.policies_worker", "evaluate", str(rules)],
        cwd=ROOT,
        env={**environment(1), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _listed(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in calls.items()) or "none"


if __name__ == "__main__":
    main()
