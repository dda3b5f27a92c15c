"""The rules of policy_variables.py by themselves; test_iam.py has what they do to calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.localcloud.standins.policy_variables import _compile, substitute

KEYS = {"aws:username": "ada", "aws:tagkeys": ["a", "b"], "aws:userid": "A*?$"}


def matches(pattern: str, text: str) -> bool:
    """Return whether a text is like a pattern after its variables got the values in KEYS."""
    substituted = substitute(pattern, lambda key: KEYS.get(key.lower()))
    return substituted is not None and _compile(substituted, False).match(text) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "like"),
    [
        ("home/*", "home/ada", True),
        ("home/${aws:username}", "home/ada", True),
        ("home/${AWS:UserName}/*", "home/ada/x/y", True),
        ("home/${aws:username}", "home/Ada", False),
        ("home/${aws:username}", "home/ada\n", False),
        ("${aws:username}-${aws:username}", "ada-ada", True),
        ("${aws:nobody}*", "", False),
        ("${aws:nobody, 'x'}", "x", True),
        ("${aws:nobody,'x'}", "x", True),
        ("${aws:nobody, ''}", "", True),
        ("${aws:username, 'x'}", "x", False),
        # Several values are no value.
        ("${aws:tagkeys}", "a", False),
        ("${aws:userid}", "A*?$", True),
        ("${aws:userid}", "Axyz", False),
        ("${*}${?}${$}", "*?$", True),
        ("${*}", "anything", False),
        ("a$b", "a$b", True),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_variable_becomes_its_value(pattern: str, text: str, like: bool) -> None:
    assert matches(pattern, text) is like


@given(value=st.text(alphabet="ab*?${}.\\", max_size=8), other=st.text(alphabet="ab*?${}.\\", max_size=8))
def test_value_is_like_itself_and_nothing_else(value: str, other: str) -> None:
    pattern = substitute("${k}", lambda _key: value)
    assert pattern is not None
    assert (_compile(pattern, False).match(other) is not None) is (other == value)
