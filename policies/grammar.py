"""What the Default of a Function rule can say: a closed grammar, read by hand. Nothing is ever executed.

    today()  now()  launch_date()    each with any number of terms: today()+30d, now()-12h, launch_date()+1y-1d
    instance(attribute)              one of ATTRIBUTES
    tag(key)                         another tag of the instance, also one that an earlier rule just gave

Days are d, weeks w, months m, years y and, after now() only, hours h. A day that a month does not have becomes its last
one. Days and times are UTC.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from policies.instance import Instance

# As EC2 spells them. iamInstanceProfile is the profile's name.
ATTRIBUTES = (
    "architecture",
    "availabilityZone",
    "iamInstanceProfile",
    "imageId",
    "instanceId",
    "instanceLifecycle",
    "instanceType",
    "keyName",
    "launchTime",
    "ownerId",
    "platformDetails",
    "privateDnsName",
    "privateIpAddress",
    "region",
    "state",
    "subnetId",
    "tenancy",
    "vpcId",
)
FUNCTIONS = ("today()", "now()", "launch_date()", "instance(attribute)", "tag(key)")

_THERE_IS = f"There is {', '.join(FUNCTIONS[:-1])} and {FUNCTIONS[-1]}."
_NAMES = {function.partition("(")[0]: function for function in FUNCTIONS}
_CALL = re.compile(r"\s*([^\s()]+)\s*\((.*)\)(.*)", re.DOTALL)
_NESTED = re.compile(rf"(?:{'|'.join(_NAMES)})\s*\(")
_TERM = re.compile(r"\s*([+-])\s*([0-9]{1,10})\s*([a-z])\s*")
_UNITS = {"d": timedelta(days=1), "w": timedelta(weeks=1), "h": timedelta(hours=1)}
_MONTHS = {"m": 1, "y": 12}
# A shift that leads out of the calendar from either of these is refused when the rule is saved.
_PROBES = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 12, 31, tzinfo=UTC))


class NotUnderstood(ValueError):
    """The text is not of the grammar. The message says what is wrong and what there is."""


class Unknown(LookupError):
    """There is no value for this instance. The message says why."""


class Expression(ABC):
    """What parse() understood."""

    @abstractmethod
    def value(self, instance: Instance, *, now: datetime, tags: Mapping[str, str]) -> str:
        """Return the value for an instance with these tags. Raises Unknown."""


def parse(text: str) -> Expression:
    """Read an expression. Raises NotUnderstood."""
    call = _CALL.fullmatch(text)
    if call is None:
        raise NotUnderstood(f"“{text}” is not a function. {_there_is(text.strip())}")
    name, argument, rest = call[1], call[2].strip(), call[3]
    if name not in _NAMES:
        raise NotUnderstood(f"{name}() is not known. {_there_is(name)}")
    if name in _MOMENTS:
        # The call's own parentheses are empty; others that follow are no term.
        head, _, rest = text.partition(")")
        if head.partition("(")[2].strip():
            raise NotUnderstood(f"{name}() takes nothing between the parentheses.")
        return _Moment(name, _terms(name, rest))
    if rest.strip():
        raise NotUnderstood(f"Nothing can follow {_NAMES[name]}, but “{rest.strip()}” does.")
    if _NESTED.match(argument):
        raise NotUnderstood("One function cannot stand in another.")
    return _attribute(argument) if name == "instance" else _tag(argument)


def _there_is(name: str) -> str:
    meant = _NAMES.get(name.lower())
    return f"Write {meant}." if meant else _THERE_IS


# --- Moments ----------------------------------------------------------------------------------------------------------

_MOMENTS = frozenset({"today", "now", "launch_date"})
Term = tuple[int, str]  # +30d: (30, "d")


@dataclass(frozen=True)
class _Moment(Expression):
    name: str
    terms: tuple[Term, ...]

    def value(self, instance: Instance, *, now: datetime, tags: Mapping[str, str]) -> str:
        moment = (instance.created_at if self.name == "launch_date" else now).astimezone(UTC)
        try:
            moment = _shift(moment, self.terms)
        except OverflowError as error:
            raise Unknown(f"{self.name}() with its terms leads out of the calendar") from error
        if self.name == "now":
            return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
        return moment.date().isoformat()


def _terms(name: str, text: str) -> tuple[Term, ...]:
    units = "d, w, m, y or h" if name == "now" else "d, w, m or y"
    terms: list[Term] = []
    position = 0
    while text[position:].strip():
        term = _TERM.match(text, position)
        if term is None or (term[3] not in _UNITS and term[3] not in _MONTHS) or (term[3] == "h" and name != "now"):
            raise NotUnderstood(
                f"“{text[position:].strip()}” cannot follow {name}(). A term is + or -, a whole number and {units}: "
                f"{name}()+30d."
            )
        terms.append((int(term[1] + term[2]), term[3]))
        position = term.end()
    try:
        for probe in _PROBES:
            _shift(probe, tuple(terms))
    except OverflowError as error:
        raise NotUnderstood(f"{name}(){text.strip()} leads out of the calendar.") from error
    return tuple(terms)


def _shift(moment: datetime, terms: tuple[Term, ...]) -> datetime:
    """Move the moment. Raises OverflowError outside of the years 1 to 9999."""
    for count, unit in terms:
        if unit in _UNITS:
            moment += count * _UNITS[unit]
            continue
        year, month = divmod(moment.year * 12 + moment.month - 1 + count * _MONTHS[unit], 12)
        if not 1 <= year <= 9999:
            raise OverflowError(f"There is no year {year}.")
        moment = moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
    return moment


# --- What the instance says ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Attribute(Expression):
    name: str

    def value(self, instance: Instance, *, now: datetime, tags: Mapping[str, str]) -> str:
        value = instance.attributes.get(self.name, "")
        if not value and self.name in _OWN:
            value = _OWN[self.name](instance)
        if not value.strip():
            raise Unknown(f"the instance has no {self.name}")
        return value


_OWN: dict[str, Callable[[Instance], str]] = {
    "instanceId": lambda instance: instance.instance_id,
    "region": lambda instance: instance.region,
    "state": lambda instance: instance.state,
}


def _attribute(name: str) -> _Attribute:
    if name not in ATTRIBUTES:
        meant = next((one for one in ATTRIBUTES if one.lower() == name.lower()), None)
        there_is = f"Write instance({meant})." if meant else f"There is {', '.join(ATTRIBUTES)}."
        raise NotUnderstood(f"instance({name}): “{name}” is not known. {there_is}")
    return _Attribute(name)


@dataclass(frozen=True)
class TagOf(Expression):
    """Another tag's value."""

    key: str

    def value(self, instance: Instance, *, now: datetime, tags: Mapping[str, str]) -> str:
        value = tags.get(self.key)
        if value is None:
            raise Unknown(f"the instance has no tag {self.key}")
        if not value.strip():
            raise Unknown(f"its tag {self.key} is empty")
        return value


def _tag(key: str) -> TagOf:
    if not key:
        raise NotUnderstood("tag() needs the key of a tag: tag(Owner).")
    if key[0] in "\"'“‘" and key[-1] in "\"'”’":
        raise NotUnderstood("The key of a tag is written without quotes: tag(Owner).")
    if len(key) > 128:
        raise NotUnderstood("The key of a tag has at most 128 characters.")
    return TagOf(key)
