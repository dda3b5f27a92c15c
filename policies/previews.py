"""A preview and the rules since: the form that it was made from, and whether it still says what a run would do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from policies import rules
from policies.models import TagPolicy
from policies.runs import Kind, Run
from portal.dynamo.values import from_item


def draft_url(request: HttpRequest, run: Run) -> str:
    """Return the address of the form whose rule was previewed before it was saved, or nothing."""
    draft = request.GET.get("draft", "")
    if run.kind is not Kind.PREVIEW or len(run.rules) != 1 or not draft:
        return ""
    name, arguments = ("add", ()) if draft == "add" else ("change", (quote(draft[:40]),))
    query = {"draft": run.run_id, "enabled": request.GET.get("enabled", "Y")}
    return f"{reverse(f'admin:policies_tagpolicy_{name}', args=arguments)}?{urlencode(query)}"


def changed_since(preview: Run) -> list[str]:
    """Say which rules are no longer as they were when they were previewed, or were never saved."""
    stored = {one.pk: from_item(one.item) for one in TagPolicy.stored()}
    previewed = {one.get("RuleId"): one for one in preview.rules}
    said = []
    for number in previewed if preview.is_partial else {**previewed, **stored}:
        if number not in stored:
            said.append(f"Rule {number} is not saved.")
        elif number not in previewed:
            # A malformed one is no part of a run, then as now.
            if _as_it_works(stored[number], preview) is not None:
                said.append(f"Rule {number} was added.")
        elif _as_it_works(stored[number], preview) != _as_it_works(previewed[number], preview):
            said.append(f"Rule {number} is not what it was.")
    return said


def _as_it_works(attributes: Mapping[str, Any], preview: Run) -> Any:
    """Return what decides what a rule does: of a malformed one nothing."""
    try:
        rule = rules.read(attributes)
    except rules.Malformed:
        return None
    # A preview of chosen rules takes them for enabled.
    return dataclasses.replace(rule, description="", enabled=rule.enabled or preview.is_partial)
