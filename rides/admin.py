"""The fleet and the rides, as operators see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from portal.accounts import cognito
from portal.dynamo import audit, records
from portal.dynamo.admin import ItemAdmin
from portal.dynamo.records import Listing, RecordAdmin, moment
from rides import dispatch
from rides.models import Ride as RideScreen
from rides.models import Unicorn
from rides.ride import Ride, Stage, rides
from rides.rules import Place

# A browser still draws so many dots at once.
MOST_ON_MAP = 2_000


class IsBusy(admin.SimpleListFilter):
    title = "what they do"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("free", "Free"), ("busy", "On a ride")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = datetime.now(UTC)
        match self.value():
            case "free":
                return queryset.exclude(busy_until__gt=now)
            case "busy":
                return queryset.filter(busy_until__gt=now)
        return queryset


@admin.register(Unicorn)
class UnicornAdmin(ItemAdmin):
    list_display = ["name", "color", "gender", "place", "speed", "status"]
    list_editable = ["speed"]
    list_filter = [IsBusy, ("gender", admin.AllValuesFieldListFilter), ("color", admin.AllValuesFieldListFilter)]
    search_fields = ["name", "color", "gender", "=unicorn_id"]
    search_help_text = "By name, colour, gender or id."
    list_per_page = 50
    formfield_overrides = {models.DecimalField: {"widget": forms.NumberInput(attrs={"step": "any"})}}

    @admin.display(description="where it is", ordering="latitude")
    def place(self, one: Unicorn) -> str:
        where = one.position(datetime.now(UTC))
        return f"{round(where.latitude, 6)}, {round(where.longitude, 6)}" if where else "–"

    @admin.display(description="status", ordering="busy_until")
    def status(self, one: Unicorn) -> str:
        if not one.is_busy(datetime.now(UTC)):
            return "free"
        text = format_html("on a ride until {}", moment(one.busy_until))
        if not one.ride_id:
            return text
        return format_html('{} (<a href="{}">see the ride</a>)', text, ride_url(one.ride_id))

    def get_fieldsets(self, request: HttpRequest, obj: Unicorn | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "color", "gender", "latitude", "longitude", "speed", "unicorn_id"]})]
        is_busy = obj.is_busy(datetime.now(UTC))
        may_move = self.has_change_permission(request, obj) and not is_busy
        where = ["latitude", "longitude"] if may_move else ["place"]
        options: dict[str, Any] = {"fields": ["name", "color", "gender", *where, "speed", "status", "unicorn_id"]}
        if is_busy:
            # Django takes a description for HTML.
            link = '<a href="{}">Its ride</a> can be cancelled.'
            which = format_html(link, ride_url(obj.ride_id)) if obj.ride_id else ""
            options["description"] = format_html(
                "{} is on a ride, so where it waits cannot be changed until the ride is over. {}",
                obj,
                which,
            )
        return [(None, options)]

    def get_readonly_fields(self, request: HttpRequest, obj: Unicorn | None = None) -> Any:
        return ["place", "status"] + (["unicorn_id"] if obj else [])

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.also_shown |= {"latitude", "longitude", "busy_until", "ride_id"}  # as `place` and `status`
        if obj is None:
            form.base_fields["unicorn_id"].help_text = "Stays for good. Left empty, it becomes something random."
        return form

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,
        change: Any = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        # The map of a form on which the place can be changed is drawn from its fields.
        if obj and obj.position(datetime.now(UTC)) and "latitude" not in context["adminform"].form.fields:
            context["fleet_items"] = [on_map(obj, datetime.now(UTC)) | {"url": ""}]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def why_not_delete(self, one: Unicorn) -> str:
        if one.is_busy(datetime.now(UTC)):
            return f"{one} is on a ride until {one.busy_until:%H:%M} UTC. Delete it when the ride is over."
        return ""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:
            now = datetime.now(UTC)
            placed = [one for one in context["cl"].queryset if one.position(now)]
            context["fleet_items"] = [on_map(one, now) for one in placed[:MOST_ON_MAP]]
            context["fleet_size"] = len(placed)
        return response


def on_map(one: Unicorn, now: datetime) -> dict[str, Any]:
    """Return what the fleet's map needs to know of a unicorn."""
    where = cast(Place, one.position(now))  # only those that are somewhere are asked for
    return {
        "name": one.name,
        "color": one.color,
        "latitude": where.latitude,
        "longitude": where.longitude,
        "busy": one.is_busy(now),
        "url": reverse("admin:rides_unicorn_change", args=(quote(one.pk),)),
    }


