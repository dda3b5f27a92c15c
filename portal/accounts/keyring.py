"""What a process remembers of people's credentials: each person's own, for as long as they are good."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal.accounts.sts import Credentials

# A key is (who, as what): the sub and the role.
Key = tuple[str, str]


@dataclass(frozen=True)
class Holding:
    """Someone's identity and credentials, and the clients that were made with them."""

    identity_id: str
    credentials: Credentials
    clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


class _Place:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holding: Holding | None = None
        self.made_at = 0.0


class Keyring:
    """A bounded, thread-safe mapping. Requests that need the same new credentials wait for one exchange."""

    def __init__(self, size: int, *, early_seconds: float) -> None:
        self._size = size
        self._early_seconds = early_seconds
        self._places: OrderedDict[Key, _Place] = OrderedDict()
        self._not_before: dict[str, float] = {}
        self._nothing_before = 0.0
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Holding]) -> Holding:
        """Return what is held under a key; made anew where there is nothing, or it is about to expire."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self._size:
                self._places.popitem(last=False)
        with place.lock:
            # Ended while this request waited its turn, it is not used either.
            if place.holding is None or self._is_due(place.holding) or place.made_at < self._cutoff(key[0]):
                # Never the old one again, should `make` fail.
                place.holding = None
                place.made_at, place.holding = self._make(key[0], make)
            return place.holding

    def make(self, who: str, make: Callable[[], Holding]) -> Holding:
        """Make something that is not kept here, but no sooner than `forget` allows."""
        return self._make(who, make)[1]

    def _make(self, who: str, make: Callable[[], Holding]) -> tuple[float, Holding]:
        while True:
            self._wait(who)
            asked_at = time.time()
            made = make()
            if asked_at >= self._cutoff(who):
                return asked_at, made

    def forget(self, who: str, *, not_before: float = 0) -> None:
        """Drop all that is held for a person. What is made before a moment (seconds since 1970) is not kept either."""
        with self._lock:
            for key in [key for key in self._places if key[0] == who]:
                del self._places[key]
            now = time.time()
            self._not_before = {one: until for one, until in self._not_before.items() if until > now - 60}
            if not_before:
                self._not_before[who] = not_before

    def forget_all(self, *, not_before: float) -> None:
        """Drop all that is held for anybody, and keep nothing that is made before a moment."""
        with self._lock:
            self._places.clear()
            self._nothing_before = not_before

    def drop(self, key: Key, holding: Holding) -> None:
        """Drop one holding, unless another has taken its place."""
        with self._lock:
            place = self._places.get(key)
            if place is not None and place.holding is holding:
                del self._places[key]

    def _is_due(self, holding: Holding) -> bool:
        return holding.credentials.expires_at.timestamp() - time.time() < self._early_seconds

    def _cutoff(self, who: str) -> float:
        with self._lock:
            return max(self._not_before.get(who, 0), self._nothing_before)

    def _wait(self, who: str) -> None:
        # Never more than the second for which AWS's clock stands still.
        if (seconds := self._cutoff(who) - time.time()) > 0:
            time.sleep(min(seconds, 1))
