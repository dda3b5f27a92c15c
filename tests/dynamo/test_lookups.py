"""Filters of items mean what Django says they mean, and an unknown one is refused."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Count, F, Q
from django.db.utils import NotSupportedError
from hypothesis import given
from hypothesis import strategies as st

from rides.models import Unicorn

words = st.text(st.sampled_from("aAbBßç"), max_size=3)
numbers = st.decimals(-90, 90, places=2)
maybe_numbers = st.none() | numbers
unicorns = st.builds(Unicorn, unicorn_id=st.uuids().map(str), name=words, latitude=maybe_numbers, speed=numbers)
herds = st.lists(unicorns, max_size=6)


def among(herd):
    """Return the manager's queryset over these unicorns, as if the table had been read."""
    queryset = Unicorn.objects.all()
    queryset._rows._loaded = list(herd)
    return queryset


def fold(text):
    return text.casefold()


TEXTS = {
    "exact": operator.eq,
    "iexact": lambda held, text: fold(held) == fold(text),
    "contains": lambda held, text: text in held,
    "icontains": lambda held, text: fold(text) in fold(held),
    "startswith": str.startswith,
    "istartswith": lambda held, text: fold(held).startswith(fold(text)),
    "endswith": str.endswith,
    "iendswith": lambda held, text: fold(held).endswith(fold(text)),
    "gt": operator.gt,
    "lt": operator.lt,
}
ORDERS = {"exact": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


@pytest.mark.parametrize("lookup", TEXTS)
@given(herd=herds, text=words)
def test_lookups_of_text(lookup, herd, text):
    expected = [one for one in herd if TEXTS[lookup](one.name, text)]
    assert list(among(herd).filter(**{f"name__{lookup}": text})) == expected
    assert list(among(herd).exclude(**{f"name__{lookup}": text})) == [one for one in herd if one not in expected]


@pytest.mark.parametrize("lookup", ORDERS)
@given(herd=herds, number=numbers)
def test_lookups_of_numbers_as_numbers_or_as_typed(lookup, herd, number):
    expected = [one for one in herd if one.latitude is not None and ORDERS[lookup](one.latitude, number)]
    for value in (number, str(number)):
        assert list(among(herd).filter(**{f"latitude__{lookup}": value})) == expected


@given(herds, st.lists(numbers, max_size=3), numbers, numbers)
def test_lists_ranges_and_what_is_missing(herd, several, low, high):
    known = [one for one in herd if one.latitude is not None]
    assert list(among(herd).filter(latitude__in=several)) == [one for one in known if one.latitude in several]
    assert list(among(herd).filter(latitude__range=(low, high))) == [
        one for one in known if low <= one.latitude <= high
    ]
    assert list(among(herd).filter(latitude__isnull=False)) == known
    missing = [one for one in herd if one.latitude is None]
    assert list(among(herd).filter(latitude__isnull=True)) == missing
    assert list(among(herd).filter(latitude=None)) == missing


@given(herds, words, numbers)
def test_conditions_are_combined(herd, text, number):
    named, north = Q(name__icontains=text), Q(latitude__gt=number)

    def is_named(one):
        return fold(text) in fold(one.name)

    def is_north(one):
        return one.latitude is not None and one.latitude > number

    for condition, expected in [
        (named & north, lambda one: is_named(one) and is_north(one)),
        (named | north, lambda one: is_named(one) or is_north(one)),
        (named ^ north, lambda one: is_named(one) != is_north(one)),
        (~named & north, lambda one: not is_named(one) and is_north(one)),
        (~(named | north), lambda one: not (is_named(one) or is_north(one))),
        (~(named & ~north), lambda one: not (is_named(one) and not is_north(one))),
        (Q(), lambda one: True),
        (~Q(), lambda one: True),
        (Q(Q(), named, _connector=Q.OR), is_named),
    ]:
        assert list(among(herd).filter(condition)) == [one for one in herd if expected(one)], condition
    assert list(among(herd).filter(named, latitude__gt=number)) == list(among(herd).filter(named).filter(north))


@given(herds)
def test_orders_are_stable_and_missing_values_the_greatest(herd):
    last = Decimal(10**6)
    by_latitude = sorted(herd, key=lambda one: last if one.latitude is None else one.latitude)
    assert list(among(herd).order_by("latitude")) == by_latitude
    descending = sorted(herd, key=lambda one: last if one.latitude is None else one.latitude, reverse=True)
    assert list(among(herd).order_by("-latitude")) == descending
    expected = sorted(sorted(herd, key=lambda one: one.pk), key=lambda one: (fold(one.name), one.name), reverse=True)
    assert [one.name for one in among(herd).order_by("-name", "pk")] == [one.name for one in expected]
    assert list(among(herd).order_by("name").reverse()) == list(among(herd).order_by("name"))[::-1]


@given(herds, st.integers(0, 7), st.integers(0, 7))
def test_slices_counts_and_values_are_those_of_a_list(herd, start, stop):
    rows = among(herd)
    assert list(rows[start:stop]) == herd[start:stop]
    assert rows[start:stop].count() == len(herd[start:stop])
    assert rows.exists() is bool(herd)
    assert rows.first() == min(herd, key=lambda one: one.pk, default=None) or rows.first() == (herd or [None])[0]
    assert rows.values_list("name", flat=True) == [one.name for one in herd]
    assert rows.values_list("name", "speed") == [(one.name, one.speed) for one in herd]
    assert rows.distinct().values_list("name", flat=True) == list(dict.fromkeys(one.name for one in herd))
    assert list(rows.none()) == []


def test_get_returns_one_or_says_how_many():
    herd = [
        Unicorn(unicorn_id="1", name="Angel"),
        Unicorn(unicorn_id="2", name="Gil"),
        Unicorn(unicorn_id="3", name="Gil"),
    ]
    assert among(herd).get(name="Angel").pk == "1"
    with pytest.raises(Unicorn.DoesNotExist):
        among(herd).get(name="Rocinante")
    with pytest.raises(Unicorn.MultipleObjectsReturned, match="2"):
        among(herd).get(name="Gil")


def test_moments_are_compared_as_moments():
    herd = [Unicorn(unicorn_id=str(hour), busy_until=datetime(2026, 11, 21, hour, tzinfo=UTC)) for hour in (7, 8, 9)]
    assert [one.pk for one in among(herd).filter(busy_until__gte="2026-11-21T08:00:00Z")] == ["8", "9"]


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ({"name__regex": "."}, NotSupportedError),
        ({"busy_until__year": 2026}, NotSupportedError),
        ({"name__lower__exact": "a"}, NotSupportedError),
        ({"name": F("color")}, NotSupportedError),
        ({"nothing": 1}, FieldError),
        ({"name__isnull": "yes"}, ValueError),
        ({"name__in": "Angel"}, ValueError),
        ({"name__contains": None}, ValueError),
        ({"latitude__gt": "north"}, ValidationError),
    ],
)
def test_what_is_not_understood_is_refused_even_among_nothing(condition, error):
    with pytest.raises(error):
        among([]).filter(**condition)
    with pytest.raises(error):
        among([]).exclude(Q(name="a") | Q(**condition))


