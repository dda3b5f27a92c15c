"""Policy variables: ${aws:PrincipalTag/team} in the resources and conditions of policies.

MiniStack compares the text as it stands. A value that a variable brings in is literal: a "*" in it is no wildcard.
Without the key there is nothing to be equal to: a resource matches nothing, and of the conditions only the negated
ones hold.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import dataclasses
import json
import re
from functools import lru_cache
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

# Private-use characters stand for "*", "?" and "$" that are meant literally until the pattern is compiled.
_LITERAL = str.maketrans({"*": "\ue000", "?": "\ue001", "$": "\ue002"})
_MEANT = str.maketrans({"\ue000": "*", "\ue001": "?", "\ue002": "$"})
_VARIABLE = re.compile(r"\$\{\s*(?P<key>[^{},]+?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?\}")
# Whose values are patterns; the other operators on text compare whole values.
_PATTERN_OPERATORS = ("stringlike", "stringnotlike", "arn")


def install() -> None:
    """Patch how MiniStack matches statements. Raises TouchpointMissing."""
    evaluator = module_with(
        "ministack.core.iam_evaluator",
        "_first_match",
        "_conditions_met",
        "_resolve_condition_key",
        "_fnmatch_compile",
        "_action_matches",
        "_resource_matches",
        "parse_policy_document",
        "evaluate_resource_policy",
        "ParsedStatement",
    )
    # Touchpoints: the evaluator looks all four up in its module at each call.
    parse, conditions_met = evaluator.parse_policy_document, evaluator._conditions_met

    def values(texts: list[str], context: Any) -> list[str]:
        """Return the texts with their variables' values, without those of which a variable has none."""
        found = (substitute(text, lambda key: evaluator._resolve_condition_key(key, context)) for text in texts)
        return [text for text in found if text is not None]

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        for statement in statements:
            if (
                statement.effect == effect
                and evaluator._action_matches(context.action, statement.actions, statement.not_actions)
                and resource_matches(context, statement)
                and evaluator._conditions_met(statement.conditions, context)
            ):
                return statement
        return None

    def resource_matches(context: Any, statement: Any) -> bool:
        resources = values(statement.resources, context)
        if statement.resources and not resources:
            return False
        matches: bool = evaluator._resource_matches(
            context.resource_arn, resources, values(statement.not_resources, context)
        )
        return matches

    def conditions_with_values_met(conditions: dict[str, Any], context: Any) -> bool:
        expanded = {}
        for operator, keys in (conditions or {}).items():
            kind = operator.lower().rpartition(":")[2]
            if isinstance(keys, dict) and kind.startswith(("string", "arn")):
                keys = {key: values(_texts(expected), context) for key, expected in keys.items()}
                if not kind.startswith(_PATTERN_OPERATORS):
                    keys = {key: [text.translate(_MEANT) for text in texts] for key, texts in keys.items()}
            expanded[operator] = keys
        met: bool = conditions_met(expanded, context)
        return met

    def parse_by_version(document: Any) -> list[Any]:
        statements: list[Any] = parse(document)
        return statements if _has_variables(document) else [_without_variables(one) for one in statements]

    evaluator._first_match = first_match
    evaluator._conditions_met = conditions_with_values_met
    evaluator._fnmatch_compile = _compile
    evaluator.parse_policy_document = parse_by_version


def substitute(text: str, value_of: Any) -> str | None:
    """Return the text with its variables replaced by literal values; None if one has no value and no default."""
    if "${" not in text:
        return text
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        key, default = found["key"], found["default"]
        if key in ("*", "?", "$"):
            return key.translate(_LITERAL)
        actual = value_of(key)
        # A key with several values cannot be a variable.
        if actual is None or isinstance(actual, (list, dict)):
            missing = missing or default is None
            actual = default or ""
        return str(actual).translate(_LITERAL)

    replaced = _VARIABLE.sub(value, text)
    return None if missing else replaced


@lru_cache(4096)
def _compile(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """Return the expression of a pattern, in which a variable's value is literal."""
    wildcards = {"*": ".*", "?": "."}
    expression = "".join(wildcards.get(one) or re.escape(one.translate(_MEANT)) for one in pattern)
    return re.compile(rf"^{expression}\Z", re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _has_variables(document: Any) -> bool:
    """Return whether a document's variables are variables: only in the policy language of 2012.

    MiniStack strips a resource's policy to its statements, so that its version is not known here.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return False
    return isinstance(document, dict) and (document.get("Version") == "2012-10-17" or document.keys() == {"Statement"})


def _without_variables(statement: Any) -> Any:
    """Return a statement of the older policy language, in which "$" is a character like any other."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return value.replace("${", "$".translate(_LITERAL) + "{") if isinstance(value, str) else value

    return dataclasses.replace(
        statement,
        resources=plain(statement.resources),
        not_resources=plain(statement.not_resources),
        conditions=plain(statement.conditions),
    )


def _texts(expected: Any) -> list[str]:
    return [str(one) for one in expected] if isinstance(expected, list) else [str(expected)]
