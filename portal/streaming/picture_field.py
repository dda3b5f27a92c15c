"""The field of a form that takes an application's picture and shows the one that is there."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from documents.rendered import NotAPicture
from portal.streaming import pictures
from portal.streaming.pictures import Picture


class PictureInput(forms.ClearableFileInput):
    """Shows the picture that is stored, and takes another."""

    template_name = "admin/streaming/application/picture_input.html"
    clear_checkbox_label = "Remove the picture"
    current = ""  # the id of what is stored

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        # Looked up only where it is shown.
        context["widget"]["current"] = pictures.address(self.current)
        context["widget"]["is_missing"] = bool(self.current and not context["widget"]["current"])
        return context


class PictureField(forms.FileField):
    """A picture that is handed in, made small: see pictures.py. Without one, the id of what is there stays."""

    widget = PictureInput
    default_error_messages = {
        "contradiction": "Choose another picture or remove the one that is there, not both.",
        "empty": "This file is empty.",
    }

    def clean(self, data: Any, initial: Any = None) -> Picture | str:
        given = super().clean(data, initial)
        if not isinstance(given, UploadedFile):
            return given or ""
        if (given.size or 0) > pictures.MOST_BYTES_IN:
            raise ValidationError(f"This picture is larger than {pictures.MOST_BYTES_IN // 1_000_000} MB.")
        given.seek(0)  # where the form is looked at again
        try:
            return pictures.made_small(given.read())
        except NotAPicture as error:
            raise ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial) if data is False else super().has_changed(initial, data)
