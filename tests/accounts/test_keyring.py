"""Nobody is ever handed somebody else's credentials, nor any that are over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.keyring import Holding, Key, Keyring
from portal.accounts.sts import Credentials

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE = st.sampled_from(["ada", "grace", "mary"])
ROLES = st.sampled_from(["person", "operator"])
ACTS = st.sampled_from(["get", "forget", "forget_all", "wait", "fail"])


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def holding(key: Key, *, hours: float = 1) -> Holding:
    until = datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=hours)
    return Holding(f"identity of {key[0]}", Credentials(f"{key[0]} as {key[1]}", "secret", "token", until))


@given(
    st.lists(st.tuples(ACTS, PEOPLE, ROLES, st.integers(0, 3600)), max_size=40),
    st.integers(1, 6),
)
def test_whatever_happens_everyone_has_their_own_and_it_is_good(
    steps: list[tuple[str, str, str, int]], size: int
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        ring = Keyring(size, early_seconds=300)
        ended: dict[str, float] = {}
        for act, who, role, seconds in steps:
            match act:
                case "get":
                    got = ring.get((who, role), lambda who=who, role=role: holding((who, role)))
                    assert got.identity_id == f"identity of {who}"
                    assert got.credentials.access_key_id == f"{who} as {role}"
                    assert got.credentials.expires_at.timestamp() - time.time() >= 300
                    assert got.credentials.expires_at.timestamp() - 3600 >= ended.get(who, 0)
                case "fail":
                    # Only where something is to be made, and then nothing old comes instead.
                    try:
                        got = ring.get((who, role), failing)
                        assert got.credentials.access_key_id == f"{who} as {role}"
                    except ZeroDivisionError:
                        pass
                case "forget":
                    ended[who] = time.time()
                    ring.forget(who, not_before=time.time())
                case "forget_all":
                    ended = dict.fromkeys(["ada", "grace", "mary"], time.time())
                    ring.forget_all(not_before=time.time())
                case "wait":
                    clock.shift(seconds)


def failing() -> Holding:
    raise ZeroDivisionError


def test_requests_that_come_together_make_one_exchange() -> None:
    ring, made, start = Keyring(8, early_seconds=300), [], threading.Barrier(8)

    def make() -> Holding:
        made.append(1)
        time.sleep(0.02)
        return holding(("ada", "person"))

    got: list[Holding] = []

    def ask() -> None:
        start.wait()
        got.append(ring.get(("ada", "person"), make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(one is got[0] for one in got)


def test_people_who_ask_at_the_same_time_get_their_own() -> None:
    ring, wrong, start = Keyring(4, early_seconds=300), [], threading.Barrier(12)

    def ask(number: int) -> None:
        who = f"person {number % 6}"
        start.wait()
        for turn in range(50):
            role = f"role {turn % 2}"
            got = ring.get((who, role), lambda role=role: holding((who, role)))
            if got.credentials.access_key_id != f"{who} as {role}":
                wrong.append(got)
            if turn % 7 == 0:
                ring.forget(who)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_slow_exchange_holds_up_nobody_else() -> None:
    ring, slow, done = Keyring(8, early_seconds=300), threading.Event(), threading.Event()

    def make() -> Holding:
        slow.set()
        assert done.wait(5)
        return holding(("ada", "person"))

    thread = threading.Thread(target=ring.get, args=(("ada", "person"), make))
    thread.start()
    assert slow.wait(5)
    assert ring.get(("grace", "person"), lambda: holding(("grace", "person")))
    done.set()
    thread.join()


def test_what_is_being_made_while_it_is_ended_is_not_kept(clock: time_machine.Coordinates) -> None:
    ring, made = Keyring(8, early_seconds=300), []

    def make() -> Holding:
        made.append(time.time())
        if len(made) == 1:
            ring.forget("ada", not_before=time.time() + 1)
            clock.shift(1)
        return holding(("ada", "person"))

    ring.get(("ada", "person"), make)
    assert made == [NOON.timestamp(), NOON.timestamp() + 1]


def test_what_was_ended_while_a_request_waited_its_turn_is_not_used(clock: time_machine.Coordinates) -> None:
    ring, key = Keyring(8, early_seconds=300), ("ada", "person")
    first = ring.get(key, lambda: holding(key))
    clock.shift(10)
    place = ring._places[key]

    class Turn:
        def __enter__(self) -> None:
            ring.forget("ada", not_before=time.time())

        def __exit__(self, *_: object) -> None:
            pass

    place.lock = Turn()  # type: ignore[assignment]
    assert ring.get(key, lambda: holding(key)) != first


def test_nothing_is_made_in_the_second_that_is_being_ended() -> None:
    ring = Keyring(8, early_seconds=300)
    not_before = time.time() + 0.05
    ring.forget("ada", not_before=not_before)
    made: list[float] = []
    ring.make("ada", lambda: made.append(time.time()) or holding(("ada", "person")))  # type: ignore[func-returns-value]
    assert made[0] >= not_before


def test_the_least_used_go_when_there_are_too_many(clock: time_machine.Coordinates) -> None:
    ring, made = Keyring(2, early_seconds=300), []

    def get(who: str) -> None:
        ring.get((who, "person"), lambda: made.append(who) or holding((who, "person")))  # type: ignore[func-returns-value]

    for who in ("ada", "grace", "ada", "mary", "ada", "grace"):
        get(who)
    assert made == ["ada", "grace", "mary", "grace"]


def test_no_secret_is_in_what_is_printed() -> None:
    shown = repr(Holding("eu-west-1:1", Credentials("ASIA1", "hidden-secret", "hidden-token", NOON)))
    assert "ASIA1" in shown
    assert "hidden" not in shown