@pytest.mark.parametrize(
    "query",
    [
        lambda rows: rows.annotate(n=Count("pk")),
        lambda rows: rows.alias(n=F("name")),
        lambda rows: rows.aggregate(n=Count("pk")),
        lambda rows: rows.values("name"),
        lambda rows: rows.only("name"),
        lambda rows: rows.defer("name"),
        lambda rows: rows.select_related("ride"),
        lambda rows: rows.prefetch_related("ride"),
        lambda rows: rows.extra(where=["1"]),
        lambda rows: rows.union(rows),
        lambda rows: rows | rows,
        lambda rows: rows.select_for_update(),
        lambda rows: rows.dates("busy_until", "day"),
        lambda rows: rows.latest("busy_until"),
        lambda rows: rows.update(name="x"),
        lambda rows: rows.bulk_create([]),
        lambda rows: rows.in_bulk(["a"]),
        lambda rows: rows.get_or_create(name="a"),
        lambda rows: rows.raw("SELECT 1"),
        lambda rows: rows.order_by("?"),
        lambda rows: rows.order_by(F("name").desc()),
        lambda rows: rows.distinct("name"),
        lambda rows: rows.values_list("name", named=True),
        lambda rows: rows.explain(),
    ],
)
def test_what_needs_a_database_is_refused(query):
    with pytest.raises(NotSupportedError):
        query(among([Unicorn(unicorn_id="1")]))


def test_what_was_sliced_is_neither_filtered_nor_ordered():
    rows = among([Unicorn(unicorn_id="1"), Unicorn(unicorn_id="2")])[:1]
    for further in (lambda: rows.filter(pk="2"), lambda: rows.order_by("name"), lambda: rows.exclude(pk="1")):
        with pytest.raises(TypeError):
            further()
