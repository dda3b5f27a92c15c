"""Forms that remember what they showed, so that a save notices what someone else has changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models

from portal.dynamo.audit import Change
from portal.dynamo.items import Item, column, value_in


def opened_name(item: Item) -> str:
    """Return the name of the hidden input that carries the item as a page showed it."""
    return f"_opened-{item.pk}"


def opened_value(item: Item) -> str:
    """Sign the item as it was read, or as somebody saw it before."""
    if item.opened_as:
        return item.opened_as
    names = map(column, item._meta.concrete_fields)
    known = {name: item.item[name] for name in names if name in item.item}
    return signing.dumps(known, salt=_salt(item), compress=True)


def as_opened(item: Item, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the item's attribute values as the page that sent this data showed them, or None if it does not say."""
    try:
        return signing.loads(data.get(opened_name(item), ""), salt=_salt(item))  # type: ignore[no-any-return]
    except signing.BadSignature:
        return None


def differences(item: Item, opened: Mapping[str, Any]) -> list[models.Field[Any, Any]]:
    """Return the fields whose attributes are no longer as a page showed them."""
    return [one for one in item._meta.concrete_fields if item.item.get(column(one)) != opened.get(column(one))]


def _salt(item: Item) -> str:
    return f"opened/{item._meta.label}/{item.pk}"


class ItemForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of an item. Where someone else changed the item after the form was opened, it comes back with both
    values: what was typed stays, what was not touched shows the new value, and the next save knows."""

    # Fields of the model that are shown beside the form's own.
    also_shown: ClassVar[frozenset[str]] = frozenset()
    # A row of a list, which is saved only if something in it was typed.
    is_row: ClassVar[bool] = False

    instance: Item

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_row:
            for name, shown in self.fields.items():
                shown.widget.attrs["aria-label"] = f"{shown.label or name} of {self.instance}"
        self._opened: Mapping[str, Any] | None = None
        if self.is_bound and not self.instance._state.adding:
            self._opened = as_opened(self.instance, self.data)
            if self._opened is not None:
                # "Changed" means changed since the form was opened.
                for field in self.instance._meta.concrete_fields:
                    if field.name in self.fields:
                        self.initial[field.name] = value_in(self._opened, field)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if self.instance._state.adding:
            return cleaned
        if self.is_row and not self.has_changed():
            # If the list comes back because of another row, this one shows, and later counts as, what is there now.
            for name in self.fields.keys() & {field.name for field in differences(self.instance, self._opened or {})}:
                self._show(name, getattr(self.instance, name))
            return cleaned
        if self._opened is None:
            raise ValidationError(
                "This form does not say what it was filled in from. Check the values, then save again."
            )
        theirs = [
            field
            for field in differences(self.instance, self._opened)
            if field.name in self.fields or field.name in self.also_shown
        ]
        elsewhere = []
        is_conflict = False
        for field in theirs:
            was, now = value_in(self._opened, field), value_in(self.instance.item, field)
            said_was, said_now = self.instance.say(field, was), self.instance.say(field, now)
            if field.name not in self.fields:
                elsewhere.append(f"{field.verbose_name} was {said_was} and is now {said_now}")
            elif field.name not in self.changed_data:
                self._show(field.name, now)
                self.add_error(field.name, f"Someone changed this from {said_was} to {said_now} meanwhile.")
            elif cleaned.get(field.name) != now:
                yours = self.instance.say(field, cleaned[field.name]) if field.name in cleaned else "something else"
                self.add_error(
                    field.name,
                    f"Someone changed this to {said_now} meanwhile; you have {yours}. Saving again replaces theirs.",
                )
            else:
                continue
            is_conflict = True
        if is_conflict:
            told = f" Also: {'; '.join(elsewhere)}." if elsewhere else ""
            self.add_error(
                None,
                f"Someone changed this {self.instance._meta.verbose_name} meanwhile, so nothing is saved yet. "
                f"Look at what is marked, then save again.{told}",
            )
        return cleaned

    def changes(self) -> list[Change]:
        """Return what was typed, as the audit log holds it."""
        fields = {field.name: field for field in self.instance._meta.concrete_fields}
        is_new = self.instance._state.adding
        return [
            Change(
                field=str(fields[name].verbose_name),
                old="" if is_new else self.instance.say(fields[name], self.initial.get(name)),
                new=self.instance.say(fields[name], self.cleaned_data[name]),
            )
            for name in ([one for one in self.fields if self.cleaned_data.get(one)] if is_new else self.changed_data)
            if name in fields and name in self.cleaned_data
        ]

    def _show(self, name: str, value: Any) -> None:
        """Let the form, though bound, show this value."""
        bound = self[name]
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        if isinstance(bound.field.widget, forms.CheckboxInput) and not value:
            data.pop(bound.html_name, None)
        elif not isinstance(bound.field.widget, forms.MultiWidget):
            prepared = bound.field.prepare_value(value)
            data[bound.html_name] = "" if prepared is None else prepared
        self.data = data


class ItemFormSet(forms.BaseModelFormSet):  # type: ignore[type-arg]
    """The rows of a list that is edited in place."""

    # The rows could not be saved and are shown again.
    is_refused: ClassVar[bool] = False

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        # Its own queryset would read the table once more for each row.
        rows = self.get_queryset()
        form.fields[rows.model._meta.pk.name].queryset = rows

    def clean(self) -> None:
        super().clean()
        if self.is_refused:
            raise ValidationError("Some rows are not saved. Look at what is marked, then save again.")
