"""The fleets in the admin: which there are, how full they are, and starting and stopping them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods

from portal import aws
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.records import RecordAdmin
from portal.streaming import appstream, models, operator_acts, operator_words
from portal.streaming.fleet import FleetState
from portal.streaming.forms import StopForm
from portal.streaming.models import Fleet as FleetScreen
from portal.streaming.operator_words import SeenFleet

UNSURE = "AppStream did not answer. Look below whether it was done, and do it again if it was not."
# What is said instead of doing what is done already, or cannot be done yet.
NOT_STARTED = {
    FleetState.RUNNING: "It is started already.",
    FleetState.STARTING: "It is started already.",
    FleetState.STOPPING: "It is still being stopped. Start it when it is.",
}
NOT_STOPPED = {
    FleetState.STOPPED: "It is stopped already.",
    FleetState.STOPPING: "It is stopped already.",
}


@admin.register(FleetScreen)
class FleetAdmin(RecordAdmin[Any]):
    longest_key = 101

    def may_act(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("streaming.change_fleet"))

    def get_urls(self) -> list[Any]:
        def at(address: str, view: Callable[..., HttpResponse]) -> Any:
            asked = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(view))
            return path(f"<path:object_id>/{address}/", asked, name=f"streaming_fleet_{address}")

        return [at("start", self.start_view), at("stop", self.stop_view), *super().get_urls()]

    # --- The list ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        fleets, problem = operator_words.seen_fleets(models.applications())
        context = {**self._context(request, "Streaming fleets"), "fleets": fleets, "problem": problem}
        return TemplateResponse(request, "admin/streaming/fleet/list.html", context)

    # --- A fleet's page ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self._refuse(request)
        one, problem = self._seen(unquote(object_id))
        if one is None:
            return self._not_known(request)
        name = operator_acts.fleet_name(one.name)
        context = {
            **self._context(request, one.name),
            "one": one,
            "problem": problem,
            # A page that looks again by itself says aloud only what is new.
            "is_said": request.GET.get("was") != one.state,
            "may_act": self.may_act(request),
            "applications": [(each, self._application_url(request, each)) for each in one.applications],
            "history": audit.of_object(name, limit=10).records,
            "audit_name": name,
        }
        return TemplateResponse(request, "admin/streaming/fleet/record.html", context)

    # --- What operators do ---

    def start_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what it costs, and start a fleet."""
        one, answer = self._acted_on(request, object_id, NOT_STARTED)
        if one is None or one.fleet is None:
            return answer
        if request.method == "POST":
            return self._do(
                request,
                one,
                lambda: operator_acts.start(one.name, by=_user(request)),
                NOT_STARTED,
                "It is being started. That takes some minutes; this page follows it.",
            )
        says = [operator_words.COSTS[one.fleet.kind], "It takes some minutes until people can come."]
        return self._ask(request, one, "Start", says)

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say who is on it, and stop a fleet."""
        one, answer = self._acted_on(request, object_id, NOT_STOPPED)
        if one is None or one.fleet is None:
            return answer
        in_use = one.fleet.in_use
        form = StopForm(request.POST if request.method == "POST" else None, fleet=one.name, in_use=in_use)
        says = ["Nobody can start anything on it until it is started again."]
        if one.does_not_start:
            says.insert(0, "It does not start, whatever AppStream tries.")
        elif one.fleet.state is FleetState.STARTING:
            says.insert(0, "It is still being started.")
        if in_use:
            there = (
                "There is 1 session on it, which ends"
                if in_use == 1
                else f"There are {in_use} sessions on it. They end"
            )
            says.insert(0, f"{there} at once. What is not saved there is lost.")
        if form.is_valid():
            if form.cleaned_data["in_use"] >= in_use:
                return self._do(
                    request,
                    one,
                    lambda: operator_acts.stop(one.name, in_use=in_use, by=_user(request)),
                    NOT_STOPPED,
                    "It is being stopped.",
                )
            says.insert(0, "Somebody has come meanwhile, so it is not stopped yet.")
            form = StopForm(None, fleet=one.name, in_use=in_use)
        return self._ask(request, one, "Stop", says, form)

    def _acted_on(
        self, request: HttpRequest, object_id: str, not_done: dict[FleetState, str]
    ) -> tuple[SeenFleet | None, HttpResponse]:
        """Return the fleet that an act is about, as it is now, to somebody who may act; or what is answered instead."""
        if not self.may_act(request):
            raise PermissionDenied
        appstream.forget()
        one, problem = self._seen(unquote(object_id))
        if one is None:
            return None, self._not_known(request)
        if one.fleet is None:
            return None, self._back(request, one, problem or one.trouble, messages.ERROR)
        if one.fleet.state in not_done:
            return None, self._back(request, one, not_done[one.fleet.state], messages.INFO)
        return one, HttpResponse()

    def _do(
        self, request: HttpRequest, one: SeenFleet, act: Callable[[], None], not_done: dict[FleetState, str], done: str
    ) -> HttpResponse:
        try:
            act()
        except LookupError:
            return self._back(request, one, f"AppStream has no fleet {one.name} any more.", messages.ERROR)
        except appstream.Changing as error:
            # Somebody else may have done it at the same moment.
            now, _ = self._seen(one.name)
            if now and now.fleet and now.fleet.state in not_done:
                return self._back(request, one, not_done[now.fleet.state], messages.INFO)
            return self._back(request, one, str(error), messages.ERROR)
        except Exception as error:
            if aws.is_transient(error):
                return self._back(request, one, UNSURE, messages.ERROR)
            if why := aws.refused(error):
                return self._back(request, one, f"{why} The portal’s role may not do this.", messages.ERROR)
            raise
        return self._back(request, one, done, messages.SUCCESS)

    def _seen(self, name: str) -> tuple[SeenFleet | None, str]:
        """Return a fleet of the catalogue or the template, None if there is none of this name, and in words what
        AppStream would not tell."""
        fleets, problem = operator_words.seen_fleets(models.applications(), only=name)
        return next(iter(fleets), None), problem

    def _ask(
        self, request: HttpRequest, one: SeenFleet, act: str, says: list[str], form: StopForm | None = None
    ) -> HttpResponse:
        context = {
            **self._context(request, f"{act} {one.name}?"),
            "parent": one.name,
            "parent_url": self.url_of(one.name),
            "act": act,
            "says": says,
            "button": f"Yes, {act.lower()} it",
            "is_danger": act == "Stop",
            "form": form,
        }
        status = 422 if form and form.is_bound else 200
        return TemplateResponse(request, "admin/streaming/act.html", context, status=status)

    def _back(self, request: HttpRequest, one: SeenFleet, said: str, level: int) -> HttpResponse:
        self.message_user(request, said, level)
        return HttpResponseRedirect(self.url_of(one.name))

    def _not_known(self, request: HttpRequest) -> HttpResponse:
        said = "There is no such fleet: neither the catalogue nor the template names it."
        self.message_user(request, said, messages.WARNING)
        return HttpResponseRedirect(self._list_url())

    def _application_url(self, request: HttpRequest, one: models.Application) -> str:
        if not request.user.has_perm("streaming.view_application"):
            return ""
        return reverse("admin:streaming_application_change", args=[quote(one.pk)])

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
