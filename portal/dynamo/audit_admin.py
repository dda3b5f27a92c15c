"""The audit log in the admin: by month, by what was acted on, by who acted."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from portal.accounts import cognito
from portal.dynamo import audit, records
from portal.dynamo.audit import Entry
from portal.dynamo.models import AuditEntry
from portal.dynamo.records import Listing, RecordAdmin


@admin.register(AuditEntry)
class AuditAdmin(RecordAdmin[Entry]):
    table = audit.entries
    columns = ["at", "actor", "action", "object", "changes"]
    facts = ["at", "actor", "actor_sub", "action", "object", "object_key", "changes", "reference"]
    search_help = "What was acted on, such as rides.unicorn/angel, or the user name or sub of who acted."

    def find(self, key: str) -> Entry | None:
        return audit.find(key)

    def key(self, record: Entry) -> str:
        return record.key

    def search(self, request: HttpRequest, text: str) -> Listing[Entry] | Entry | None:
        if "/" in text:
            page = records.page(audit.entries, text, index="ByObject", request=request)
            return Listing(f"What was done to {text}", page, "") if page.records else None
        # As a sub first: somebody may have taken another's sub for a name.
        page = records.page(audit.entries, text, index="ByActor", request=request)
        if not page.records and (sub := cognito.find_sub(text)):
            page = records.page(audit.entries, sub, index="ByActor", request=request, links={"q": sub})
        return Listing(f"What {page.records[0].actor_name} did", page, "") if page.records else None

    @admin.display(description="when")
    def at(self, entry: Entry) -> datetime:
        return entry.at

    @admin.display(description="who")
    def actor(self, entry: Entry) -> SafeString:
        return self._search_for(entry.actor_sub, entry.actor_name)

    @admin.display(description="who, for good")
    def actor_sub(self, entry: Entry) -> str:
        return entry.actor_sub

    @admin.display(description="did")
    def action(self, entry: Entry) -> str:
        return entry.action

    @admin.display(description="what")
    def object(self, entry: Entry) -> SafeString:
        return self._search_for(entry.object, entry.object_name)

    @admin.display(description="what, for good")
    def object_key(self, entry: Entry) -> str:
        return entry.object

    @admin.display(description="changes")
    def changes(self, entry: Entry) -> SafeString:
        return format_html_join("", "<div>{}: {}</div>", ((one.field, one.in_words()) for one in entry.changes))

    @admin.display(description="request")
    def reference(self, entry: Entry) -> str:
        return entry.reference

    def _search_for(self, key: str, text: str) -> SafeString:
        return format_html('<a href="{}?{}">{}</a>', self._list_url(), urlencode({"q": key}), text)
