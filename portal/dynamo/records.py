"""Tables of records in the admin: read-only, and each page is one Query, however large the table is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from portal.dynamo.table import BadCursor, Record, Table
from portal.dynamo.values import instant

R = TypeVar("R", bound=Record)
PAGE = 50
LONGEST = 200  # characters of a key or of what is searched for


class Screen(models.Model):
    """The admin's name for a table of records: its address and its permission. The records have a type of their own."""

    key = models.CharField(primary_key=True, max_length=200)

    class Meta:
        abstract = True
        managed = False
        default_permissions = ("view",)


@dataclass(frozen=True)
class RecordPage(Generic[R]):
    """Some records, newest first, and the query strings of the pages around them."""

    records: list[R]
    newer: str = ""
    older: str = ""
    # By when they are due: then the page before has what is due sooner.
    is_soonest_first: bool = False


def page(
    table: Table[R],
    hash_value: str,
    *,
    index: str | None = None,
    request: HttpRequest,
    limit: int = PAGE,
    links: Mapping[str, str] | None = None,
    is_soonest_first: bool = False,
) -> RecordPage[R]:
    """Return the page that the request's `before` or `after` cursor asks for, else the newest one: one Query. Its
    links repeat the request's query, with what is in `links` in place of what it said. Where what is due soonest comes
    first, the order is the other way round."""

    def to(**cursor: str) -> str:
        query = request.GET.copy()
        for name in ("before", "after"):
            query.pop(name, None)
        for name, value in {**(links or {}), **cursor}.items():
            query[name] = value
        return f"?{query.urlencode()}"

    before, after = request.GET.get("before"), request.GET.get("after")
    try:
        newest_first = bool(before) if is_soonest_first else not before
        found = table.query(hash_value, index=index, limit=limit, cursor=before or after, newest_first=newest_first)
    except BadCursor as error:
        raise SuspiciousOperation("A cursor of another list.") from error
    records = found.records[::-1] if before else found.records
    if not records:
        return RecordPage([])
    has_newer, has_older = (bool(found.cursor), True) if before else (bool(after), bool(found.cursor))
    return RecordPage(
        records,
        newer=to(before=table.cursor_at(records[0], hash_value, index=index)) if has_newer else "",
        older=to(after=table.cursor_at(records[-1], hash_value, index=index)) if has_older else "",
        is_soonest_first=is_soonest_first,
    )


@dataclass(frozen=True)
class Listing(Generic[R]):
    """What a list shows: a month or what a search found."""

    heading: str
    page: RecordPage[R]
    empty: str
    month: str = ""  # e.g. "2026-11"
    earlier: str = ""  # query strings of the months around
    later: str = ""


class RecordAdmin(admin.ModelAdmin, Generic[R]):  # type: ignore[type-arg]
    """The read-only screens of a table that is kept by month: a list, and a page for each record."""

    table: ClassVar[Table[Any]]
    month_index: ClassVar[str | None] = None
    # Names of methods that take a record, with @admin.display(description=…); the first one links to its page.
    columns: ClassVar[Sequence[str]] = ()
    facts: ClassVar[Sequence[str]] = ()
    search_help: ClassVar[str] = ""
    longest_key: ClassVar[int] = LONGEST  # or of what is searched for
    # What is reached from the admin's index besides: how it is called, and the list's query string.
    shortcuts: ClassVar[Sequence[tuple[str, str]]] = ()
    list_template: ClassVar[str] = "admin/records.html"
    record_template: ClassVar[str] = "admin/record.html"

    def find(self, key: str) -> R | None:
        """Return the record that a page's address names."""
        raise NotImplementedError

    def key(self, record: R) -> str:
        raise NotImplementedError

    def search(self, request: HttpRequest, text: str) -> Listing[R] | R | None:
        """Return what a search finds: one record, a list, or None if it is not a key of any kind."""
        raise NotImplementedError

    def shown_besides(self, request: HttpRequest, record: R) -> dict[str, Any]:
        """Return what `record_template` needs besides the facts."""
        return {}

    def month_page(self, request: HttpRequest, month: str) -> RecordPage[R]:
        return page(self.table, month, index=self.month_index, request=request)

    # --- Nobody writes here ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        raise PermissionDenied

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        raise PermissionDenied

    def _refuse(self, request: HttpRequest) -> None:
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied

    # --- Pages ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        text = request.GET.get("q", "").strip()[: self.longest_key]
        if text:
            found = self.search(request, text)
            if isinstance(found, Record):
                return HttpResponseRedirect(self.url(found))
            listing = found or Listing(f"“{text}”", RecordPage([]), f"Nothing found for “{text}”.")
        else:
            listing = self._month(request)
        context = {
            **self.admin_site.each_context(request),
            "title": capfirst(self.opts.verbose_name_plural),
            "opts": self.opts,
            "listing": listing,
            "titles": [self._title(name) for name in self.columns],
            "rows": [self._row(record) for record in listing.page.records],
            "query": text,
            "search_help": self.search_help,
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.list_template, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        self._refuse(request)
        key = unquote(object_id)
        record = self.find(key) if len(key) <= self.longest_key else None
        if record is None:
            self.message_user(request, f"There is no such {self.opts.verbose_name}.", messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        context = {
            **self.admin_site.each_context(request),
            "title": capfirst(self.opts.verbose_name),
            "opts": self.opts,
            "record": record,
            "name": self._cell(record, self.columns[0]),
            "facts": [(self._title(name), self._cell(record, name)) for name in self.facts],
            "media": self.media,
            **self.shown_besides(request, record),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.record_template, context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        return HttpResponseRedirect(self.url_of(unquote(object_id)))

    def url(self, record: R) -> str:
        return self.url_of(self.key(record))

    def url_of(self, key: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(quote(key),))

    def _list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _row(self, record: R) -> list[SafeString | str]:
        first, *rest = self.columns
        link = format_html('<a href="{}">{}</a>', self.url(record), self._cell(record, first))
        return [link, *(self._cell(record, name) for name in rest)]

    def _cell(self, record: R, name: str) -> Any:
        value = getattr(self, name)(record)
        return "–" if value in (None, "") else moment(value) if isinstance(value, datetime) else value

    def _title(self, name: str) -> str:
        return str(getattr(getattr(self, name), "short_description", capfirst(name.replace("_", " "))))

    def _month(self, request: HttpRequest) -> Listing[R]:
        this = datetime.now(UTC).date().replace(day=1)
        first = _first_day(request.GET.get("month", "")) or this
        later = (first + timedelta(days=32)).replace(day=1)
        return Listing(
            f"{first:%B %Y}",
            self.month_page(request, f"{first:%Y-%m}"),
            f"No {self.opts.verbose_name_plural} in {first:%B %Y}.",
            month=f"{first:%Y-%m}",
            earlier=f"?month={first - timedelta(days=1):%Y-%m}",
            later=f"?month={later:%Y-%m}" if later <= this else "",
        )


def moment(at: datetime) -> SafeString:
    """Write a moment so that the browser shows it in the reader's own time zone."""
    said = f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC"
    return format_html('<time datetime="{}">{}</time>', instant(at), said)


def _first_day(month: str) -> date | None:
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    return first if 2000 <= first.year <= 9000 else None
