"""The form that asks for a unicorn."""

from __future__ import annotations

from typing import Any

from django import forms

from rides.rules import Place


class PickupForm(forms.Form):
    """Where to be picked up. Each form that is shown has an `idempotency_key`, so that sending it twice asks once."""

    latitude = forms.FloatField(
        min_value=-90,
        max_value=90,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "text", "autocomplete": "off"}),
        error_messages={
            "required": "Pick a place on the map, or type its latitude.",
            "invalid": "A latitude is a number, for example 47.6.",
            "min_value": "A latitude is at least -90, the South Pole.",
            "max_value": "A latitude is at most 90, the North Pole.",
        },
    )
    longitude = forms.FloatField(
        min_value=-180,
        max_value=180,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "text", "autocomplete": "off"}),
        error_messages={
            "required": "Pick a place on the map, or type its longitude.",
            "invalid": "A longitude is a number, for example -122.3.",
            "min_value": "A longitude is at least -180.",
            "max_value": "A longitude is at most 180.",
        },
    )
    idempotency_key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Firefox fills in what was typed before a reload, and the old key with it.
        self.fields["idempotency_key"].widget.attrs["autocomplete"] = "off"

    def place(self) -> Place:
        return Place(latitude=self.cleaned_data["latitude"], longitude=self.cleaned_data["longitude"])
