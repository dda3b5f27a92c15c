"""The people of the user pool in the admin: the list, a page for each of them, and the invitation of new ones.

screens.py has the pages that ask before something is done to an account.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from portal.accounts import people
from portal.accounts.models import User
from portal.accounts.refusals import Refused
from portal.accounts.rules import Grant
from portal.dynamo import audit, records, sessions
from portal.dynamo.records import RecordAdmin
from portal.dynamo.table import BadCursor
from portal.people import acts, directory, membership, rules, search
from portal.people import forms as person_forms
from portal.people.directory import Person
from portal.people.models import Person as PersonScreen
from portal.people.rules import Act
from portal.people.screens import SCREENS

DOORS = {
    "password": "with a password",
    "hosted": "on Cognito's page",
    "saml": "through the company",
    "vouched": "through another system",
}


def grants(groups: Any) -> list[Grant]:
    """Return what groups allow."""
    return [settings.GROUP_PERMISSIONS[name] for name in groups if name in settings.GROUP_PERMISSIONS]


@admin.register(PersonScreen)
class PersonAdmin(RecordAdmin[Person]):
    columns = ["username", "name", "address", "standing", "created_at"]
    facts = [
        "name",
        "username",
        "address",
        "phone",
        "manager",
        "standing",
        "created_at",
        "changed_at",
        "sub",
        "factors",
        "ways_in",
    ]
    record_template = "admin/people/person/record.html"

    def find(self, key: str) -> Person | None:
        return directory.find(key)

    def key(self, record: Person) -> str:
        return record.username

    # --- Who may ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("people.add_person"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("people.change_person"))

    def may_act_on(self, request: HttpRequest, groups: list[str]) -> bool:
        """Tell whether whoever asks may change the account of somebody in these groups."""
        theirs = [settings.GROUP_PERMISSIONS.get(name) for name in groups if not membership.is_cognitos_own(name)]
        return self.has_change_permission(request) and rules.may_act_on(grants(_user(request).groups), theirs)

    def groups_to_give(self, request: HttpRequest) -> list[membership.Group]:
        held = grants(_user(request).groups)
        return [
            one
            for one in membership.groups()
            if rules.may_give(held, settings.GROUP_PERMISSIONS.get(one.name), has_role=one.has_role)
        ]

    # --- The list ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        text = request.GET.get("q", "").strip()[: search.LONGEST]
        query = search.asked(request.GET)
        try:
            page = directory.page(query, cursor=request.GET.get("after"))
        except directory.StaleCursor:
            self.message_user(request, "That page was left open for too long. Here is the first one.", messages.INFO)
            return HttpResponseRedirect(_link(request, after=None))
        except BadCursor as error:
            raise SuspiciousOperation("A cursor of another list.") from error
        # One word is a user name, or else half of a name.
        if not page.people and query.attribute == "username" and "in" not in request.GET:
            for attribute in ("given_name", "family_name"):
                if directory.page(search.for_text(text, attribute)).people:
                    return HttpResponseRedirect(f"?{urlencode({'q': text, 'in': attribute})}")
        context = {
            **self.admin_site.each_context(request),
            "title": "People",
            "opts": self.opts,
            "heading": query.heading,
            "titles": [self._title(name) for name in self.columns],
            "rows": [self._row(person) for person in page.people],
            "older": _link(request, after=page.cursor) if page.cursor else "",
            "is_first": "after" not in request.GET,
            "is_all": query == search.Query(),
            "query": text,
            "others": [
                (
                    f"{name}s" if name != "e-mail address" else "e-mail addresses",
                    f"?{urlencode({'q': text, 'in': key})}",
                )
                for key, name in search.ATTRIBUTES.items()
                if text and key != query.attribute
            ],
            "standings": [(name, one[0], request.GET.get("is") == name) for name, one in search.STANDINGS.items()],
            "groups": [(name, query.group == name) for name in settings.GROUP_PERMISSIONS],
            "may_add": self.has_add_permission(request),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/people/person/list.html", context)

    # --- One person ---

    def shown_besides(self, request: HttpRequest, record: Person) -> dict[str, Any]:
        groups = membership.of(record.username)
        remembered = people.find(record.sub)
        may_change = self.may_act_on(request, groups)
        reasons = {act: rules.why_not(act, record) for act in Act}
        return {
            "title": record.name or record.username,
            "groups": [name for name in groups if not membership.is_cognitos_own(name)],
            "remembered": remembered,
            "door": DOORS.get(remembered.last_sign_in_door, "") if remembered else "",
            "sessions": sessions.of(record.sub, now=datetime.now(UTC), limit=10),
            "history": audit.of_object(acts.audit_name(record.sub), limit=10).records,
            "audit_name": acts.audit_name(record.sub),
            "has_more_rank": self.has_change_permission(request) and not may_change,
            "acts": [
                (SCREENS[act], reverse(f"admin:people_person_{act}", args=[quote(record.username)]))
                for act in Act
                if may_change and not reasons[act]
            ],
            "reasons": [
                f"{SCREENS[act].button}: {reason}"
                for act, reason in reasons.items()
                if may_change and reason and act not in (Act.ENABLE, Act.DISABLE, Act.INVITE_AGAIN, Act.RESET_FACTOR)
            ],
        }

    def by_sub_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead from a sub, which the audit log and tables know, to the person's page."""
        self._refuse(request)
        person = directory.find_by_sub(unquote(object_id)[: search.LONGEST])
        if person is None:
            self.message_user(request, "This person is not in the user pool.", messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        return HttpResponseRedirect(self.url(person))

    def get_urls(self) -> list[Any]:
        def acting(act: Act) -> Callable[..., Any]:
            return lambda request, object_id: self.act_view(request, object_id, act)

        return [
            # What the audit log calls a person leads here: portal.dynamo.templatetags.items.page_of. No user name,
            # quoted, begins like that.
            path("_sub/<path:object_id>/", self.admin_site.admin_view(self.by_sub_view), name="accounts_user_change"),
            *(
                path(f"<path:object_id>/{act}/", self.admin_site.admin_view(acting(act)), name=f"people_person_{act}")
                for act in Act
            ),
            *super().get_urls(),
        ]

    # --- Inviting ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        groups = self.groups_to_give(request)
        form = person_forms.InviteForm(request.POST or None, groups=groups)
        if request.method == "POST" and form.is_valid():
            try:
                person, missing = acts.invite(**form.cleaned_data, by=_user(request), now=datetime.now(UTC))
            except Refused as refused:
                form.add_error(refused.about if refused.about in form.fields else None, str(refused))
            else:
                self.message_user(request, f"{person.username} is invited. The mail is on its way.", messages.SUCCESS)
                if missing:
                    not_in = f"They are invited, but they are not in these groups yet: {', '.join(missing)}."
                    self.message_user(request, not_in, messages.WARNING)
                return HttpResponseRedirect(self.url(person))
        context = {
            **self.admin_site.each_context(request),
            "title": "Invite somebody",
            "opts": self.opts,
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/people/person/invite.html", context)

    # --- Acting ---

    def act_view(self, request: HttpRequest, object_id: str, act: Act) -> HttpResponse:
        """Ask whether an act is meant, and do it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = unquote(object_id)
        person = directory.find(key) if len(key) <= records.LONGEST else None
        # Somebody else may have the name by now of whom the page was about.
        if person is None or (request.method == "POST" and request.POST.get("sub") != person.sub):
            self.message_user(request, directory.Gone.sentence, messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        groups = membership.of(person.username)
        if not self.may_act_on(request, groups):
            raise PermissionDenied
        if reason := rules.why_not(act, person):
            self.message_user(request, reason, messages.WARNING)
            return HttpResponseRedirect(self.url(person))
        screen = SCREENS[act]
        user = _user(request)
        form = screen.form(self, request, person, groups) if screen.form else None
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                said = screen.do(person, form, user)
            except Refused as refused:
                if form is None or isinstance(refused, directory.Gone):
                    self.message_user(request, str(refused), messages.ERROR)
                    return HttpResponseRedirect(self.url(person))
                form.add_error(refused.about if refused.about in form.fields else None, str(refused))
            else:
                for sentence in said:
                    self.message_user(request, sentence, messages.SUCCESS)
                return HttpResponseRedirect(self.url(person))
        context = {
            **self.admin_site.each_context(request),
            "title": screen.title.format(name=person.username),
            "opts": self.opts,
            "person": person,
            "person_url": self.url(person),
            "screen": screen,
            "warnings": screen.warnings(person, by=user),
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/people/person/act.html", context)

    # --- What is shown ---

    @admin.display(description="user name")
    def username(self, person: Person) -> str:
        return person.username

    def name(self, person: Person) -> str:
        return person.name

    def address(self, person: Person) -> str:
        if not person.email or person.is_email_verified:
            return person.email
        return format_html('{} <span class="tag warm">not verified</span>', person.email)

    @admin.display(description="status")
    def standing(self, person: Person) -> str:
        words = rules.standing(person)
        if words in ("active", "company user"):
            return words
        return format_html('<span class="tag {}">{}</span>', "" if words == "invited" else "warm", words)

    def phone(self, person: Person) -> str:
        return person.phone_number

    def manager(self, person: Person) -> str:
        if not person.manager:
            return ""
        # A page is found by the user name alone.
        is_address = "@" in person.manager
        url = f"{self._list_url()}?{urlencode({'q': person.manager})}" if is_address else self.url_of(person.manager)
        return format_html('<a href="{}">{}</a>', url, person.manager)

    @admin.display(description="since")
    def created_at(self, person: Person) -> datetime:
        return person.created_at

    @admin.display(description="last changed")
    def changed_at(self, person: Person) -> datetime:
        return person.changed_at

    def sub(self, person: Person) -> str:
        return format_html("<code>{}</code>", person.sub)

    @admin.display(description="second factor")
    def factors(self, person: Person) -> str:
        kinds = [
            acts.FACTORS[kind]
            + (" (asked for first)" if kind == person.preferred_factor and len(person.factors) > 1 else "")
            for kind in person.factors
        ]
        return ", ".join(kinds) or "none"

    @admin.display(description="ways to sign in")
    def ways_in(self, person: Person) -> str:
        own = [] if person.is_federated else ["user name and password"]
        return ", ".join([*own, *person.providers]) or "–"


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _link(request: HttpRequest, *, after: str | None) -> str:
    """Return the query string of another page of the same list."""
    query = request.GET.copy()
    query.pop("after", None)
    if after:
        query["after"] = after
    return f"?{query.urlencode()}"
