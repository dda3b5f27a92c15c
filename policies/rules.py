"""What the rules say about an instance: decided here, without asking anybody.

For one tag the first rule in scope decides, by order and then by number. A missing tag is created where the rule
requires it; an empty one is filled; a value that stands is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from policies import grammar
from policies.allowed import is_allowed, refusal
from policies.creators import Creator
from policies.deadline import STALE_AFTER, Seal, deadline_of, deadline_tag, unsealed
from policies.instance import DEADLINE_KEY, Act, Change, Finding, Instance, Lookup
from policies.rule import MOST_TAGS, Action, Malformed, Problem, Rule, Untagged, duplicates, in_order
from policies.rule_item import problems, read

__all__ = [
    "Action",
    "Counts",
    "Malformed",
    "Problem",
    "Rule",
    "RuleBook",
    "Untagged",
    "deadline_of",
    "deadline_tag",
    "duplicates",
    "problems",
    "read",
]

_ACTS = {Untagged.STOP: Act.STOP, Untagged.TERMINATE: Act.TERMINATE}
_OVER = frozenset({"shutting-down", "terminated"})
_RUNNING = frozenset({"running", "pending"})
_OWNERS = ("Owner", "CreatedBy")


class Counts:
    """How many instances any rule is for and, by tag, how many had it and for how many it was missing, empty or not
    allowed. Instances of which no rule asks for the tag are not counted."""

    def __init__(self) -> None:
        self.matched = 0
        self._tags: dict[str, list[int]] = {}

    def of(self, key: str) -> list[int]:
        """Return how many had this tag and how many had not, to count on."""
        return self._tags.setdefault(key, [0, 0])

    @property
    def tags(self) -> Mapping[str, tuple[int, int]]:
        """By tag: how many had it, and how many had not."""
        return {key: (present, missing) for key, (present, missing) in self._tags.items()}


class RuleBook:
    """The enabled rules, made ready for many instances. `default_region` is the one that rules without regions are for;
    without it they are for every region that is read."""

    def __init__(self, rules: Iterable[Rule], *, default_region: str = "", seal: Seal = unsealed) -> None:
        self._seal = seal
        self.rules = tuple(sorted((rule for rule in rules if rule.enabled), key=in_order))
        keys = [rule.tag_key for rule in self.rules]
        self._ready = [_Ready(rule, default_region, shares_key=keys.count(rule.tag_key) > 1) for rule in self.rules]
        self._by_id = {ready.rule.rule_id: ready for ready in reversed(self._ready)}
        self._is_stern = any(rule.untagged is not Untagged.REPORT for rule in self.rules)
        looked_up = (rule.tag_key for rule in self.rules if rule.action is Action.USER_LOOKUP)
        self._owner_keys = tuple(dict.fromkeys((*_OWNERS, *looked_up)))

    def regions(self, default: str) -> list[str]:
        """Return the regions that any rule is for."""
        return sorted({region for rule in self.rules for region in rule.regions or {default}})

    def vpc_ids(self) -> frozenset[str] | None:
        """Return the VPCs that any rule is for; None if one is for all."""
        if any(rule.covers_all_vpcs for rule in self.rules):
            return None
        return frozenset(vpc_id for rule in self.rules for vpc_id in rule.vpc_ids)

    @property
    def needs_creators(self) -> bool:
        """Whether it can matter who launched an instance: to name it in a tag, or to warn of a deadline."""
        return self._is_stern or any(rule.action is Action.USER_LOOKUP for rule in self.rules)

    def evaluate(self, instance: Instance, *, now: datetime, counts: Counts | None = None) -> Finding | None:
        """Return what is to be changed, looked up or reported, or None if there is nothing."""
        if instance.state in _OVER:
            return None
        tags = instance.tags
        finding: Finding | None = None
        if _is_untagged(tags):
            if self._is_stern and (finding := self._withheld(instance, now, counts)):
                return finding
            if any(ready.in_scope is None or ready.in_scope(instance) for ready in self._ready):
                finding = self._finding(instance)
                finding.notes.append("It had no tags.")
        if DEADLINE_KEY in tags:
            finding = finding or self._finding(instance)
            finding.act = Act.UNMARK

        is_matched = False
        decided: set[str] | None = None
        given: dict[str, str] | None = None
        for ready in self._ready:
            if ready.in_scope is not None and not ready.in_scope(instance):
                continue
            is_matched = True
            key = ready.key
            if ready.shares_key:
                if decided is None:
                    decided = {key}
                elif key in decided:
                    continue
                else:
                    decided.add(key)
            old = tags.get(key)
            if old is not None and old.strip():
                allowed = ready.allows is None or ready.allows(old)
                if counts is not None:
                    counts.of(key)[0 if allowed or allowed is None else 1] += 1
                if not allowed:
                    finding = finding or self._finding(instance)
                    finding.notes.append(ready.not_allowed(old, allowed))
                continue
            if old is None and not ready.is_required:
                continue
            if counts is not None:
                counts.of(key)[1] += 1
            finding = finding or self._finding(instance)
            if ready.is_lookup:
                finding.lookups.append(Lookup(key, old, ready.rule.rule_id))
                continue
            value = ready.rule.default
            try:
                if ready.expression:
                    value = ready.expression.value(instance, now=now, tags=given or tags)
            except grammar.Unknown as error:
                finding.notes.append(ready.unknown(error, finding))
                continue
            if ready.give(finding, old, value, ready.why(old, tags)):
                given = given or dict(tags)
                given[key] = value
        if counts is not None and is_matched:
            counts.matched += 1
        return finding

    def with_creator(self, finding: Finding, creator: Creator | None, *, why_not: str = "") -> None:
        """Turn the finding's lookups into changes, or into notes where the creator is not known; `why_not` says why."""
        lookups, finding.lookups = finding.lookups, []
        name = creator.name if creator else ""
        reason = why_not or (creator.evidence if creator else "")
        finding.owner = finding.owner or name
        for lookup in lookups:
            ready = self._by_id[lookup.rule_id]
            if creator and name:
                ready.give(finding, lookup.old, name, f"{ready.why(lookup.old)}. {creator.evidence}")
            else:
                finding.notes.append(ready.note(f"who launched it is not known{f': {reason}' if reason else ''}"))

    def _finding(self, instance: Instance) -> Finding:
        tags = instance.tags
        return Finding(
            instance_id=instance.instance_id,
            region=instance.region,
            name=tags.get("Name", ""),
            created_at=instance.created_at,
            tag_count=sum(not key.startswith("aws:") for key in tags),
            owner=next((tags[key].strip() for key in self._owner_keys if tags.get(key, "").strip()), ""),
            is_untagged=_is_untagged(tags),
        )

    def deadline_tag(self, finding: Finding) -> str:
        """Return the value of the deadline tag of an instance that is marked."""
        act, deadline = finding.planned_act or Act.STOP, finding.deadline or finding.created_at
        return deadline_tag(act, deadline, instance_id=finding.instance_id, seal=self._seal)

    # --- Without any tags ---------------------------------------------------------------------------------------------

    def _withheld(self, instance: Instance, now: datetime, counts: Counts | None) -> Finding | None:
        """Return what becomes of an instance without tags that a rule wants stopped or terminated, or None if no rule
        does."""
        matching = [ready for ready in self._ready if ready.in_scope is None or ready.in_scope(instance)]
        stern = [ready.rule for ready in matching if ready.rule.untagged is not Untagged.REPORT]
        if not stern:
            return None
        if counts is not None:
            counts.matched += 1
            deciding = {ready.key: ready for ready in reversed(matching)}
            for key in (ready.key for ready in deciding.values() if ready.is_required):
                counts.of(key)[1] += 1
        worst = Untagged.TERMINATE if any(rule.untagged is Untagged.TERMINATE for rule in stern) else Untagged.STOP
        days, rule_id = min((rule.grace_days, rule.rule_id) for rule in stern if rule.untagged is worst)
        act = _ACTS[worst]
        finding = self._finding(instance)
        mark = deadline_of(instance.tags.get(DEADLINE_KEY, ""), instance_id=instance.instance_id, seal=self._seal)
        # A mark for something else was no warning of this; nor is one that nobody has watched, or beyond the grace.
        if mark and (mark[0] is not act or not now - STALE_AFTER <= mark[1] <= now + timedelta(days=days + 1)):
            mark = None
        by = f"(rule {rule_id})"
        if act is Act.STOP and instance.state not in _RUNNING:
            finding.notes.append(f"It has no tags, and is {instance.state} already {by}.")
        elif mark is None:
            finding.act, finding.planned_act = Act.MARK, act
            finding.deadline = now.astimezone(UTC).replace(microsecond=0) + timedelta(days=days)
            finding.grace_days = days
            finding.notes.append(f"It has no tags; it is {_ENDED[act]} {_days(days)} from now unless it gets one {by}.")
        elif now < mark[1]:
            finding.notes.append(f"It has no tags; {_at(act, mark[1])} unless it gets one {by}.")
        else:
            finding.act, finding.deadline = act, mark[1]
            finding.notes.append(f"It had no tags until its deadline, {mark[1]:%Y-%m-%d %H:%M} UTC {by}.")
        return finding


