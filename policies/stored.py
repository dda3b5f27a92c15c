"""The rules as they are stored: which items are some, what is wrong with the others, and the portal's book of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from policies.rules import Malformed, Rule, RuleBook, read

_SEAL_CHARACTERS = 12
_MOST_TOLD, _MOST_CHARACTERS = 50, 300


def book(items: Iterable[Mapping[str, Any]]) -> RuleBook:
    """Make the rules among items ready for this portal: with its region and its seal."""
    return RuleBook(good(items), default_region=settings.AWS_REGION, seal=seal)


def seal(instance_id: str, text: str) -> str:
    """Seal a mark, so that nobody who may tag an instance can make one or carry it to another."""
    return salted_hmac("policies.deadline", f"{instance_id} {text}", algorithm="sha256").hexdigest()[:_SEAL_CHARACTERS]


def good(items: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
    """Yield the rules among items, which are plain attributes."""
    for one in items:
        try:
            yield read(one)
        except Malformed:
            continue


def is_good(item: Mapping[str, Any]) -> bool:
    return any(good([item]))


def malformed(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with the items that are no rules: of each a little, of very many not each."""
    told = []
    for one in items:
        try:
            read(one)
        except Malformed as error:
            told.append(str(error)[:_MOST_CHARACTERS])
    more = len(told) - _MOST_TOLD
    return [*told[:_MOST_TOLD], *([f"{more:,} more make no sense."] if more > 0 else [])]
