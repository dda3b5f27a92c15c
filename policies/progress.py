"""How far a run is: the record and the pages of findings, saved as it goes, by whoever works on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from policies import findings
from policies.instance import Finding
from policies.lease import Lease, Lost
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
        self.is_from_the_start = run.state is State.TELLING  # this invocation has done nothing else
        self._lease = held
        self._on_progress = on_progress
        # The pages as they are stored: some ten bytes an instance.
        self._packed: dict[int, bytes] = {}
        self._saved_at = self._asked_at = 0.0  # by time.monotonic()
        # An earlier invocation may have written what its findings do not say.
        self.was_applying = run.state is State.APPLYING
        # Since when everything that is still to be done was read, if it was.
        self._read_at = time.monotonic() if run.state is State.QUEUED else None

    @property
    def seconds_since_reading(self) -> float:
        """How old the oldest is that the run knows of what is still to be done."""
        return math.inf if self._read_at is None else time.monotonic() - self._read_at

    def read_again(self) -> None:
        """Take note that all of that is being read now."""
        self._read_at = time.monotonic()

    @property
    def seconds_left(self) -> float:
        return self._until - time.monotonic()

    def hold(self) -> None:
        """Keep the lease. Raises lease.Lost."""
        self._lease.renew()

    def check(self, *, minds_cancelling: bool = True) -> None:
        """Raises Paused, Cancelled or lease.Lost."""
        self.hold()
        if minds_cancelling and self._is_cancelled():
            raise Cancelled
        if self.seconds_left < 0:
            raise Paused

    def _is_cancelled(self) -> bool:
        """Tell whether somebody asked for the end, as of a second ago."""
        if not self.run.cancel_asked and time.monotonic() - max(self._saved_at, self._asked_at) > OFTEN_SECONDS:
            self._asked_at = time.monotonic()
            stored = runs.get(self.run.run_id, consistent=True)
            self.run = self.run.model_copy(update={"cancel_asked": stored.cancel_asked})
        return self.run.cancel_asked

    def save(self, **changes: Any) -> None:
        """Write the record."""
        self.become(lambda run: run.model_copy(update=changes))

    def become(self, change: Callable[[Run], Run]) -> None:
        """Write the record as a function makes it of the one that there is."""
        while True:
            new = change(self.run)
            try:
                runs.replace(new, was=self.run)
            except Conflict:
                # All that others write is that they ask for the end; or end it, when the lease had run out.
                stored = runs.get(new.run_id, consistent=True)
                if stored.is_over:
                    raise Lost from None
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
        self.hold()
        findings.put(self.run.run_id, number, packed, expires_at=self.run.expires_at)
        self._packed[number] = packed
