"""A rule as an item of the table, and all that can be wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from policies import grammar
from policies.allowed import compiled, holds_control_characters, is_allowed, refusal
from policies.rule import (
    DEFAULT_GRACE_DAYS,
    MOST_GRACE_DAYS,
    MOST_KEY_CHARACTERS,
    MOST_VALUE_CHARACTERS,
    Action,
    Malformed,
    Problem,
    Rule,
    Untagged,
)

MOST_PATTERN_CHARACTERS = 200

_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")


def read(attributes: Mapping[str, Any]) -> Rule:
    """Read a rule from an item's plain attributes. Raises Malformed with everything that is wrong."""
    reading = _Reading(attributes)
    rule = reading.rule()
    if reading.problems:
        raise Malformed(_shown_id(attributes.get("RuleId")), reading.problems)
    return rule


def problems(attributes: Mapping[str, Any]) -> list[Problem]:
    """Return everything that is wrong with an item's plain attributes."""
    reading = _Reading(attributes)
    reading.rule()
    return reading.problems


class _Reading:
    """Reads one item, and collects what is wrong."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = attributes
        self.problems: list[Problem] = []

    def rule(self) -> Rule:
        """Return the rule; it is only good if there are no problems."""
        rule = Rule(
            rule_id=self.whole("RuleId", "rule_id", None, below=10**38),
            tag_key=self.tag_key(),
            action=Action(self.choice("Action", "action", [*Action], Action.UPDATE, is_needed=True)),
            required=self.choice("Required", "required", ["Y", "N"], "N", is_needed=True) == "Y",
            default=self.text("Default", "default"),
            vpc_ids=frozenset(self.shaped("VpcIds", "vpc_ids", _VPC, "the id of a VPC, such as vpc-0a1b2c3d4e5f67890")),
            regions=frozenset(self.shaped("Regions", "regions", _REGION, "a region, such as eu-west-1")),
            tag_filter=self.tag_filter(),
            allowed_values=self.allowed_values(),
            allowed_pattern=self.allowed_pattern(),
            untagged=Untagged(self.choice("Untagged", "untagged", [*Untagged], Untagged.REPORT)),
            grace_days=self.grace_days(),
            order=self.whole("Order", "order", 0, below=10**9),
            enabled=self.choice("Enabled", "enabled", ["Y", "N"], "Y") == "Y",
            description=self.text("Description", "description"),
        )
        if not {problem.field for problem in self.problems} & {
            "action",
            "default",
            "allowed_values",
            "allowed_pattern",
        }:
            self.default(rule)
        return rule

    def wrong(self, field: str, text: str, *, name: str = "") -> None:
        """Note what is wrong. With the attribute's name, `text` is what is said of it: "must be a text."."""
        beside = text
        for begins in ("must be ", "is "):
            beside = beside.removeprefix(begins)
        self.problems.append(Problem(field, f"{name} {text}" if name else text, beside[:1].upper() + beside[1:]))

    # --- Types --------------------------------------------------------------------------------------------------------

    def text(self, name: str, field: str) -> str:
        value = self.attributes.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self.wrong(field, "must be a text.", name=name)
        return ""

    def texts(self, name: str, field: str) -> list[str]:
        value = self.attributes.get(name)
        if value is None:
            return []
        if isinstance(value, (set, frozenset)) and all(isinstance(one, str) for one in value):
            return sorted(value)
        if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
            return list(dict.fromkeys(value))
        self.wrong(field, "must be a list of texts.", name=name)
        return []

    def whole(self, name: str, field: str, default: int | None, *, below: int) -> int:
        value = self.attributes.get(name)
        if value is None and default is not None:
            return default
        number = Decimal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else Decimal("NaN")
        if not number.is_finite() or number != number.to_integral_value():
            self.wrong(field, "must be a whole number.", name=name)
        # abs() would round to the 28 digits of the context.
        elif not -below < number < below:
            self.wrong(field, f"must be a whole number of at most {len(str(below)) - 1} digits.", name=name)
        else:
            return int(number)
        return 0

    def choice(self, name: str, field: str, choices: list[str], default: str, *, is_needed: bool = False) -> str:
        value = self.attributes.get(name)
        if value is None and not is_needed:
            return default
        if isinstance(value, str) and value in choices:
            return value
        meant = next((one for one in choices if isinstance(value, str) and one.lower() == value.strip().lower()), None)
        must = f"must be {', '.join(choices[:-1])} or {choices[-1]}"
        self.wrong(field, f"{must}: write “{meant}”." if meant else f"{must}.", name=name)
        return default

    def shaped(self, name: str, field: str, shape: re.Pattern[str], what: str) -> list[str]:
        values = self.texts(name, field)
        for value in values:
            if not shape.fullmatch(value):
                self.wrong(field, f"“{value}” is not {what}.")
        return values

    # --- Fields -------------------------------------------------------------------------------------------------------

    def tag_key(self) -> str:
        key = self.attributes.get("TagKey")
        if not isinstance(key, str) or not key.strip():
            self.wrong("tag_key", "must be the key of a tag.", name="TagKey")
            return ""
        if len(key) > MOST_KEY_CHARACTERS:
            self.wrong("tag_key", f"has {len(key)} characters; EC2 takes {MOST_KEY_CHARACTERS}.", name="TagKey")
        for prefix, owner in {"aws:": "AWS", "portico:": "Portico"}.items():
            if key.lower().startswith(prefix):
                self.wrong("tag_key", f"Keys that begin with {prefix} are reserved for {owner}.")
        if holds_control_characters(key):
            self.wrong("tag_key", "holds control characters.", name="TagKey")
        return key

    def tag_filter(self) -> str:
        text = self.text("TagFilter", "tag_filter")
        if not text:
            return ""
        key, is_exact, value = text.partition("=")
        if not key.strip():
            must = "must be a tag's key, or a key and a value: Environment=production."
            self.wrong("tag_filter", must, name="TagFilter")
        elif is_exact and (key != key.strip() or value != value.strip()):
            self.wrong("tag_filter", "takes no blanks around =: Environment=production.", name="TagFilter")
        if len(key) > MOST_KEY_CHARACTERS or len(value) > MOST_VALUE_CHARACTERS:
            self.wrong(
                "tag_filter",
                f"is too long: a key has at most {MOST_KEY_CHARACTERS} characters and a value {MOST_VALUE_CHARACTERS}.",
                name="TagFilter",
            )
        return text

    def allowed_values(self) -> tuple[str, ...]:
        values = self.texts("AllowedValues", "allowed_values")
        for value in values:
            if not value.strip():
                self.wrong("allowed_values", "An allowed value cannot be empty: what is empty is filled.")
            elif why := refusal(value):
                self.wrong("allowed_values", f"“{value[:30]}…” is no value for a tag: {why}.")
        return tuple(values)

    def allowed_pattern(self) -> str:
        pattern = self.text("AllowedPattern", "allowed_pattern")
        if len(pattern) > MOST_PATTERN_CHARACTERS:
            self.wrong(
                "allowed_pattern",
                f"has {len(pattern)} characters; at most {MOST_PATTERN_CHARACTERS} are allowed.",
                name="AllowedPattern",
            )
            return ""
        try:
            compiled(pattern)
        except ValueError as error:
            self.wrong("allowed_pattern", f"is not a regular expression: {error}.", name="AllowedPattern")
            return ""
        return pattern

    def grace_days(self) -> int:
        before = len(self.problems)
        days = self.whole("GraceDays", "grace_days", DEFAULT_GRACE_DAYS, below=10**9)
        if len(self.problems) == before and not 1 <= days <= MOST_GRACE_DAYS:
            self.wrong("grace_days", f"must be from 1 to {MOST_GRACE_DAYS} days.", name="GraceDays")
        return days

    def default(self, rule: Rule) -> None:
        if rule.action is Action.USER_LOOKUP:
            return
        if not rule.default.strip():
            needs = "a value" if rule.action is Action.UPDATE else "a function, such as today()"
            self.wrong("default", f"must be {needs}: the action is {rule.action}.", name="Default")
        elif why := refusal(rule.default):
            self.wrong("default", f"is not possible: {why}.", name="Default")
        elif rule.action is Action.FUNCTION:
            try:
                grammar.parse(rule.default)
            except grammar.NotUnderstood as error:
                self.wrong("default", str(error))
        elif is_allowed(rule)(rule.default) is False:
            self.wrong("default", "is not one of the allowed values.", name="Default")


def _shown_id(value: Any) -> str:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    return "without a number" if value is None else str(value)[:40]
