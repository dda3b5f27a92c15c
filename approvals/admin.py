"""The request types, as operators see them. approval_admin.py has the approvals, execution_admin.py the workflows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse

from approvals import approval_admin, execution_admin, operator_words
from approvals.models import PROMOTION, RequestType, promotion
from approvals.operator_forms import RequestTypeForm
from approvals.words import counted
from portal.dynamo.admin import ItemAdmin

__all__ = ["RequestTypeAdmin", "approval_admin", "execution_admin"]  # which register themselves


@admin.register(RequestType)
class RequestTypeAdmin(ItemAdmin):
    form = RequestTypeForm
    list_display = ["title", "type_id", "who", "deadline", "reminds", "escalates", "enabled"]
    search_fields = ["title", "type_id", "approver"]
    search_help_text = "By title, id or who approves."
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request)._then(_with_built_in)

    # --- The list ---

    @admin.display(description="who approves", ordering="approver")
    def who(self, one: RequestType) -> str:
        return operator_words.named(one.approver or "manager")

    @admin.display(description="deadline", ordering="deadline_hours")
    def deadline(self, one: RequestType) -> str:
        return counted(one.deadline_hours or 0, "hour")

    @admin.display(description="reminders", ordering="reminder_hours")
    def reminds(self, one: RequestType) -> str:
        return operator_words.reminders(one.reminder_hours or 0, one.reminders or 0)

    @admin.display(description="asked besides at the deadline", ordering="escalation")
    def escalates(self, one: RequestType) -> str:
        return operator_words.named(one.escalation or "")

    # --- The form ---

    def get_fieldsets(self, request: HttpRequest, obj: RequestType | None = None) -> Any:
        return [
            (None, {"fields": ["title", "type_id", "enabled"]}),
            ("What is asked", {"fields": ["fields", "reason_due", "workflow"]}),
            ("Who is asked", {"fields": ["approver", "escalation"]}),
            ("Until when", {"fields": ["deadline_hours", "reminder_hours", "reminders"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: RequestType | None = None) -> Any:
        return ["type_id"] if obj else []

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,
        change: Any = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        # The form has a summary of its own.
        context["has_errors"], context["errors"] = bool(context.get("errors")), None
        context["is_built_in"] = bool(obj and _is_built_in(obj))
        if context["is_built_in"]:
            context["show_delete"] = False
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change and not _is_built_in(obj))
        for name in form.unchecked:
            said = f"The user pool did not answer, so nobody has looked whether there is {name}. Please do."
            self.message_user(request, said, messages.WARNING)

    def why_not_delete(self, one: Any) -> str:
        if _is_built_in(one):
            return f"{one} is built in, and nobody has changed it. To offer it no longer, disable it."
        return ""

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return super().delete_view(
            request, object_id, {"comes_back": unquote(object_id) == PROMOTION, **(extra_context or {})}
        )


def _with_built_in(rows: list[Any]) -> list[Any]:
    """Return the rows with the request that the portal has where nobody has stored it: saved, it becomes an item."""
    if any(one.pk == PROMOTION for one in rows):
        return rows
    return sorted([*rows, promotion()], key=lambda one: one.title or "")


def _is_built_in(one: RequestType) -> bool:
    return one.pk == PROMOTION and one._state.adding
