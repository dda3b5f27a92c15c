"""A tagging rule, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from policies.instance import Instance

# Reference: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
MOST_KEY_CHARACTERS, MOST_VALUE_CHARACTERS, MOST_TAGS = 128, 256, 50
DEFAULT_GRACE_DAYS, MOST_GRACE_DAYS = 7, 90


class Problem(NamedTuple):
    """Something wrong with a rule. `field` is the model's field, or empty for the rule as a whole; `text` names the
    attribute, and `beside` is for beside the field, which has a name of its own there."""

    field: str
    text: str
    beside: str


class Malformed(ValueError):
    """An item of the table is no rule. Says everything that is wrong with it."""

    def __init__(self, rule_id: str, problems: Iterable[Problem]) -> None:
        self.rule_id = rule_id
        self.problems = tuple(problems)
        super().__init__(f"Rule {rule_id}: {' '.join(problem.text for problem in self.problems)}")


class Action(StrEnum):
    UPDATE = "Update"
    USER_LOOKUP = "UserLookup"
    FUNCTION = "Function"


class Untagged(StrEnum):
    """What an instance without any tags gets."""

    REPORT = "report"
    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True)
class Rule:
    """What one tag is to hold, and on which instances. Empty scopes leave nothing out."""

    rule_id: int
    tag_key: str
    action: Action
    required: bool
    default: str = ""
    vpc_ids: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    tag_filter: str = ""
    allowed_values: tuple[str, ...] = ()
    allowed_pattern: str = ""
    untagged: Untagged = Untagged.REPORT
    grace_days: int = DEFAULT_GRACE_DAYS
    order: int = 0
    enabled: bool = True
    description: str = ""

    @property
    def scope(self) -> Hashable:
        """What two rules for one tag must differ in."""
        return self.vpc_ids, self.regions, self.tag_filter

    @property
    def covers_all_vpcs(self) -> bool:
        return not self.vpc_ids

    def matches(self, instance: Instance, *, default_region: str = "") -> bool:
        """Tell whether the instance is in scope. A rule without regions is for the default one or, where none is
        given, for all."""
        test = self.scope_test(default_region)
        return test is None or test(instance)

    def scope_test(self, default_region: str = "") -> Callable[[Instance], bool] | None:
        """Return the test of matches(), made once for many instances; None if every instance is in scope."""
        tests: list[Callable[[Instance], bool]] = []
        if self.vpc_ids:
            vpc_ids = self.vpc_ids
            tests.append(lambda instance: instance.attributes.get("vpcId") in vpc_ids)
        if self.regions or default_region:
            regions = self.regions or {default_region}
            tests.append(lambda instance: instance.region in regions)
        if self.tag_filter:
            key, is_exact, value = self.tag_filter.partition("=")
            if is_exact:
                tests.append(lambda instance: instance.tags.get(key) == value)
            else:
                tests.append(lambda instance: key in instance.tags)
        if len(tests) > 1:
            return lambda instance: all(test(instance) for test in tests)
        return tests[0] if tests else None


def reaches_further(rule: Rule, than: Rule, *, default_region: str) -> bool:
    """Tell whether a rule could end an instance that `than` would not, or end one sooner."""
    if rule.untagged is Untagged.REPORT or not rule.enabled:
        return False
    if than.untagged is Untagged.REPORT or not than.enabled:
        return True
    is_worse = than.untagged is Untagged.STOP and rule.untagged is Untagged.TERMINATE
    is_sooner = rule.grace_days < than.grace_days
    has_more_vpcs = bool(than.vpc_ids) and not (rule.vpc_ids and rule.vpc_ids <= than.vpc_ids)
    has_more_regions = not (rule.regions or {default_region}) <= (than.regions or {default_region})
    has_another_filter = than.tag_filter not in ("", rule.tag_filter, rule.tag_filter.partition("=")[0])
    return is_worse or is_sooner or has_more_vpcs or has_more_regions or has_another_filter


def duplicates(rules: Iterable[Rule]) -> list[tuple[Rule, Rule]]:
    """Return the enabled rules for the same tag in the same scope, in pairs: the one that decides, and one that never
    will."""
    first: dict[tuple[str, Hashable], Rule] = {}
    pairs = []
    for rule in sorted(rules, key=in_order):
        if rule.enabled:
            deciding = first.setdefault((rule.tag_key, rule.scope), rule)
            if deciding is not rule:
                pairs.append((deciding, rule))
    return pairs


def in_order(rule: Rule) -> tuple[int, int]:
    """Sort rules as they are tried."""
    return rule.order, rule.rule_id