class _Ready:
    """A rule made ready: its scope, its values and its texts."""

    __slots__ = ("allows", "expression", "in_scope", "is_lookup", "is_required", "key", "rule", "shares_key")

    def __init__(self, rule: Rule, default_region: str, *, shares_key: bool) -> None:
        self.rule = rule
        self.key = rule.tag_key
        self.is_required = rule.required
        self.shares_key = shares_key
        self.in_scope = rule.scope_test(default_region)
        self.allows = is_allowed(rule) if rule.allowed_values or rule.allowed_pattern else None
        self.is_lookup = rule.action is Action.USER_LOOKUP
        self.expression = grammar.parse(rule.default) if rule.action is Action.FUNCTION else None

    def give(self, finding: Finding, old: str | None, value: str, why: str) -> bool:
        """Add a change to the finding, or a note on why it cannot be made. Tell which."""
        refused = refusal(value)
        allowed = self.allows is None or self.allows(value)
        if refused:
            finding.notes.append(self.note(f"the new value is not possible: {refused}"))
        elif not allowed:
            finding.notes.append(self.not_allowed(value, allowed, is_new=True))
        elif old is None and finding.tag_count + sum(one.old is None for one in finding.changes) >= MOST_TAGS:
            finding.notes.append(self.note(f"it does not fit: an instance has at most {MOST_TAGS} tags"))
        else:
            finding.changes.append(Change(self.key, old, value, self.rule.rule_id, why))
            return True
        return False

    def why(self, old: str | None, tags: Mapping[str, str] = {}) -> str:
        gives = f" with {self.rule.default}" if self.expression else ""
        if old is not None:
            return f"Empty; rule {self.rule.rule_id} fills it{gives}"
        similar = next(self._similar(tags), None)
        but = f" (it has {similar}, which is another tag)" if similar else ""
        return f"Missing{but}; rule {self.rule.rule_id} requires it{f', {gives.strip()}' if gives else ''}"

    def _similar(self, tags: Mapping[str, str]) -> Iterator[str]:
        length = len(self.key)
        return (key for key in tags if len(key) == length and key.lower() == self.key.lower())

    def not_allowed(self, value: str, allowed: bool | None, *, is_new: bool = False) -> str:
        what = f"the new value “{value}”" if is_new else f"“{value}”"
        if allowed is None:
            return self.note(f"{what} was not checked: the pattern took too long")
        return self.note(f"{what} is not allowed")

    def unknown(self, error: grammar.Unknown, finding: Finding) -> str:
        if isinstance(self.expression, grammar.TagOf):
            source = self.expression.key
            if any(lookup.key == source for lookup in finding.lookups):
                return self.note(f"waits for {source}, which is looked up first")
        return self.note(f"no value: {error}")

    def note(self, text: str) -> str:
        return f"{self.key}: {text} (rule {self.rule.rule_id})."


def _is_untagged(tags: Mapping[str, str]) -> bool:
    for key in tags:  # noqa: SIM110 - the first key nearly always tells, and this is called for each instance
        if key[:4] != "aws:" and key != DEADLINE_KEY:
            return False
    return True


_ENDED = {Act.STOP: "stopped", Act.TERMINATE: "terminated"}


def _at(act: Act, deadline: datetime) -> str:
    return f"it is {_ENDED[act]} on {deadline:%Y-%m-%d} at {deadline:%H:%M} UTC"


def _days(number: int) -> str:
    return "a day" if number == 1 else f"{number} days"
