"""The form of a rule, the rules' list as a form, and what is asked before a run."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.utils import quote
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from policies import grammar, rules
from policies.fields import LinesField
from policies.models import TagPolicy
from policies.rule import reaches_further
from policies.rules import Action, Malformed, Rule
from portal.dynamo.audit import Change
from portal.dynamo.forms import ItemForm, ItemFormSet
from portal.dynamo.items import column
from portal.dynamo.values import from_item

MOST_CHANGES, MOST_PERCENT = 500, 50
# A larger number is somebody's joke or mistake, and nothing to go on counting from.
MOST_RULES = 10**9


class RuleForm(ItemForm):
    """A rule. What the rules themselves find wrong is said beside its field."""

    sure = forms.BooleanField(
        required=False,
        label="I understand that running instances will be stopped or terminated by this rule",
        help_text="Needed where the rule is new or switched on, or ends more than before, or sooner.",
    )

    instance: TagPolicy

    class Meta:
        model = TagPolicy
        fields = "__all__"
        labels = {"tag_key": "Tag key", "default": "Value"}
        help_texts = {
            "tag_key": "Up to 128 characters; capital letters matter. Not aws:…, which AWS keeps for itself.",
            "action": "How the tag’s value is found.",
            "required": "Give the tag where it is missing. Otherwise only where it is there and empty.",
            "vpc_ids": "One on each line, such as vpc-0a1b2c3d. Empty means every VPC.",
            "regions": "One on each line, such as eu-west-1. Empty means the portal’s own region.",
            "tag_filter": "Key for those that have the tag, or Key=Value. Empty means all.",
            "allowed_values": "One on each line. Empty means any. What is not allowed is reported and left alone.",
            "allowed_pattern": "A regular expression that the whole value must match, such as P-[0-9]{4}.",
            "untagged": "No tags at all, but those of AWS itself.",
            "grace_days": "1 to 90. Until then a tag portico:deadline on the instance says what will happen, and when.",
            "order": "Of two rules for one tag key the one with the lower number decides.",
            "enabled": "A rule that is not enabled is not run. It can still be previewed.",
            "description": "For your colleagues: why this rule is there.",
        }
        widgets = {"description": forms.TextInput}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "default" in self.fields:
            self.fields["default"].help_text = render_to_string(
                "admin/policies/tagpolicy/default_help.html", {"attributes": sorted(grammar.ATTRIBUTES)}
            )
        for name in self.fields:
            self.fields[name].widget.attrs.pop("maxlength", None)
        for name in ("tag_key", "default", "tag_filter", "allowed_pattern"):
            if name in self.fields:
                self.fields[name].widget.attrs |= {
                    "spellcheck": "false",
                    "autocapitalize": "none",
                    "autocomplete": "off",
                }
        if "rule_id" in self.fields:
            self.fields["rule_id"].help_text = "Stays for good. Left empty, it becomes the next one."

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        one = self.instance
        if one.rule_id is None:
            one.rule_id = next_number(TagPolicy.stored())
        if one.action == Action.USER_LOOKUP and "action" in self.changed_data:
            one.default = ""
        one.is_mended = True
        self._say_problems()
        if not self.errors:
            self._find_duplicate()
        if not self._is_preview and not self.cleaned_data.get("sure") and self._reaches_further():
            self.add_error("sure", "Tick this if you mean it. A preview shows which instances it would be.")

    def changes(self) -> list[Change]:
        fields = self.instance.unreadable()
        mended = [
            Change(
                field=str(one.verbose_name),
                old=str(from_item({"value": self.instance.item[column(one)]})["value"])[:200],
                new=self.instance.say(one, getattr(self.instance, one.attname)),
            )
            for one in fields
            if one.name in self.fields
        ]
        known = {one.field for one in mended}
        return [*mended, *(one for one in super().changes() if one.field not in known)]

    @property
    def _is_preview(self) -> bool:
        return "_preview" in self.data

    def _reaches_further(self) -> bool:
        """Whether the rule ends what it did not end before: then somebody must say that they mean it."""
        new = next(_readable([self.instance.attributes()]), None)
        if new is None:
            return False  # it is refused anyway
        nothing = dataclasses.replace(new, enabled=False)
        old = next(_readable([from_item(self.instance.item)]), nothing)
        return reaches_further(new, old, default_region=settings.AWS_REGION)

    def _say_problems(self) -> None:
        for problem in rules.problems(self.instance.attributes()):
            field = problem.field if problem.field in self.fields else None
            if field is None or field not in self.errors:
                self.add_error(field, problem.beside if field else problem.text)

    def _find_duplicate(self) -> None:
        ours = rules.read(self.instance.attributes())
        others = readable(one for one in TagPolicy.stored() if one.pk != self.instance.pk)
        for pair in rules.duplicates([*others, ours]):
            if ours in pair:
                other = pair[0] if pair[1] is ours else pair[1]
                self.add_error("tag_key", ValidationError(said_twice(other), code="duplicate"))
                return


class RuleRow(ItemForm):
    """A rule as a row of the list. What cannot be read there stays as it is unless something is typed in its place."""

    instance: TagPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unreadable = [one.name for one in self.instance.unreadable() if one.name in self.fields]
        for name in self._unreadable:
            self.fields[name].required = False

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        one = self.instance
        for name in set(self._unreadable) - set(self.changed_data):
            setattr(one, name, None)
        # Mending a malformed row in passing would switch it on, too.
        is_switched_on = "enabled" in self.changed_data or bool(one.problems() and self.changed_data)
        if one.enabled and one.is_harsh and is_switched_on:
            ends = {"stop": "stops", "terminate": "terminates"}[one.untagged]
            self.add_error("enabled", f"Open the rule to switch it on: it {ends} instances.")


class RuleFormSet(ItemFormSet):
    """The rules' list, of which order and `enabled` are edited in place."""

    def clean(self) -> None:
        self._find_duplicates()
        super().clean()

    def _find_duplicates(self) -> None:
        changed = {form.instance.pk: form for form in self.forms if form.has_changed() and form.is_valid()}
        if not changed:
            return
        # Of the rules that are on other pages of the list, what is stored counts.
        rows = {one.pk: one.attributes() for one in TagPolicy.stored()}
        rows |= {pk: form.instance.attributes() for pk, form in changed.items()}
        for earlier, later in rules.duplicates(_readable(rows.values())):
            for one, other in ((later, earlier), (earlier, later)):
                if (form := changed.get(one.rule_id)) is not None and form.instance.enabled:
                    form.add_error("enabled", ValidationError(said_twice(other), code="duplicate"))
                    break


