"""What operators are asked about approvals: a request type, and why and to whom an approval goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from approvals import people, workflow
from approvals.assignment import Assignment
from approvals.models import PROMOTION, RequestType
from approvals.operator_words import HOW
from approvals.rules import Malformed, Named, approver
from portal import aws
from portal.dynamo.forms import ItemForm
from portal.people import membership
from portal.people.directory import Person

SHORTEST, LONGEST = 5, 500
_STATE_MACHINE = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[^\s:]{1,80}")
_PLAIN = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}


class LinesField(forms.CharField):
    """Lines of text, as they are stored: a browser sends two characters for each end of a line."""

    def to_python(self, value: Any) -> str:
        return "\n".join(line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip())


class RequestTypeForm(ItemForm):
    """A request type. Who is newly named in it is looked for in the user pool."""

    instance: RequestType

    class Meta:
        model = RequestType
        fields = "__all__"
        field_classes = {"fields": LinesField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What the user pool was not asked, because it did not answer.
        self.unchecked: list[str] = []
        if "fields" in self.fields:
            self.fields["fields"].widget.attrs |= {"rows": 5, **_PLAIN}
        for name in ("type_id", "approver", "escalation", "workflow"):
            if name in self.fields:
                self.fields[name].widget.attrs |= _PLAIN

    def clean_type_id(self) -> str:
        type_id: str = self.cleaned_data["type_id"]
        if type_id == PROMOTION:
            raise ValidationError("It is there already: open it in the list of request types to change it.")
        return type_id

    def clean_workflow(self) -> str:
        text: str = self.cleaned_data["workflow"]
        if text and text not in workflow.machines() and not _STATE_MACHINE.fullmatch(text):
            raise ValidationError("Write promotion, promotion-by-activity or a state machine’s ARN, or leave it empty.")
        return text

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in ("approver", "escalation"):
            text = self.cleaned_data.get(name)
            if not text or name not in self.changed_data:
                continue
            try:
                named = approver(text, may_be_manager=name == "approver")
            except Malformed:
                continue  # the model says so
            if problem := self._who_is_missing(named):
                self.add_error(name, problem)
        return cleaned

    def _who_is_missing(self, named: Named) -> str:
        """Return why nobody can be asked by this name, or nothing. It is one call."""
        try:
            if named.kind == "person" and not people.known(named.name):
                return f"Nobody who may sign in has the user name or verified e-mail address {named.name}."
            if named.kind == "group" and not membership.exists(named.name):
                return f"There is no group {named.name} in the user pool."
        except Exception as error:
            if not aws.is_transient(error):
                raise
            self.unchecked.append(f"{named.kind}:{named.name}")
        return ""


class CancelForm(forms.Form):
    """Why an approval is cancelled. `round` is what the page was about: the workflow may have asked anew since."""

    round = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        min_length=SHORTEST,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Say why.", "min_length": "Say a little more."},
        help_text="Who asks for it reads this, and so does the workflow. It is written into the audit log.",
    )


class ReassignForm(forms.Form):
    """Who is to answer, and instead of whom."""

    round = forms.IntegerField(widget=forms.HiddenInput)
    to = forms.CharField(
        label="Who is to answer",
        max_length=128,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="A user name or e-mail address. They get a mail.",
        error_messages={"required": "Say who."},
    )
    instead_of = forms.ChoiceField(label="Instead of", required=False)

    def __init__(self, data: Any, *, asked: Iterable[Assignment], initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        choices = [(one.sub, f"{one.name or one.username} ({HOW[one.how]})") for one in asked]
        self.asked = {sub for sub, _ in choices}
        field = self.fields["instead_of"]
        field.choices = [("", "nobody: besides those who are asked"), *choices]  # type: ignore[attr-defined]
        field.error_messages["invalid_choice"] = "They are not asked any more. Look again who is."

    def clean_to(self) -> Person:
        """Return the person."""
        person = people.known(self.cleaned_data["to"])
        if person is None:
            raise ValidationError("Nobody who may sign in has this user name or verified e-mail address.")
        # With somebody to replace, it may be what an earlier try has left to do.
        if person.sub in self.asked and self.data.get("instead_of") in ("", None, person.sub):
            raise ValidationError(f"{people.called(person)} is asked already.")
        return person
