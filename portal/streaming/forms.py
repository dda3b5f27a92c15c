"""What operators are asked about an application, a fleet that is to stop, and a session that is to end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from portal import aws
from portal.dynamo.audit import Change
from portal.dynamo.forms import ItemForm
from portal.people import membership
from portal.streaming import appstream, models, pictures
from portal.streaming.appstream import Trouble
from portal.streaming.models import Application
from portal.streaming.operator_words import counted, why_out_of_sight
from portal.streaming.picture_field import PictureField
from portal.streaming.pictures import Picture
from portal.streaming.rules import EVERYBODY

SHORTEST, LONGEST = 5, 500
_PLAIN = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}
_NO_FLEET = (
    "The template has made no stack and no fleet. To get them, set its parameter StreamingImage. Or name your own here,"
    " and add their ARNs to its parameter MoreStreamingArns."
)
_NOT_APART = (
    "Whoever streams from a fleet reaches every application of its image: to keep them apart, use another fleet."
)


class GroupsField(forms.CharField):
    """Names of groups, one on each line, as they are stored."""

    def to_python(self, value: Any) -> str:
        return "\n".join(dict.fromkeys((super().to_python(value) or "").split()))


class ApplicationForm(ItemForm):
    """An application. What is newly named in it is looked for in the user pool and in AppStream."""

    instance: Application

    picture = PictureField(
        required=False,
        help_text="A PNG, JPEG, GIF or WebP of at most 2 MB. It is made into a square of 128 pixels.",
    )

    class Meta:
        model = Application
        fields = "__all__"
        field_classes = {"groups": GroupsField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What could not be looked for, because nobody answered, in words.
        self.unchecked: list[str] = []
        # What was handed in, which is stored with the application and not before.
        self.new_picture: Picture | None = None
        for name in ("application_id", "groups", "stack", "fleet", "application"):
            if name in self.fields:
                self.fields[name].widget.attrs |= _PLAIN
                # Django would compare with a second copy of what a computed default was, and not with what was opened.
                self.fields[name].show_hidden_initial = False
        if "groups" in self.fields:
            self.fields["groups"].widget.attrs |= {"rows": 4}
        if "picture" in self.fields:
            self.fields["picture"].widget.attrs |= {
                "accept": "image/png,image/jpeg,image/gif,image/webp",
                "data-most-bytes": pictures.MOST_BYTES_IN,
            }
            self.fields["picture"].widget.current = self.instance.picture or ""
        if "stack" in self.fields:
            named = f"In AppStream. The template’s is {settings.STREAMING_STACK}."
            self.fields["stack"].help_text = named if settings.STREAMING_STACK else _NO_FLEET
        if "fleet" in self.fields and settings.STREAMING_FLEET:
            self.fields["fleet"].help_text = f"The template’s is {settings.STREAMING_FLEET}."

    def clean_picture(self) -> str:
        given: Picture | str = self.cleaned_data["picture"]
        self.new_picture = given if isinstance(given, Picture) else None
        return given.picture_id if isinstance(given, Picture) else given

    def clean_groups(self) -> str:
        text: str = self.cleaned_data["groups"]
        names = text.split()
        if EVERYBODY in names and len(names) > 1:
            raise ValidationError(f"{EVERYBODY} is everybody already: leave the others out, or leave {EVERYBODY} out.")
        new = [one for one in names if one != EVERYBODY and one not in str(self.initial.get("groups") or "").split()]
        missing = self._missing(new)
        if missing:
            raise ValidationError([f"There is no group {one} in the user pool." for one in missing])
        return text

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        is_new_place = self.instance._state.adding or {"stack", "fleet"} & {*self.changed_data}
        stack, fleet = self._named("stack"), self._named("fleet")
        if is_new_place and stack and fleet:
            appstream.forget()
            try:
                self._look_at(stack, fleet)
            except Exception as error:
                if not (aws.is_transient(error) or aws.refused(error)):
                    raise
                self.unchecked.append(f"AppStream did not answer, so nobody has looked at {stack} and {fleet}.")
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors and self.files.get(self.add_prefix("picture")):
            self.add_error("picture", "Choose the picture once more: it is not saved, because of what is marked.")

    def changes(self) -> list[Change]:
        """Return what was typed, as the audit log holds it. Of a picture it holds that there is one."""
        return [
            one.model_copy(update={"new": "another picture"}) if one.old == one.new == "a picture" else one
            for one in super().changes()
        ]

    def warnings(self) -> list[str]:
        """Return what may not be as it was meant, though it can be saved. It reads the catalogue."""
        one = self.instance
        others = [other for other in models.applications() if other.pk != one.pk]
        return [
            *self.unchecked,
            *self._not_framed(),
            *self._not_apart(others),
            *_other_limits(one, others),
            *_other_defaults(one, others),
        ]

    def _missing(self, names: list[str]) -> list[str]:
        """Return those that are no group of the user pool: one call, but for those of a pool with very many groups."""
        if not names:
            return []
        try:
            if len(names) > 1:
                known = {group.name for group in membership.groups()}
                names = [one for one in names if one not in known]
            return [one for one in names if not membership.exists(one)]
        except Exception as error:
            if not aws.is_transient(error):
                raise
            self.unchecked.append(
                f"The user pool did not answer, so nobody has looked whether there is the group {_listed(names)}."
            )
            return []

    def _named(self, name: str) -> str:
        """Return what stack or fleet is named, where it can be one's name; else the model says so."""
        text = str(self.cleaned_data.get(name) or "")
        try:
            self.instance._meta.get_field(name).run_validators(text)  # type: ignore[union-attr]
        except ValidationError:
            return ""
        return text

    def _look_at(self, stack: str, fleet: str) -> None:
        seen_stack, seen_fleet = appstream.stacks([stack])[stack], appstream.fleets([fleet])[fleet]
        if isinstance(seen_stack, Trouble):
            self.add_error("stack", why_out_of_sight("stack", stack, seen_stack))
        if isinstance(seen_fleet, Trouble):
            self.add_error("fleet", why_out_of_sight("fleet", fleet, seen_fleet))
        if isinstance(seen_stack, Trouble) or isinstance(seen_fleet, Trouble):
            return
        has = appstream.fleets_of(stack)
        if isinstance(has, Trouble) or fleet not in has:
            names = "" if isinstance(has, Trouble) else _listed(sorted(has))
            self.add_error(
                "fleet",
                f"The fleet {fleet} is not associated with the stack {stack}"
                + (f", which has {names}. Name that one" if names else ", which has none yet")
                + ", or associate them in AppStream first.",
            )

    def _not_framed(self) -> list[str]:
        one, domain = self.instance, settings.STREAMING_EMBED_DOMAIN
        if one.opens != Application.FRAME or not (
            self.instance._state.adding or {"opens", "stack"} & {*self.changed_data}
        ):
            return []
        try:
            stack = appstream.stacks([one.stack])[one.stack]
        except Exception as error:
            if not (aws.is_transient(error) or aws.refused(error)):
                raise
            return [f"AppStream did not answer, so nobody has looked whether {one.stack} lets the portal frame it."]
        if isinstance(stack, Trouble) or (domain and domain in stack.embed_domains):
            return []
        return [
            f"{one} opens as the whole tab until the stack’s EmbedHostDomains has {domain or 'the portal’s domain'}."
        ]

    def _not_apart(self, others: Iterable[Application]) -> list[str]:
        """Say which applications of other groups can be reached from the same fleet: what AppStream is told to open
        comes first, and is not all.

        Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateEntitlement.html
        """
        one = self.instance
        is_new = one._state.adding or {"groups", "fleet", "enabled"} & {*self.changed_data}
        if not (is_new and one.enabled and one.group_names):
            return []
        names = [
            str(other)
            for other in others
            if other.enabled and other.fleet == one.fleet
            # What is nobody's is not reached through the portal, and keeps nothing to itself.
            if other.group_names and {*other.group_names} != {*one.group_names}
        ]
        if not names:
            return []
        run = "runs on the same fleet and is" if len(names) == 1 else "run on the same fleet and are"
        return [f"{_listed(_first(names))} {run} of other groups. {_NOT_APART}"]