class RunForm(forms.Form):
    """The cap of a run, and to which VPCs it is narrowed down."""

    most_changes = forms.IntegerField(
        label="More than so many instances",
        required=False,
        min_value=0,
        max_value=1_000_000,
        initial=MOST_CHANGES,
        help_text="Empty means any number.",
    )
    most_percent = forms.IntegerField(
        label="More than so many percent of them",
        required=False,
        min_value=0,
        max_value=100,
        initial=MOST_PERCENT,
        help_text="Of all instances that are read. Empty means any share.",
    )
    vpc_ids = LinesField(
        label="Only in these VPCs",
        help_text="One on each line, such as vpc-0a1b2c3d. Empty means every VPC that the rules are for.",
    )

    sure = forms.BooleanField(error_messages={"required": "Tick this if you mean it."})

    def __init__(self, *args: Any, to_understand: str = "", **kwargs: Any) -> None:
        """With something `to_understand` nothing is run before it is ticked."""
        super().__init__(*args, **kwargs)
        if to_understand:
            self.fields["sure"].label = to_understand
        else:
            del self.fields["sure"]

    def clean_vpc_ids(self) -> list[str]:
        given: list[str] = self.cleaned_data["vpc_ids"]
        if wrong := [one for one in given if not re.fullmatch(r"vpc-[0-9a-f]{8,17}", one)]:
            raise ValidationError(f"“{wrong[0]}” is not a VPC’s id, such as vpc-0a1b2c3d.")
        return given


def next_number(some: Iterable[TagPolicy]) -> int:
    """Return the number of the next rule: above all others but absurd ones."""
    taken = {int(one.rule_id) for one in some}
    number = max((one for one in taken if 0 < one < MOST_RULES), default=0) + 1
    while number in taken:
        number += 1
    return number


def said_twice(other: Rule) -> Any:
    """Say which rule has the same key in the same scope."""
    url = reverse("admin:policies_tagpolicy_change", args=(quote(str(other.rule_id)),))
    text = 'The same key in the same scope has <a href="{}">rule {}</a>, “{}”. Disable one of them or narrow its scope.'
    return format_html(text, url, other.rule_id, other.tag_key)


def readable(some: Iterable[TagPolicy]) -> Iterator[Rule]:
    """Yield those rules that are not malformed."""
    return _readable(from_item(one.item) for one in some)


def _readable(some: Iterable[Any]) -> Iterator[Rule]:
    for attributes in some:
        try:
            yield rules.read(attributes)
        except Malformed:
            continue
