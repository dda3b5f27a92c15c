"""The catalogue, as operators see it. fleet_admin.py has the fleets, session_admin.py the sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from portal.dynamo.admin import ItemAdmin
from portal.streaming import appstream, fleet_admin, launch, operator_words, pictures, session_admin
from portal.streaming.forms import ApplicationForm
from portal.streaming.models import Application
from portal.streaming.operator_words import counted

__all__ = ["ApplicationAdmin", "fleet_admin", "session_admin"]  # which register themselves

OPENS = {Application.TAB: "whole tab", Application.FRAME: "in a page"}


@admin.register(Application)
class ApplicationAdmin(ItemAdmin):
    form = ApplicationForm
    list_display = ["title", "application_id", "who", "runs_on", "how", "limits", "enabled"]
    search_fields = ["title", "application_id", "groups", "stack", "fleet"]
    search_help_text = "By title, id, group, stack or fleet."
    list_per_page = 100
    radio_fields = {"opens": admin.VERTICAL}

    # --- The list ---

    @admin.display(description="who may start it")
    def who(self, one: Application) -> str:
        return operator_words.who(one)

    @admin.display(description="stack / fleet", ordering="fleet")
    def runs_on(self, one: Application) -> str:
        return f"{one.stack} / {one.fleet}"

    @admin.display(description="opens", ordering="opens")
    def how(self, one: Application) -> str:
        return OPENS.get(one.opens, one.opens)

    @admin.display(description="limits")
    def limits(self, one: Application) -> str:
        return operator_words.limits(one)

    # --- The form ---

    def get_fieldsets(self, request: HttpRequest, obj: Application | None = None) -> Any:
        return [
            (None, {"fields": ["title", "application_id", "summary", self._picture(request, obj), "enabled"]}),
            ("Who may start it", {"fields": ["groups", "is_shown_to_all", "is_default"]}),
            ("Where it runs", {"fields": ["stack", "fleet", "application"]}),
            ("How it opens", {"fields": ["opens"]}),
            ("How long, and how many", {"fields": ["most_minutes", "most_sessions"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Application | None = None) -> Any:
        picture = self._picture(request, obj)
        return [*(["application_id"] if obj else []), *([picture] if picture != "picture" else [])]

    def _picture(self, request: HttpRequest, obj: Application | None) -> str:
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return "picture" if may else "shown_picture"

    @admin.display(description="picture")
    def shown_picture(self, one: Application) -> str:
        address = pictures.address(one.picture or "")
        return format_html('<img class="picture" src="{}" alt="The picture">', address) if address else "none"

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
        if obj:
            context["fleet_url"] = reverse("admin:streaming_fleet_change", args=[quote(obj.fleet)])
            sessions = reverse("admin:streaming_session_changelist")
            context["sessions_url"] = f"{sessions}?{urlencode({'place': obj.place})}"
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        warnings = form.warnings()  # which reads: before anything is written
        if form.new_picture:
            pictures.keep(form.new_picture)
        super().save_model(request, obj, form, change)
        for said in warnings:
            self.message_user(request, said, messages.WARNING)

    # --- Deleting ---

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        one = self.get_object(request, unquote(object_id)) if request.method == "GET" else None
        running = _running(one) if one and self.has_delete_permission(request, one) else ""
        return super().delete_view(request, object_id, {"running": running, **(extra_context or {})})


def _running(one: Application) -> str:
    """Say how many sessions began with an application and go on without it, where AppStream tells: two calls."""
    try:
        (found, has_more), problem = operator_words.or_why(lambda: _began_with(one), (0, False))
    except LookupError:  # without its stack or fleet, there are none
        return ""
    if problem or has_more:
        return "Sessions that began with it may be running."
    return f"{counted(found, 'session')} that began with it {'is' if found == 1 else 'are'} running." if found else ""


def _began_with(one: Application) -> tuple[int, bool]:
    page = appstream.sessions(one.stack, one.fleet)
    live = {session.user_id for session in page.sessions if not session.is_over}
    launches = launch.of_many(live, stack=one.stack, fleet=one.fleet) if live else {}
    return sum(known.application_id == one.pk for known in launches.values()), bool(page.more)
