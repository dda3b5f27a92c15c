"""The rules, which operators edit, and the runs' place in the admin."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.conf import settings
from django.db import models

from policies import rules
from policies.fields import NumberField, TextField, TextsField, WholeNumberField, YesNoField
from policies.rules import Action, Problem, Untagged
from portal.dynamo.items import Item, column, value_in
from portal.dynamo.records import Screen
from portal.dynamo.values import from_item, to_item


class TagPolicy(Item):
    """A tagging rule. RuleId, TagKey, Action, Required and Default are the published table's; the rest is optional, and
    not stored where it says what a missing attribute says."""

    ACTIONS: ClassVar = [
        (Action.UPDATE, "Update: a fixed value"),
        (Action.USER_LOOKUP, "UserLookup: who launched the instance"),
        (Action.FUNCTION, "Function: a value that is worked out"),
    ]
    UNTAGGED: ClassVar = [
        (Untagged.REPORT, "Nothing more: treat it as any other, and say so in the report"),
        (Untagged.STOP, "Warn first, and stop it when the days of grace are over"),
        (Untagged.TERMINATE, "Warn first, and terminate it when the days of grace are over"),
    ]

    rule_id = NumberField("number", db_column="RuleId", primary_key=True, blank=True)
    tag_key = TextField("tag key", db_column="TagKey")
    action = TextField("action", db_column="Action", choices=ACTIONS)
    required = YesNoField("required", db_column="Required", default=True)
    default = TextField("default", db_column="Default", blank=True)
    vpc_ids = TextsField("VPCs", db_column="VpcIds")
    regions = TextsField("regions", db_column="Regions")
    tag_filter = TextField("only where tagged", db_column="TagFilter", blank=True)
    allowed_values = TextsField("allowed values", db_column="AllowedValues")
    allowed_pattern = TextField("allowed pattern", db_column="AllowedPattern", blank=True)
    untagged = TextField(
        "an instance without any tags", db_column="Untagged", choices=UNTAGGED, default=Untagged.REPORT.value
    )
    grace_days = WholeNumberField("days of grace", db_column="GraceDays", default=7)
    order = WholeNumberField("order", db_column="Order", default=0)
    enabled = YesNoField("enabled", db_column="Enabled", default=True)
    description = TextField("description", db_column="Description", blank=True)

    # Somebody saw what the fields cannot read and left the field empty: it goes when the item is saved.
    is_mended = False

    class Meta(Item.Meta):
        db_table = "tag_policies"
        verbose_name = "tag rule"
        verbose_name_plural = "tag rules"
        ordering = ["order", "rule_id"]

    def __str__(self) -> str:
        return f"Rule {self.rule_id}: {self.tag_key}" if self.tag_key else f"Rule {self.rule_id}"

    @classmethod
    def stored(cls) -> list[TagPolicy]:
        """Return all rules, in the order in which they are tried."""
        return cast("list[TagPolicy]", list(cls.objects.all()))

    def attributes(self) -> dict[str, Any]:
        """Return the plain attributes as the table would hold them, and a reading of it give them."""
        return from_item({**to_item({**self._attributes(), **self.derived()}), **self.key_of(self.pk)})

    def problems(self) -> list[Problem]:
        """Return what is wrong with the item as it is stored."""
        return rules.problems(from_item(self.item))

    def unreadable(self) -> list[models.Field[Any, Any]]:
        """Return the fields that cannot read what is stored."""
        return [
            one
            for one in self._meta.concrete_fields
            if column(one) in self.item and value_in(self.item, one) is None and not one.primary_key
        ]

    def derived(self) -> dict[str, Any]:
        kept = self._attributes()
        return {column(one): None for one in self.unreadable() if column(one) not in kept} if self.is_mended else {}

    def _attributes(self) -> dict[str, Any]:
        given = super()._attributes()
        for one in self._meta.concrete_fields:
            # The published table always says whether a tag is required.
            if one.has_default() and one.name != "required" and given.get(column(one)) == _missing(one):
                given.pop(column(one), None)
        return given

    @classmethod
    def say(cls, field: models.Field[Any, Any], value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(f"“{one}”" for one in value) or "empty"
        return super().say(field, value)

    # --- In words ---

    @property
    def gives(self) -> str:
        """What the tag's value is, e.g. "today()"."""
        return "who launched it" if self.action == Action.USER_LOOKUP else self.default or ""

    @property
    def where(self) -> str:
        return "where it is missing or empty" if self.required else "where it is empty"

    @property
    def scope(self) -> str:
        """The instances that it is about, e.g. "vpc-1, in eu-west-1, tagged Team=red"."""
        parts = [
            ", ".join(self.vpc_ids or ()) or "every VPC",
            "in " + (", ".join(self.regions or ()) or settings.AWS_REGION),
        ]
        if self.tag_filter:
            parts.append(f"tagged {self.tag_filter}")
        return ", ".join(parts)

    @property
    def is_harsh(self) -> bool:
        """Whether it stops or terminates what has no tags."""
        return self.untagged in (Untagged.STOP, Untagged.TERMINATE)

    @property
    def end_in_words(self) -> str:
        """What it does to what has no tags, e.g. "stops what has no tags after 7 days"; nothing if it only tags."""
        ends = {"stop": "stops", "terminate": "terminates"}.get(self.untagged or "")
        days = "1 day" if self.grace_days == 1 else f"{self.grace_days} days"
        return f"{ends} what has no tags after {days}" if ends else ""


class PolicyRun(Screen):
    """The runs in the admin; a run itself is policies.runs.Run."""

    class Meta(Screen.Meta):
        verbose_name = "tagging run"
        verbose_name_plural = "tagging runs"


def _missing(field: models.Field[Any, Any]) -> Any:
    return field.get_prep_value(field.get_default())
