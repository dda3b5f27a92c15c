"""The request types, which operators edit, and the approvals' place in the admin."""

from __future__ import annotations

from typing import ClassVar, cast

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from approvals.approval import ReasonDue, Terms
from approvals.rules import MOST_FIELDS, Malformed, approver, fields
from portal.dynamo.items import Item
from portal.dynamo.records import Screen

PROMOTION = "employee-promotion"


class RequestType(Item):
    """A kind of question: what it is called, what an approver is shown, whom it goes to and until when."""

    REASONS: ClassVar = [
        (ReasonDue.NEVER.value, "Never"),
        (ReasonDue.REJECT.value, "When rejecting"),
        (ReasonDue.ALWAYS.value, "Always"),
    ]

    type_id = models.CharField(
        "id",
        db_column="TypeId",
        primary_key=True,
        max_length=60,
        validators=[RegexValidator(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", "Small letters, digits and single hyphens only.")],
        help_text="What a workflow’s message calls it, such as employee-promotion. It stays for good.",
    )
    title = models.CharField(
        db_column="Title", max_length=80, help_text="What people call it, such as Employee promotion."
    )
    fields = models.TextField(
        db_column="Fields",
        blank=True,
        max_length=4000,
        help_text="What an approver is shown. One on each line: its name in the workflow’s input, a colon and what to"
        f" call it, such as employeeName: Employee. At most {MOST_FIELDS}.",
    )
    approver = models.CharField(
        "who approves",
        db_column="Approver",
        max_length=140,
        default="manager",
        help_text="manager for the manager of who asks, or person:ada, person:ada@example.com, group:managers.",
    )
    deadline_hours = models.IntegerField(
        "deadline in hours",
        db_column="DeadlineHours",
        default=48,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 365)],
        help_text="After so many hours without an answer it is late.",
    )
    reminder_hours = models.IntegerField(
        "first reminder after hours",
        db_column="ReminderHours",
        default=12,
        validators=[MinValueValidator(0), MaxValueValidator(24 * 365)],
        help_text="The second comes after twice the time, the third after twice that. 0 means none.",
    )
    reminders = models.IntegerField(
        "reminders at most",
        db_column="Reminders",
        default=3,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text="0 to 10.",
    )
    escalation = models.CharField(
        "who is asked besides at the deadline",
        db_column="Escalation",
        blank=True,
        max_length=140,
        help_text="person:grace, person:grace@example.com or group:operators. Empty means nobody.",
    )
    reason_due = models.CharField(
        "a reason is due",
        db_column="ReasonDue",
        max_length=10,
        choices=REASONS,
        default=ReasonDue.REJECT.value,
        help_text="Whether an approver has to say why.",
    )
    workflow = models.CharField(
        "workflow that a form starts",
        db_column="Workflow",
        blank=True,
        max_length=256,
        help_text="promotion, promotion-by-activity, or the ARN of a state machine that the portal may start. Empty"
        " means that there is no form, and only workflows ask.",
    )
    enabled = models.BooleanField(
        db_column="Enabled",
        default=True,
        help_text="A type that is not enabled is not offered, and a workflow’s question of it is refused. Open"
        " approvals go on.",
    )

    class Meta(Item.Meta):
        db_table = "request_types"
        verbose_name = "request type"
        verbose_name_plural = "request types"
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title or self.type_id

    def clean(self) -> None:
        wrong: dict[str, str] = {}
        try:
            fields(self.fields or "")
        except Malformed as error:
            wrong["fields"] = str(error)
        for name, is_needed in (("approver", True), ("escalation", False)):
            try:
                approver(getattr(self, name) or "", is_needed=is_needed, may_be_manager=is_needed)
            except Malformed as error:
                wrong[name] = str(error)
        if wrong:
            raise ValidationError(wrong)

    def terms(self) -> Terms:
        return Terms(
            deadline_hours=self.deadline_hours or 48,
            reminder_hours=self.reminder_hours or 0,
            reminders=self.reminders or 0,
            escalation=self.escalation or "",
            reason_due=ReasonDue(self.reason_due or ReasonDue.REJECT),
        )


def promotion() -> RequestType:
    """Return the published article's request, for a portal whose operators have not edited it yet."""
    return RequestType(
        type_id=PROMOTION,
        title="Employee promotion",
        fields="employeeName: Employee\nmanagerEmailAddress: Manager",
        approver="manager",
        escalation="group:operators",
        workflow="promotion",
    )


def request_types() -> list[RequestType]:
    """Return all request types, by title: one Scan of a table of few rows."""
    found = cast("list[RequestType]", list(RequestType.objects.all()))
    if not any(one.type_id == PROMOTION for one in found):
        found = sorted([*found, promotion()], key=lambda one: one.title)
    return found


def request_type(type_id: str) -> RequestType | None:
    """Return an enabled request type, or None."""
    return next((one for one in request_types() if one.type_id == type_id and one.enabled), None)


class Approval(Screen):
    """The approvals in the admin; an approval itself is approvals.approval.Approval."""

    class Meta(Screen.Meta):
        verbose_name = "approval"
        verbose_name_plural = "approvals"
        default_permissions = ("view", "change")  # type: ignore[assignment]


class Execution(Screen):
    """The executions of the workflows that the portal knows, in the admin."""

    class Meta(Screen.Meta):
        verbose_name = "workflow execution"
        verbose_name_plural = "workflow executions"