def _other_limits(one: Application, others: Iterable[Application]) -> list[str]:
    same = [other for other in others if other.place == one.place]
    return [
        f"{other} runs on the same stack and fleet with {_minutes(other)}, and this with {_minutes(one)}. They share"
        " their sessions, so whichever began one decides: give them the same."
        for other in same
        if (other.most_minutes or 0) != (one.most_minutes or 0)
    ]


def _other_defaults(one: Application, others: Iterable[Application]) -> list[str]:
    if not (one.is_default and one.enabled):
        return []
    return [
        f"{other} is what the API starts as well. Whoever may start both has to name one."
        for other in others
        if other.is_default and other.enabled and _overlap(one.group_names, other.group_names)
    ]


def _overlap(these: list[str], those: list[str]) -> bool:
    if not these or not those:
        return False
    return EVERYBODY in (*these, *those) or not set(these).isdisjoint(those)


def _minutes(one: Application) -> str:
    return f"at most {counted(one.most_minutes, 'minute')}" if one.most_minutes else "no limit in minutes"


def _first(names: list[str], most: int = 3) -> list[str]:
    """Return some names, and how many more there are."""
    return names if len(names) <= most + 1 else [*names[:most], f"{len(names) - most} others"]


def _listed(names: list[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


class StopForm(forms.Form):
    """Where somebody is on the fleet, its name is typed. `in_use` is how many were there when the page was shown."""

    in_use = forms.IntegerField(widget=forms.HiddenInput)
    name = forms.CharField(
        label="The fleet’s name",
        max_length=101,
        widget=forms.TextInput(attrs=_PLAIN),
        error_messages={"required": "Type the fleet’s name, so that it is not stopped by mistake."},
    )

    def __init__(self, data: Any, *, fleet: str, in_use: int) -> None:
        super().__init__(data, initial={"in_use": in_use})
        self._fleet = fleet
        if in_use:
            self.fields["name"].help_text = f"Type {fleet} to stop it with everybody on it."
        else:
            del self.fields["name"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self._fleet:
            raise ValidationError(f"That is not {self._fleet}.")
        return name


class EndForm(forms.Form):
    reason = forms.CharField(
        min_length=SHORTEST,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Say why.", "min_length": "Say a little more."},
        help_text="Whose session it is reads this. It is written into the audit log as well.",
    )
