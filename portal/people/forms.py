"""What operators are asked about an account."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from portal.accounts.forms import username_field
from portal.people import directory
from portal.people.acts import FIELDS
from portal.people.directory import Person
from portal.people.membership import Group

MANAGER_HELP = "A user name or e-mail address. What this person asks their manager to approve goes there."
ADDRESS_HELP = "Codes for a new password go there. It counts as verified, so be sure that it is theirs."


class PersonForm(forms.Form):
    """Somebody's name and address."""

    given_name = forms.CharField(label=FIELDS["given_name"], max_length=100, required=False)
    family_name = forms.CharField(label=FIELDS["family_name"], max_length=100, required=False)
    email = forms.EmailField(label=FIELDS["email"])


class GroupsField(forms.MultipleChoiceField):
    widget = forms.CheckboxSelectMultiple

    def offer(self, groups: Iterable[Group]) -> None:
        """Offer these groups, each with what it is for."""
        self.choices = [(one.name, f"{one.name}: {one.description}" if one.description else one.name) for one in groups]


class InviteForm(PersonForm):
    username = username_field()
    groups = GroupsField(label="Groups", required=False)

    def __init__(self, data: Any, *, groups: Iterable[Group]) -> None:
        super().__init__(data)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = "Stays for good."
        self.fields["username"].validators.append(RegexValidator(r"^[^@]+\Z", "A user name has no @ in it."))
        self.fields["email"].help_text = "The invitation goes there."
        self.fields["groups"].offer(groups)  # type: ignore[attr-defined]
        # A password manager would offer the operator's own.
        for name in ("username", "email"):
            self.fields[name].widget.attrs["autocomplete"] = "off"


class EditForm(PersonForm):
    """Somebody's name, manager and, for those who may, their address. Of a company's person, the manager alone. It
    notices what was changed since it was opened."""

    manager = forms.CharField(
        label=FIELDS["manager"],
        max_length=128,
        required=False,
        help_text=MANAGER_HELP,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, data: Any, *, person: Person, may_change_address: bool, may_change_manager: bool = True) -> None:
        current = {name: getattr(person, name) for name in FIELDS}
        super().__init__(data, initial=current)
        self.person = person
        self.current = current
        self.fields["email"].help_text = ADDRESS_HELP
        if person.is_federated:
            self.fields["manager"].help_text = f"{MANAGER_HELP} Their company keeps their name and address."
        left_out = {
            "given_name": person.is_federated,
            "family_name": person.is_federated,
            "email": person.is_federated or not may_change_address,
            "manager": not may_change_manager,
        }
        for name in [name for name, is_left_out in left_out.items() if is_left_out]:
            del self.fields[name]
        for field in self.fields.values():
            field.show_hidden_initial = True
            field.widget.attrs["autocomplete"] = "off"

    def clean_manager(self) -> str:
        """Return the user name: it stays that person's, and an address may be another's some day."""
        name: str = self.cleaned_data["manager"]
        if name in ("", self.current["manager"]):
            return name
        found = directory.known_as(name)
        if found is None or name.lower() not in (found.username.lower(), found.email.lower()):
            raise ValidationError("Nobody in the user pool has this user name or verified e-mail address.")
        if found.sub == self.person.sub:
            raise ValidationError("Nobody is their own manager.")
        if not found.is_enabled:
            raise ValidationError(f"The account of {found.username} is disabled.")
        return found.username

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.changed_data:
            current, opened = self.current[name], self.data.get(self.add_initial_prefix(name), "")
            if current not in (opened, cleaned.get(name)):
                self.add_error(name, f"Somebody changed this to “{current}” meanwhile. Look again.")
        return cleaned

    def changes(self) -> dict[str, str]:
        """Return what is to be changed, and to what."""
        return {
            name: self.cleaned_data[name] for name in self.changed_data if self.cleaned_data[name] != self.current[name]
        }


class GroupsForm(forms.Form):
    """The groups that somebody is in, of those that the operator may give. What the page showed comes back with it, so
    that only what was ticked or unticked there is done."""

    groups = GroupsField(label="In the groups", required=False)
    opened = forms.MultipleChoiceField(required=False, widget=forms.MultipleHiddenInput)
    sure = forms.BooleanField(required=False)

    def __init__(self, data: Any, *, groups: Iterable[Group], having: Iterable[str], is_self: bool) -> None:
        offered = list(groups)
        names = {one.name for one in offered}
        shown = [name for name in having if name in names]
        super().__init__(data, initial={"groups": shown, "opened": shown})
        self.fields["groups"].offer(offered)  # type: ignore[attr-defined]
        self.fields["opened"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        self.fields["sure"].label = "I may lose what my groups allow me, and cannot take it back myself"
        if not is_self:
            del self.fields["sure"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "sure" in self.fields and self.removed and not cleaned.get("sure"):
            self.add_error("sure", "This takes you yourself out of a group. Tick this if you mean it.")
        return cleaned

    @property
    def added(self) -> set[str]:
        return {*self.cleaned_data.get("groups", ())} - {*self.cleaned_data.get("opened", ())}

    @property
    def removed(self) -> set[str]:
        return {*self.cleaned_data.get("opened", ())} - {*self.cleaned_data.get("groups", ())}


class SureForm(forms.Form):
    """What is asked before somebody does to themselves what they cannot undo."""

    sure = forms.BooleanField(label="I lock myself out, and only another operator can let me in again")
