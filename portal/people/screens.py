"""The pages that ask before something is done to an account: what each says, asks and does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from portal.accounts.models import User
from portal.people import acts
from portal.people.directory import Person
from portal.people.forms import EditForm, GroupsForm, SureForm
from portal.people.rules import Act

if TYPE_CHECKING:
    from portal.people.admin import PersonAdmin

Form = Any  # one of portal.people.forms
MakeForm = Callable[["PersonAdmin", HttpRequest, Person, list[str]], Form]


@dataclass(frozen=True)
class Screen:
    title: str  # with {name}
    button: str  # on the person's page
    confirm: str  # on this one
    says: tuple[str, ...]
    do: Callable[[Person, Form, User], list[str]]
    form: MakeForm | None = None
    is_danger: bool = False
    warns_oneself: str = ""

    def warnings(self, person: Person, *, by: User) -> list[str]:
        return [self.warns_oneself] if self.warns_oneself and person.sub == by.sub else []


def _edit_form(page: PersonAdmin, request: HttpRequest, person: Person, groups: list[str]) -> EditForm:
    # An address is the way to a new password, and so to the account: not for those who may only change people.
    may_do_all = bool(getattr(request.user, "is_superuser", False))
    # Nor does anybody else choose who answers what they ask for themselves.
    is_self = getattr(request.user, "sub", None) == person.sub
    return EditForm(
        request.POST or None,
        person=person,
        may_change_address=may_do_all,
        may_change_manager=may_do_all or not is_self,
    )


def _edit(person: Person, form: EditForm, by: User) -> list[str]:
    if not (changes := form.changes()):
        return ["Nothing was changed."]
    acts.edit(person, changes, by=by)
    return [f"{person.username} is changed."]


def _groups_form(page: PersonAdmin, request: HttpRequest, person: Person, groups: list[str]) -> GroupsForm:
    is_self = getattr(request.user, "sub", None) == person.sub
    return GroupsForm(request.POST or None, groups=page.groups_to_give(request), having=groups, is_self=is_self)


def _change_groups(person: Person, form: GroupsForm, by: User) -> list[str]:
    if not (form.added or form.removed):
        return ["Nothing was changed."]
    acts.change_groups(person, add=form.added, remove=form.removed, by=by, now=_now())
    said = ["The groups are changed. Where they are signed in, it shows within a quarter of an hour."]
    if form.removed:
        said.append("Sign them out everywhere, and end their AWS access, if it must be so at once.")
    return said


def _sure_form(page: PersonAdmin, request: HttpRequest, person: Person, groups: list[str]) -> SureForm | None:
    return SureForm(request.POST or None) if getattr(request.user, "sub", None) == person.sub else None


def _invite_again(person: Person, form: Form, by: User) -> list[str]:
    acts.invite_again(person, by=by)
    return [f"The invitation is on its way to {person.email}."]


def _reset_password(person: Person, form: Form, by: User) -> list[str]:
    acts.reset_password(person, by=by)
    return [f"The password is reset. A code is on its way to {person.email}."]


def _reset_factor(person: Person, form: Form, by: User) -> list[str]:
    acts.reset_factor(person, by=by)
    return ["The second factor is off."]


def _sign_out(person: Person, form: Form, by: User) -> list[str]:
    return acts.sign_out(person, by=by, clock=_now)


def _end_aws_access(person: Person, form: Form, by: User) -> list[str]:
    return acts.end_aws_access(person, by=by)


def _disable(person: Person, form: Form, by: User) -> list[str]:
    return acts.disable(person, by=by, clock=_now)


def _enable(person: Person, form: Form, by: User) -> list[str]:
    acts.enable(person, by=by)
    return [f"{person.username} is enabled and can sign in again."]


def _now() -> datetime:
    return datetime.now(UTC)


SCREENS = {
    Act.EDIT: Screen(
        "Edit {name}", "Edit", "Save", ("Their user name and who they are stay the same.",), _edit, form=_edit_form
    ),
    Act.GROUPS: Screen(
        "Groups of {name}",
        "Change groups",
        "Save",
        ("Groups say what somebody may do in the admin and in AWS. Those that you may not give are not listed.",),
        _change_groups,
        form=_groups_form,
        warns_oneself="This is you.",
    ),
    Act.INVITE_AGAIN: Screen(
        "Invite {name} again?",
        "Invite again",
        "Send the invitation",
        ("A mail with a new temporary password goes to their address. The old one stops working.",),
        _invite_again,
    ),
    Act.RESET_PASSWORD: Screen(
        "Reset the password of {name}?",
        "Reset password",
        "Reset it",
        (
            "Their password stops working. A code goes to their address, with which they choose another.",
            "They stay signed in where they are. If somebody else may know the password, sign them out everywhere too.",
        ),
        _reset_password,
        warns_oneself="This is you. Look into your mail before you close this browser.",
    ),
    Act.RESET_FACTOR: Screen(
        "Reset the second factor of {name}?",
        "Reset second factor",
        "Reset it",
        (
            "Signing in asks for no second factor until they set one up again.",
            "Where everybody needs one, they set it up when they next sign in.",
            "Be sure that it is they who asked you.",
        ),
        _reset_factor,
        is_danger=True,
    ),
    Act.SIGN_OUT: Screen(
        "Sign {name} out everywhere?",
        "Sign out everywhere",
        "Sign them out",
        (
            "Every browser in which they are signed in is signed out at once.",
            "Programs that act for them are refused within the hour. They can sign in again.",
        ),
        _sign_out,
        is_danger=True,
        warns_oneself="This is you. This browser is signed out as well.",
    ),
    Act.END_AWS: Screen(
        "End the AWS access of {name}?",
        "End AWS access",
        "End it",
        (
            "The keys for AWS that they have are refused, wherever they are.",
            "They can get new ones as long as they can sign in. This takes some seconds.",
        ),
        _end_aws_access,
        is_danger=True,
    ),
    Act.DISABLE: Screen(
        "Disable {name}?",
        "Disable",
        "Disable",
        (
            "They cannot sign in any more, they are signed out everywhere, and their access to AWS ends.",
            "What they own stays. They can be enabled again. This takes some seconds.",
        ),
        _disable,
        form=_sure_form,
        is_danger=True,
        warns_oneself="This is you. You are signed out at once, and cannot come back by yourself.",
    ),
    Act.ENABLE: Screen("Enable {name}?", "Enable", "Enable", ("They can sign in again.",), _enable),
}
