"""The sessions in the admin: those on a stack and a fleet, those of a person, and ending one.

seen_sessions.py looks them up.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from portal import aws
from portal.accounts.models import User
from portal.dynamo.records import RecordAdmin
from portal.streaming import launch, operator_acts, seen_sessions
from portal.streaming.forms import EndForm
from portal.streaming.models import Session as SessionScreen
from portal.streaming.seen_sessions import Found, Seen

UNSURE = "A service did not answer. Look whether the session is still there, and end it again if it is."
OVER = "This session is over already."


@admin.register(SessionScreen)
class SessionAdmin(RecordAdmin[Any]):
    def may_act(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("streaming.change_session"))

    def get_urls(self) -> list[Any]:
        end = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.end_view))
        return [path("<path:object_id>/end/", end, name="streaming_session_end"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self._refuse(request)  # a session has no page of its own
        return HttpResponseRedirect(self._list_url())

    # --- The list ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        places = seen_sessions.places()
        text = request.GET.get("q", "").strip()[: self.longest_key]
        place = request.GET.get("place", "")
        place = place if place in places else next(iter(places), "")
        more = "" if text else request.GET.get("more", "")
        try:
            found = seen_sessions.of_person(text) if text else seen_sessions.on(place, more) if place else Found("")
        except LookupError:
            if more:
                said = "That page was left open for too long. Here is the first one."
                self.message_user(request, said, messages.INFO)
                return HttpResponseRedirect(_query(place=place))
            found = Found(seen_sessions.spelt(place), problem="AppStream has no such stack or fleet.")
        kept = {"q": text} if text else {"place": place}
        context = {
            **self._context(request, "Streaming sessions"),
            "found": found,
            "rows": [(one, self._person_url(request, one), self._end_url(one, kept)) for one in found.sessions],
            "places": [(seen_sessions.spelt(one), one, _query(place=one), one == place and not text) for one in places],
            "is_long": len(places) > 6,
            "query": text,
            "back": _query(place=place),
            "more": _query(place=place, more=found.more) if found.more else "",
            "first": _query(place=place) if more else "",
            "may_act": self.may_act(request),
        }
        return TemplateResponse(request, "admin/streaming/session/list.html", context)

    # --- Ending one ---

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, and end a session. It is ended only if AppStream lists it for the stack, the fleet and the
        person that the address names."""
        if not self.may_act(request):
            raise PermissionDenied
        kept = {name: request.GET[name][: self.longest_key] for name in ("q", "place") if request.GET.get(name)}
        back = self._list_url() + _query(**kept)
        session_id, on = unquote(object_id), request.GET.get("on", "")
        seen, problem = seen_sessions.listed(session_id, on, request.GET.get("of", ""))
        if problem:
            return self._back(request, back, problem, messages.ERROR)
        if seen is None:
            return self._back(request, back, OVER, messages.INFO)
        form = EndForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            return self._end(request, seen, form.cleaned_data["reason"], back)
        context = {
            **self._context(request, "End this session?"),
            "parent_url": back,
            "seen": seen,
            "act": "End",
            "says": ["It ends at once. What is not saved in it is lost."],
            "button": "Yes, end it",
            "is_danger": True,
            "form": form,
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/streaming/act.html", context, status=status)

    def _end(self, request: HttpRequest, seen: Seen, reason: str, back: str) -> HttpResponse:
        try:
            operator_acts.end(seen.session, launch=seen.launch, reason=reason, by=cast(User, request.user))
        except Exception as error:
            if aws.is_transient(error):
                return self._back(request, back, UNSURE, messages.ERROR)
            if why := aws.refused(error):
                return self._back(request, back, f"{why} The portal’s role may not do this.", messages.ERROR)
            raise
        whose = f"The session of {seen.owner}" if seen.launch else "The session"
        return self._back(request, back, f"{whose} is ended.", messages.SUCCESS)

    # --- Addresses ---

    def _end_url(self, one: Seen, kept: dict[str, str]) -> str:
        address = reverse("admin:streaming_session_end", args=[quote(one.session.session_id)])
        on = launch.place(one.session.stack, one.session.fleet)
        return address + _query(**kept, on=on, of=one.session.user_id)

    def _person_url(self, request: HttpRequest, one: Seen) -> str:
        if not one.launch or not request.user.has_perm("people.view_person"):
            return ""
        return reverse("admin:accounts_user_change", args=[quote(one.launch.sub)])

    def _back(self, request: HttpRequest, address: str, said: str, level: int) -> HttpResponse:
        self.message_user(request, said, level)
        return HttpResponseRedirect(address)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}


def _query(**given: str) -> str:
    kept = {name: value for name, value in given.items() if value}
    return f"?{urlencode(kept)}" if kept else "?"
