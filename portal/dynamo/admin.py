"""The Django admin over DynamoDB: a ModelAdmin for items, which touches no database.

Private points of Django that are used here: `_changeform_view` and `_delete_view` of ModelAdmin, because the public
ones open a database transaction around them; `_get_obj_does_not_exist_redirect`; and `_add_to_cache` of the content
types, which pages name and no table holds. tests/dynamo/test_touchpoints.py fails when Django changes them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from portal.dynamo import audit, records
from portal.dynamo.forms import ItemForm, ItemFormSet, as_opened, differences
from portal.dynamo.items import Item, value_in
from portal.dynamo.table import Conflict

# Each is read, shown and deleted in a transaction of its own, all in one request.
MOST_DELETED = 200
# How often a write that lost a race is tried on what is there now, before the person is asked to.
TRIES = 3


class Obstacles(list[str]):
    """Why something is not deleted (yet)."""

    # Nothing forbids it, but it is not what the person saw who confirmed it.
    can_be_confirmed = False


class ItemAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The admin of a table that operators edit.

    A list reads the table whole, so this is for tables of up to some 5,000 items (1 MB or two), whose list takes a few
    seconds. Beyond that it works, but ever more slowly.
    """

    form = ItemForm
    show_facets = admin.ShowFacets.NEVER

    def __init__(self, model: Any, admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        label, name = model._meta.app_label, model._meta.model_name
        # The number only has to be a number of its own: the pages that would look it up are left out of the site.
        number = zlib.crc32(f"{label}.{name}".encode())
        ContentType.objects._add_to_cache("default", ContentType(pk=number, app_label=label, model=name))  # type: ignore[attr-defined]

    def why_not_delete(self, one: Any) -> str:
        """Return why this item cannot be deleted now, or nothing."""
        return ""

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Go back to the list of what there is, and not to the admin's front page."""
        text = f"{capfirst(opts.verbose_name)} “{unquote(object_id)}” doesn’t exist. Perhaps it was deleted?"
        messages.warning(request, text)
        return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))

    # --- Writing: together with the audit log, and only what is still as it was read ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        action = audit.CHANGED if change else audit.ADDED
        obj.save(together_with=[self._audit(request, action, obj, form.changes())])

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.delete(together_with=[self._audit(request, audit.DELETED, obj, self.what_it_was(obj))])

    def what_it_was(self, one: Any) -> list[audit.Change]:
        """Return what the audit log keeps of an item that is deleted."""
        return [
            audit.Change(field=str(field.verbose_name), old=one.say(field, value))
            for field in one._meta.concrete_fields
            if (value := getattr(one, field.attname)) not in (None, "")
        ]

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for one in queryset:
            self.delete_model(request, one)

    def _audit(self, request: HttpRequest, action: str, one: Item, changes: Iterable[audit.Change]) -> dict[str, Any]:
        actor = cast(audit.Actor, request.user)
        return audit.putting(
            audit.entry(action, by=actor, object=audit_name(one), object_name=str(one), changes=changes)
        )

    # The entry is written in the transaction that makes the change, not before or after it.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...
    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...
    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any: ...

    # --- Pages ---

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.also_shown = frozenset(map(str, flatten_fieldsets(self.get_fieldsets(request, obj))))  # type: ignore[attr-defined]
        return form

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        form = super().get_changelist_form(request, **{"form": ItemForm, **kwargs})
        form.is_row = True  # type: ignore[attr-defined]
        return form

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        formset = super().get_changelist_formset(request, **{"formset": ItemFormSet, **kwargs})
        formset.is_refused = getattr(request, "rows_are_refused", False)  # type: ignore[attr-defined]
        return formset

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._again(request, lambda: self._changeform_view(request, object_id, form_url, extra_context))  # type: ignore[attr-defined]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self._again(request, lambda: self._delete_view(request, object_id, extra_context))  # type: ignore[attr-defined]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        extra_context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        if request.method == "POST":
            if "_save" in request.POST and self.list_editable and self.has_change_permission(request):
                return self._again(request, lambda: self._save_rows(request, extra_context))
            if not set(filter(None, request.POST.getlist("action"))) <= set(self.get_actions(request)):
                raise PermissionDenied
        return self._again(request, lambda: super(ItemAdmin, self).changelist_view(request, extra_context))

    def _again(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        """Answer, reading anew where a write lost a race: the form then says what changed, if it matters to it."""
        for _ in range(TRIES):
            self._read_anew(request)
            try:
                return view()
            except Conflict:
                continue
        self.message_user(request, "Others keep changing this. Nothing is saved; please try again.", messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def get_queryset(self, request: HttpRequest) -> Any:
        # The list, its counts and each of its filters ask for one of their own: one reading serves them all.
        if self.model not in (read := self._items_read(request)):
            read[self.model] = super().get_queryset(request)
        return read[self.model].all()

    def _read_anew(self, request: HttpRequest) -> None:
        self._items_read(request).clear()

    def _items_read(self, request: HttpRequest) -> dict[type[Item], Any]:
        return request.__dict__.setdefault("_items_read", {})  # type: ignore[no-any-return]

    def _save_rows(self, request: HttpRequest, extra_context: Any) -> HttpResponse:
        formset = self.get_changelist_formset(request)(request.POST, request.FILES, queryset=self.get_queryset(request))
        formset.is_valid()
        gone = [form for form in formset.forms if form.instance._state.adding]
        here = [form for form in formset.forms if form not in gone]
        if all(form.is_valid() for form in here):
            changed = [form for form in here if form.has_changed()]
            for form in changed:
                self.save_model(request, self.save_form(request, form, change=True), form, change=True)
            names = self.opts.verbose_name if len(changed) == 1 else self.opts.verbose_name_plural
            if changed:
                self.message_user(request, f"{len(changed)} {names} saved.", messages.SUCCESS)
        if gone:
            self.message_user(request, "Some of these were deleted meanwhile; look again.", messages.WARNING)
            return HttpResponseRedirect(request.get_full_path())
        if all(form.is_valid() for form in here):
            return HttpResponseRedirect(request.get_full_path())
        self._read_anew(request)
        request.rows_are_refused = True  # type: ignore[attr-defined]
        response = cast(TemplateResponse, super().changelist_view(request, extra_context))
        if response.context_data and (cl := response.context_data.get("cl")) and cl.formset:
            # The rows that were sent, not those that a page would show now.
            cl.result_list = [form.instance for form in cl.formset.forms]
        return response

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, int], set[str], list[str]]:
        objs = list(objs)
        if len(objs) > MOST_DELETED:
            too_many = f"These are {len(objs):,}, and at most {MOST_DELETED} are deleted at once. Choose fewer."
            return [], {}, set(), Obstacles([too_many])
        name = capfirst(self.opts.verbose_name)
        obstacles = Obstacles(reason for one in objs if (reason := self.why_not_delete(one)))
        if not obstacles and request.method == "POST" and "post" in request.POST:
            obstacles.extend(text for one in objs for text in _changes_unseen(one, request))
            obstacles.can_be_confirmed = True
        return (
            [format_html('{}: <a href="{}">{}</a>', name, self._url(one), one) for one in objs],
            {self.opts.verbose_name_plural: len(objs)},
            set(),
            obstacles,
        )

    def _url(self, one: Item) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(quote(one.pk),))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        key = unquote(object_id)
        one = self.get_object(request, key)
        if not self.has_view_or_change_permission(request, one):
            raise PermissionDenied
        name = f"{self.opts.label_lower}/{key}"
        page = records.page(audit.entries, name[: records.LONGEST], index="ByObject", request=request)
        if one is None and not page.records:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {one or page.records[0].object_name}",
            "page": page,
            "object": one,
            "opts": self.opts,
            "module_name": capfirst(self.opts.verbose_name_plural),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/item_history.html", context)


def audit_name(one: Item) -> str:
    """Return the item's name in the audit log, e.g. "rides.unicorn/angel"."""
    return f"{one._meta.label_lower}/{one.pk}"


def _changes_unseen(one: Item, request: HttpRequest) -> Sequence[str]:
    opened = as_opened(one, request.POST)
    if opened is None:
        return [f"{one}: look at it once more before it goes."]
    changed = "; ".join(
        f"{field.verbose_name} was {one.say(field, value_in(opened, field))} and is now "
        f"{one.say(field, value_in(one.item, field))}"
        for field in differences(one, opened)
    )
    return [f"{one} was changed by someone meanwhile: {changed}."] if changed else []
