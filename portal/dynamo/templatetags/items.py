"""Template tags for pages that change items."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.dynamo import audit, forms, records
from portal.dynamo.items import Item

register = template.Library()


@register.simple_tag
def opened(item: Item | None) -> SafeString | str:
    """Carry the item as this page shows it, so that the answer notices what changed meanwhile."""
    if item is None or item._state.adding:
        return ""
    return format_html('<input type="hidden" name="{}" value="{}">', forms.opened_name(item), forms.opened_value(item))


@register.filter
def moment(at: datetime) -> SafeString:
    """Write a moment so that the browser shows it in the reader's own time zone."""
    return records.moment(at)


@register.filter
def is_of(model: Any, opts: Any) -> bool:
    """Tell whether these are the model's options; a template cannot read `_meta`."""
    return bool(opts) and model._meta == opts


@register.filter
def page_of(entry: audit.Entry) -> str:
    """Return the address of what an entry of the audit log is about; of its history where it is deleted."""
    model, _, key = entry.object.partition("/")
    name = "history" if entry.action == audit.DELETED else "change"
    try:
        return reverse(f"admin:{model.replace('.', '_')}_{name}", args=[quote(key)])
    except NoReverseMatch:
        return ""