def ride_url(ride_id: str) -> str:
    return reverse("admin:rides_ride_change", args=(quote(ride_id),))


@admin.register(RideScreen)
class RideAdmin(RecordAdmin[Ride]):
    table = rides
    month_index = "ByMonth"
    columns = ["requested_at", "rider", "unicorn", "pickup", "stage"]
    facts = [
        "ride_id",
        "stage",
        "rider",
        "unicorn",
        "requested_at",
        "pickup",
        "start",
        "arrives_at",
        "ends_at",
        "cancelled_at",
    ]
    search_help = "A ride's id, or a rider's user name or sub."
    record_template = "admin/rides/ride/record.html"

    def find(self, key: str) -> Ride | None:
        return rides.find(key)

    def key(self, record: Ride) -> str:
        return record.ride_id

    def search(self, request: HttpRequest, text: str) -> Listing[Ride] | Ride | None:
        ride = rides.find(text)
        if ride:
            return ride
        # As a sub first: somebody may have taken another's sub for a name.
        page = records.page(rides, text, index="ByRider", request=request)
        if not page.records and (sub := cognito.find_sub(text)):
            page = records.page(rides, sub, index="ByRider", request=request, links={"q": sub})
        return Listing(f"Rides of {page.records[0].user}", page, "") if page.records else None

    # --- Cancelling ---

    def get_urls(self) -> list[Any]:
        view = require_POST(self.admin_site.admin_view(self.cancel_view))
        return [path("<path:object_id>/cancel/", view, name="rides_ride_cancel"), *super().get_urls()]

    def shown_besides(self, request: HttpRequest, record: Ride) -> dict[str, Any]:
        return {
            "history": audit.of_object(audit_name(record.ride_id)).records,
            "may_cancel": self.may_cancel(request) and record.may_cancel(datetime.now(UTC)),
        }

    def may_cancel(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("rides.change_ride"))

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Cancel anybody's ride, and write down who did it in the same transaction."""
        if not self.may_cancel(request):
            raise PermissionDenied
        now = datetime.now(UTC)
        ride = self.find(unquote(object_id)[: records.LONGEST])
        if ride and ride.cancelled_at:
            self.message_user(request, "This ride was cancelled already.", messages.WARNING)
        elif ride:
            entry = audit.entry(
                "cancelled the ride",
                by=cast(audit.Actor, request.user),
                object=audit_name(ride.ride_id),
                object_name=f"{ride.user} with {ride.unicorn.name}",
                changes=[audit.Change(field="stage", old=str(ride.stage(now)), new=str(Stage.CANCELLED))],
                now=now,
            )
            try:
                dispatch.cancel_anyones(ride.ride_id, now=now, together_with=[audit.putting(entry)])
            except dispatch.TooLate:
                self.message_user(request, "This ride was over already.", messages.WARNING)
            else:
                self.message_user(request, f"The ride is cancelled and {ride.unicorn.name} is free again.")
        # The page says so if there is no such ride.
        return HttpResponseRedirect(self.url_of(unquote(object_id)))

    # --- What is shown ---

    @admin.display(description="id")
    def ride_id(self, ride: Ride) -> str:
        return ride.ride_id

    @admin.display(description="requested")
    def requested_at(self, ride: Ride) -> datetime:
        return ride.request_time

    def rider(self, ride: Ride) -> str:
        return ride.user

    def unicorn(self, ride: Ride) -> str:
        name = ride.unicorn.name or "–"
        if not ride.unicorn_id:
            return name
        url = reverse("admin:rides_unicorn_change", args=(quote(ride.unicorn_id),))
        return format_html('<a href="{}">{}</a>', url, name)

    @admin.display(description="pickup point")
    def pickup(self, ride: Ride) -> str:
        return in_degrees(ride.pickup)

    @admin.display(description="unicorn came from")
    def start(self, ride: Ride) -> str:
        return in_degrees(ride.start)

    def stage(self, ride: Ride) -> str:
        return str(ride.stage(datetime.now(UTC)))

    @admin.display(description="unicorn there")
    def arrives_at(self, ride: Ride) -> datetime | None:
        return ride.arrives_at

    @admin.display(description="over")
    def ends_at(self, ride: Ride) -> datetime | None:
        return ride.ends_at

    @admin.display(description="cancelled")
    def cancelled_at(self, ride: Ride) -> datetime | None:
        return ride.cancelled_at


def audit_name(ride_id: str) -> str:
    """Return the ride's name in the audit log."""
    return f"rides.ride/{ride_id}"


def in_degrees(place: Place | None) -> str:
    return f"{place.latitude:g}, {place.longitude:g}" if place else ""
