"""What operators are told and asked before they do something to a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from django import forms
from django.core.exceptions import ValidationError

from documents import owners
from documents.archive import REASON_BYTES
from documents.owners import Owner

SHORTEST, LONGEST = 10, 500


class ReasonForm(forms.Form):
    """Why somebody reads what is not theirs."""

    reason = forms.CharField(
        min_length=SHORTEST,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Say why.", "min_length": f"Say a little more: {SHORTEST} characters at least."},
        help_text=f"{SHORTEST} to {LONGEST} characters. It is written into the audit log, with your name.",
    )


class TakeDownForm(ReasonForm):
    """Why a document is taken down. The reason is kept beside it, where there is less room than in the audit log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = f"{SHORTEST} to {LONGEST} characters. Its owner reads this, too."

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        size = len(quote_plus(reason))
        if size > REASON_BYTES:
            fits = len(reason) * REASON_BYTES // size
            raise ValidationError(f"In this script there is room for some {fits} characters. Please shorten it.")
        return reason


class PutBackForm(forms.Form):
    """Whose a document is, where the portal does not know: it is put back in their name."""

    owner = forms.CharField(
        max_length=200,
        help_text="A user name, e-mail address or sub. It is put back in their name.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, known: Owner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = known
        if known.sub:
            del self.fields["owner"]

    def clean_owner(self) -> str:
        """Return the sub."""
        found = owners.find(self.cleaned_data["owner"])
        if found is None or not found.sub or found.identity_id != self.known.identity_id:
            raise ValidationError("This document is not theirs.")
        return found.sub

    @property
    def sub(self) -> str:
        return self.known.sub or self.cleaned_data["owner"]


@dataclass(frozen=True)
class Screen:
    """What a page says that asks."""

    title: str  # with the document's in it
    button: str
    says: tuple[str, ...]
    is_danger: bool = False


READ = Screen(
    "Read “{}”",
    "Read it",
    (
        "This is somebody’s own text. Read it only where there is a need, such as a complaint.",
        "That you read it, when and why is written into the audit log before the text is shown.",
    ),
)
TAKE_DOWN = Screen(
    "Take “{}” down?",
    "Take it down",
    (
        "Its Markdown and its PDF are moved to where their owner cannot reach them.",
        "The pictures in it stay. Each can be found by its path, and taken down by itself.",
        "Earlier versions are deleted for good. The newest one is kept, and can be put back.",
        "Its owner sees among their deleted documents that an operator took it down, and your reason.",
    ),
    is_danger=True,
)
PUT_BACK = Screen(
    "Put “{}” back?",
    "Put it back",
    ("Its owner has it again as it was when it was taken down, in the same place. Earlier versions are gone.",),
)
