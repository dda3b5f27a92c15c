"""How far a run is: the record and the pages of findings, saved as it goes, by whoever works on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from policies import findings
from policies.instance import Finding
from policies.lease import Lease
from policies.runs import Run, State, runs
from portal.dynamo.table import Conflict

# What is left of an invocation's time when a run pauses: the outcomes have to be written.
RESERVE_SECONDS = 20
# While nothing but a number changes, the record is written this often.
OFTEN_SECONDS = 1.0


class Paused(Exception):
    """The time is up; the run goes on in the next invocation."""


class Cancelled(Exception):
    """Somebody asked for the end of the run."""


class Progress:
    """One invocation's hold on a run. `check` belongs before each call of AWS that takes time or changes something."""

    def __init__(
        self, run: Run, *, until: float, held: Lease, on_progress: Callable[[Run], None] | None = None
    ) -> None:
        self.run = run
        self._until = until - RESERVE_SECONDS
        self._lease = held
        self._on_progress = on_progress
        # The pages as they are stored: some ten bytes an instance.
        self._packed: dict[int, bytes] = {}
        self._saved_at = 0.0
        # Whether all that is known was read by this invocation, and since when.
        self._reads_all = run.state is State.QUEUED
        self._began_at = time.monotonic()

    def is_fresh(self, seconds: float) -> bool:
        """Tell whether everything that the run knows was read within the last so many seconds."""
        return self._reads_all and time.monotonic() - self._began_at < seconds

    def check(self) -> None:
        """Raises Paused, Cancelled or lease.Lost."""
        self._lease.renew()
        if self.run.cancel_asked:
            raise Cancelled
        if time.monotonic() > self._until:
            raise Paused

    def save(self, **changes: Any) -> None:
        """Write the record."""
        while True:
            new = self.run.model_copy(update=changes)
            try:
                runs.replace(new, was=self.run)
            except Conflict:
                # All that others write is that they ask for the end.
                stored = runs.get(new.run_id, consistent=True)
                if stored != self.run.model_copy(update={"cancel_asked": True}):
                    raise
                self.run = stored
                continue
            self.run = new
            self._saved_at = time.monotonic()
            if self._on_progress:
                self._on_progress(new)
            return

    def save_now_and_then(self, **changes: Any) -> None:
        """Write the record unless that was done a moment ago."""
        if time.monotonic() - self._saved_at > OFTEN_SECONDS:
            self.save(**changes)

    def note(self, problem: str) -> None:
        """Tell of something that went wrong in general, once."""
        if problem not in self.run.problems:
            self.save(problems=(*self.run.problems, problem))

    # --- Findings ---

    def add(self, found: Iterable[Finding]) -> int:
        """Store findings as pages behind those there are, and return how many pages there are then. They count only
        once the record says so: what was stored before a crash is written over."""
        number = self.run.pages
        for packed in findings.pack(found):
            self._put(number, packed)
            number += 1
        return number

    def pages(self) -> Iterator[tuple[int, list[Finding]]]:
        """Yield each page's number and findings, one page in memory at a time."""
        for number in range(self.run.pages):
            if number not in self._packed:
                self._packed[number] = findings.get(self.run.run_id, number) or findings.packed([])
            yield number, findings.unpack(self._packed[number])

    def rewrite(self, number: int, page: list[Finding]) -> None:
        """Store a page in place of what it was."""
        self._put(number, findings.packed(page))

    def _put(self, number: int, packed: bytes) -> None:
        findings.put(self.run.run_id, number, packed, expires_at=self.run.expires_at)
        self._packed[number] = packed
