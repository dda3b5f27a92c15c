"""The rules, as operators see them. run_admin.py has the runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods

from policies import engine, grammar, run_admin
from policies.forms import RuleForm, RuleFormSet, RuleRow
from policies.instance import Instance
from policies.models import TagPolicy
from policies.progress_words import url_of
from policies.rules import Action
from policies.runs import Kind, Run, runs
from portal.dynamo import audit
from portal.dynamo.admin import ItemAdmin
from portal.dynamo.forms import opened_name
from portal.dynamo.records import LONGEST
from portal.dynamo.values import from_item, to_item

# What the list offers where there is no rule yet: the rules of the published table.
EXAMPLES = [
    {"tag_key": "ProjectCode", "action": "Update", "required": "yes", "default": "Proj007"},
    {"tag_key": "CreatedBy", "action": "UserLookup", "required": "yes"},
    {"tag_key": "Expires", "action": "Function", "required": "no", "default": "today()"},
]

# How much of an item with odd types the audit log keeps when it is deleted.
MOST_RAW_CHARACTERS = 2_000

GIVES = {Action.UPDATE: "gives <q>{}</q> {}", Action.FUNCTION: "gives <code>{}</code> {}"}


class HasProblems(admin.SimpleListFilter):
    title = "problems"
    parameter_name = "problems"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Malformed"), ("no", "Fine")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in ("yes", "no"):
            return queryset
        wanted = [one.pk for one in queryset if bool(one.problems()) == (self.value() == "yes")]
        return queryset.filter(pk__in=wanted)


@admin.register(TagPolicy)
class TagPolicyAdmin(ItemAdmin):
    form = RuleForm
    list_display = ["order", "rule", "does", "scope", "is_required", "enabled"]
    list_display_links = ["rule"]
    list_editable = ["order", "enabled"]
    list_filter = [("action", admin.ChoicesFieldListFilter), ("enabled", admin.BooleanFieldListFilter), HasProblems]
    search_fields = ["tag_key", "default", "description", "=rule_id"]
    search_help_text = "By tag key, value, description or number."
    list_per_page = 100
    radio_fields = {"untagged": admin.VERTICAL}
    actions = ["preview_selected"]

    # --- The list ---

    @admin.display(description="rule", ordering="tag_key")
    def rule(self, one: TagPolicy) -> str:
        return format_html(
            '{} <span class="small soft nowrap">rule {}</span>', one.tag_key or "without a key", one.rule_id
        )

    @admin.display(description="what it does", ordering="action")
    def does(self, one: TagPolicy) -> str:
        if problems := one.problems():
            said = format_html_join("", "<li>{}</li>", ((problem.text,) for problem in problems))
            return format_html('<span class="tag warm">malformed, skipped</span><ul class="problems">{}</ul>', said)
        said = format_html(GIVES.get(one.action, "gives {} {}"), one.gives, one.where)
        if one.is_harsh:
            return format_html('{}; <strong class="harsh">{}</strong>', said, one.end_in_words)
        return said

    def scope(self, one: TagPolicy) -> str:
        wrong = {problem.field for problem in one.problems()}
        return "–" if wrong & {"vpc_ids", "regions", "tag_filter"} else one.scope

    @admin.display(description="required", ordering="required")
    def is_required(self, one: TagPolicy) -> str:
        return {True: "yes", False: "no"}.get(cast(bool, one.required), "–")

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=RuleRow, **kwargs)

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, formset=RuleFormSet, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        examples = [(one, f"{self._list_url('add')}?{urlencode(one)}") for one in EXAMPLES]
        about = {"may_run": run_admin.may_run(request), "examples": examples, **(extra_context or {})}
        return super().changelist_view(request, about)

    # --- The form ---

    def get_fieldsets(self, request: HttpRequest, obj: TagPolicy | None = None) -> Any:
        number = [] if obj else ["rule_id"]
        harsh = ["untagged", "grace_days"]
        if self.has_change_permission(request, obj) or (obj is None and self.has_add_permission(request)):
            harsh.append("sure")
        return [
            (None, {"fields": ["tag_key", "action", "default", "required"]}),
            ("Which instances", {"fields": ["vpc_ids", "regions", "tag_filter"]}),
            ("Which values are allowed", {"fields": ["allowed_values", "allowed_pattern"]}),
            ("Instances without any tags", {"fields": harsh}),
            ("Order", {"fields": [*number, "order", "enabled", "description"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: TagPolicy | None = None) -> Any:
        return ["rule_id"] if obj else []

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        one = super().get_object(request, object_id, from_field)
        if one is not None and request.method == "GET" and (draft := self._draft(request)):
            # What was previewed and is not saved, in place of what is stored; the item stays as it was read, and who
            # saves it is told what others changed since the form was first opened.
            one.opened_as = draft.opened_as
            for field in TagPolicy._meta.concrete_fields:
                if not field.primary_key:
                    setattr(one, field.attname, getattr(draft, field.attname))
        return one

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        if draft := self._draft(request):
            initial = {one.name: getattr(draft, one.attname) for one in TagPolicy._meta.concrete_fields}
            if TagPolicy.objects.filter(pk=draft.pk):
                del initial["rule_id"]  # taken meanwhile
            return initial
        return super().get_changeform_initial_data(request)

    def _draft(self, request: HttpRequest) -> TagPolicy | None:
        """Return the rule that was previewed and that the form goes on with."""
        key = request.GET.get("draft", "")
        run = runs.find(key) if 0 < len(key) <= LONGEST else None
        if run is None or len(run.rules) != 1 or not self.has_view_permission(request):
            return None
        draft = TagPolicy.from_item(to_item(run.rules[0]))
        match = request.resolver_match
        about = match.kwargs.get("object_id") if match else None
        if about is not None and unquote(about) != str(draft.pk):
            return None  # of another rule
        # A preview takes any rule for enabled.
        draft.enabled = request.GET.get("enabled") != "N"
        draft.opened_as = run.opened_as
        return draft

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,
        change: Any = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["malformed"] = obj.problems() if obj else []
        context["may_run"] = run_admin.may_run(request)
        # The form has a summary of its own.
        context["has_errors"], context["errors"] = bool(context.get("errors")), None
        context["is_draft"] = request.method == "GET" and self._draft(request) is not None
        return super().render_change_form(request, context, add, change, form_url, obj)

    def what_it_was(self, one: Any) -> list[audit.Change]:
        was = super().what_it_was(one)
        if one.unreadable():
            was.append(audit.Change(field="as it was stored", old=json.dumps(one.item)[:MOST_RAW_CHARACTERS]))
        return was

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if "_preview" in request.POST:
            run = self._preview(request, [obj.attributes()], opened_as=request.POST.get(opened_name(obj), ""))
            query = {"draft": obj.pk if change else "add", "enabled": "Y" if obj.enabled else "N"}
            request.previewed = f"{url_of(run.run_id)}?{urlencode(query)}"  # type: ignore[attr-defined]
        else:
            super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._to_preview(request) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._to_preview(request) or super().response_change(request, obj)

    def _to_preview(self, request: HttpRequest) -> HttpResponse | None:
        url = getattr(request, "previewed", "")
        return HttpResponseRedirect(url) if url else None

    # --- Previews ---

    def get_urls(self) -> list[Any]:
        return [
            path(
                "preview/",
                require_http_methods(["GET", "POST"])(self.admin_site.admin_view(self.preview_view)),
                name="policies_tagpolicy_preview",
            ),
            path(
                "function/",
                require_GET(self.admin_site.admin_view(self.function_view)),
                name="policies_tagpolicy_function",
            ),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Preview all rules that are enabled."""
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return HttpResponseRedirect(self._list_url())
        run = self._preview(request, None)
        return HttpResponseRedirect(url_of(run.run_id))

    @admin.action(description="Preview selected %(verbose_name_plural)s", permissions=["change"])
    def preview_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        run = self._preview(request, [from_item(one.item) for one in queryset])
        return HttpResponseRedirect(url_of(run.run_id))

    def _preview(self, request: HttpRequest, some: Iterable[Mapping[str, Any]] | None, *, opened_as: str = "") -> Run:
        if not run_admin.may_run(request):
            raise PermissionDenied
        # Whoever previews a rule wants to know what it would do, enabled or not.
        rules = None if some is None else [{**one, "Enabled": "Y"} for one in some]
        by = cast(audit.Actor, request.user)
        return engine.start(Kind.PREVIEW, by=by, now=datetime.now(UTC), rules=rules, opened_as=opened_as)

    def function_view(self, request: HttpRequest) -> HttpResponse:
        """Say what a function gives, for the form to show while it is typed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = said_of(request.GET.get("default", ""), now=datetime.now(UTC))
        return TemplateResponse(request, "admin/policies/tagpolicy/function.html", context)

    def _list_url(self, name: str = "changelist") -> str:
        return reverse(f"admin:policies_tagpolicy_{name}")


def said_of(text: str, *, now: datetime) -> dict[str, str]:
    """Return what a function gives an instance that is launched now, or what is wrong with it."""
    try:
        expression = grammar.parse(text)
    except grammar.NotUnderstood as problem:
        return {"problem": str(problem)}
    new = Instance(instance_id="", region="", state="", created_at=now, tags={}, attributes={})
    try:
        return {"value": expression.value(new, now=now, tags={})}
    except grammar.Unknown:
        return {"value": ""}
