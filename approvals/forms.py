"""The forms about approvals: a decision, a comment, what is asked for, and an absence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from approvals.approval import Approval, State
from approvals.delegating import LONGEST
from approvals.models import RequestType
from approvals.requests import MANAGER_FIELD, MOST_VALUE
from approvals.rules import MOST_COMMENT, MOST_REASON, fields

VERDICTS = {"approve": State.APPROVED, "reject": State.REJECTED}


class TextField(forms.CharField):
    """A few lines of text. Too much of it comes back with how much it is, rather than being cut off unseen while it is
    pasted."""

    widget = forms.Textarea

    def __init__(self, *, most: int, rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs["rows"] = rows
        self.validators.append(
            MaxLengthValidator(
                most, message="At most %(limit_value)d characters fit in here, and this has %(show_value)d."
            )
        )

    def to_python(self, value: Any) -> str:
        # A browser sends two characters for the end of a line.
        return super().to_python(str(value or "").replace("\r\n", "\n")) or ""


class DecisionForm(forms.Form):
    """A verdict, which is the button that was pressed, and the reason."""

    reason = TextField(label="Reason", most=MOST_REASON, rows=3, required=False)

    def __init__(self, data: Mapping[str, Any] | None = None, *, approval: Approval, first: str = "") -> None:
        """`first` is the choice of a mail's link: its button is the first."""
        super().__init__(data)
        self.approval = approval
        self.first = first
        for_one, for_other = (approval.reason_is_due(one) for one in VERDICTS.values())
        self.due = "always" if for_one and for_other else "reject" if for_other else "never"
        attributes = self.fields["reason"].widget.attrs
        if self.due == "always":
            attributes["aria-required"] = "true"
        # Whoever comes from a mail has chosen, and is led to what is left to do.
        is_chosen = data is None and bool(first)
        is_due = is_chosen and approval.reason_is_due(VERDICTS[first])
        if is_due:
            attributes["autofocus"] = True

    @property
    def verdict(self) -> State:
        return VERDICTS[self.data["decision"]]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.data.get("decision", "") not in VERDICTS:
            raise ValidationError("Press Approve or Reject.")
        if not self.errors and not given.get("reason") and self.approval.reason_is_due(self.verdict):
            self.add_error("reason", f"A reason is needed to {self.data['decision']} this.")
        return given


class ManyForm(forms.Form):
    """One reason for several decisions."""

    reason = TextField(label="Reason for all that are selected", most=MOST_REASON, rows=2, required=False)


class CommentForm(forms.Form):
    text = TextField(
        label="Comment",
        most=MOST_COMMENT,
        rows=2,
        help_text="Everybody who is asked can read it, and so can who asks.",
        error_messages={"required": "Write something first."},
    )


class RequestForm(forms.Form):
    """What a request type asks for. Each form that is shown has a `key`, so that sending it twice asks once."""

    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, request_type: RequestType, asks_manager: bool, **kwargs: Any
    ) -> None:
        super().__init__(data, **kwargs)
        # Firefox fills in what was typed before a reload, and the old key with it.
        self.fields["key"].widget.attrs["autocomplete"] = "off"
        self._names = [name for name, _ in _asked_of(request_type)]
        for name, label in _asked_of(request_type):
            self.fields[_field(name)] = forms.CharField(
                label=label,
                validators=[MaxLengthValidator(MOST_VALUE, message="At most %(limit_value)d characters fit in here.")],
                error_messages={"required": "This is needed."},
            )
        if asks_manager:
            self.fields["manager"] = forms.CharField(
                label="Your manager’s e-mail address",
                help_text="They decide. Nobody is noted as your manager here yet.",
                widget=forms.EmailInput(attrs={"autocomplete": "off"}),
                validators=[MaxLengthValidator(128)],
                error_messages={"required": "Somebody has to decide: write their e-mail address."},
            )

    def given(self) -> dict[str, str]:
        return {name: self.cleaned_data[_field(name)] for name in self._names}

    def refuse(self, field: str | None, sentence: str) -> None:
        """Say beside its field what could not be asked for."""
        shown = "manager" if field == MANAGER_FIELD else _field(field)
        self.add_error(shown if shown in self.fields else None, sentence)


def _asked_of(request_type: RequestType) -> list[tuple[str, str]]:
    return [(name, label) for name, label in fields(request_type.fields or "") if name != MANAGER_FIELD]


def _field(name: str | None) -> str:
    return f"field-{name}"


class AwayForm(forms.Form):
    """From which day until which somebody is away, both included, and who answers meanwhile."""

    first_day = forms.DateField(label="First day", error_messages={"required": "Say from when you are away."})
    last_day = forms.DateField(label="Last day", error_messages={"required": "Say until when you are away."})
    delegate = forms.CharField(
        label="Who answers for you",
        help_text="Their user name or e-mail address.",
        max_length=128,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        error_messages={"required": "Somebody has to answer meanwhile: say who."},
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, now: datetime) -> None:
        super().__init__(data)
        self.now = now
        for name in ("first_day", "last_day"):
            self.fields[name].widget = forms.DateInput(
                format="%Y-%m-%d", attrs={"type": "date", "min": now.date().isoformat()}
            )
            self.fields[name].error_messages["invalid"] = "Write a date, such as 2026-12-24."

    def clean_first_day(self) -> date:
        return self._not_past("first_day")

    def clean_last_day(self) -> date:
        return self._not_past("last_day")

    def _not_past(self, name: str) -> date:
        day: date = self.cleaned_data[name]
        if day < self.now.date():
            raise ValidationError("That day has passed.")
        return day

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        first, last = given.get("first_day"), given.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "The last day comes before the first.")
        elif last and last - self.now.date() >= LONGEST:
            self.add_error("last_day", "That is more than a year from now.")
        return given

    @property
    def from_at(self) -> datetime:
        """When the first day begins, or now where it has."""
        return max(self.now, _midnight(self.cleaned_data["first_day"]))

    @property
    def until_at(self) -> datetime:
        """When the last day is over."""
        return _midnight(self.cleaned_data["last_day"] + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
