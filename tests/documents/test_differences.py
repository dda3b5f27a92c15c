"""What is different between two versions, line by line, and in time."""

from __future__ import annotations

import pytest

from documents import differences, workshop
from documents.workshop import TookTooLong


@pytest.mark.parametrize(
    ("then", "now", "lines"),
    [
        ("", "", []),
        ("a\nb", "a\nb\n", []),
        ("a", "b", [("-", "a"), ("+", "b")]),
        ("", "a", [("+", "a")]),
        ("a\nb\nc", "a\nc", [(" ", "a"), ("-", "b"), (" ", "c")]),
        (
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n10",
            "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10",
            [
                ("?", "1 line"),
                *((" ", n) for n in "234"),
                ("-", "5"),
                ("+", "five"),
                *((" ", n) for n in "678"),
                ("?", "2 lines"),
            ],
        ),
        (
            "\n".join(map(str, range(20))),
            "\n".join(["zero", *map(str, range(1, 19)), "nineteen"]),
            [
                *[("-", "0"), ("+", "zero"), (" ", "1"), (" ", "2"), (" ", "3")],
                ("?", "12 lines"),
                *[(" ", "16"), (" ", "17"), (" ", "18"), ("-", "19"), ("+", "nineteen")],
            ],
        ),
    ],
)
def test_differences_are_said_with_what_is_around_them(then: str, now: str, lines: list[tuple[str, str]]) -> None:
    assert differences.difference(then, now) == lines
    assert workshop.difference(then, now) == lines


def test_differences_that_take_too_long_are_given_up() -> None:
    then, now = "\n".join("ab" * 30_000), "\n".join("ba" * 20_000)
    with pytest.raises(TookTooLong):
        workshop.difference("x\n" + then, now + "\ny", seconds=0.2)
