"""The PDFs that are made in the background, in the admin: those that failed, why, and once more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from documents import acts
from documents.document import Document, documents
from documents.document_words import STATES
from documents.models import LONGEST_KEY, ids_of, key_of
from documents.models import Render as RenderScreen
from documents.renders import FAILED_SHELF, Render, State, interrupted, renders
from portal import aws
from portal.dynamo import audit, records
from portal.dynamo.records import RecordAdmin
from portal.dynamo.table import Conflict

HISTORY = 20


@admin.register(RenderScreen)
class RenderAdmin(RecordAdmin[Render]):
    table = renders
    columns = ["document_id"]
    facts = ["document_id", "whose", "state", "why", "asked_at", "updated_at", "pages", "kept_until"]
    longest_key = LONGEST_KEY
    record_template = "admin/documents/render/record.html"

    def find(self, key: str) -> Render | None:
        ids = ids_of(key)
        return renders.find(*ids, consistent=True) if ids else None

    def key(self, record: Render) -> str:
        return key_of(record)

    def may_retry(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("documents.change_render"))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.retry_view))
        return [path("<path:object_id>/retry/", view, name="documents_render_retry"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        page = records.page(renders, FAILED_SHELF, index="ByShelf", request=request)
        is_first = not {"before", "after"} & set(request.GET)
        stuck = interrupted(now=datetime.now(UTC)) if is_first else []
        context = {
            **self.admin_site.each_context(request),
            "title": "PDFs that failed",
            "opts": self.opts,
            "page": page,
            "rows": [
                {"render": one, "url": self.url(one), "retry_url": self._retry_url(one)}
                for one in [*stuck, *page.records]
            ],
            "may_retry": self.may_retry(request),
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/documents/render/list.html", context)

    def shown_besides(self, request: HttpRequest, record: Render) -> dict[str, Any]:
        name = acts.audit_name(record.identity_id, record.document_id)
        return {
            "name": record.document_id,
            "title": f"PDF of “{_document(record).title or record.document_id}”",
            "retry_url": self._retry_url(record),
            "may_retry": self.may_retry(request) and _may_be_retried(record, now=datetime.now(UTC)),
            "history": records.page(audit.entries, name, index="ByObject", request=request, limit=HISTORY),
        }

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have a PDF made once more, unless something else has become of it since the page was shown."""
        if not self.may_retry(request):
            raise PermissionDenied
        key, now = unquote(object_id), datetime.now(UTC)
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return HttpResponseRedirect(self.url_of(key))
        back = self._list_url() if "from_list" in request.POST else self.url_of(key)
        render = self.find(key)
        if render is None:
            self.message_user(request, "This PDF is not asked for any more.", messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        document = _document(render)
        called = document.title or document.document_id
        changed = f"Another PDF of “{called}” was begun meanwhile, by its owner or an operator: nothing is retried."
        if render.render_id != request.POST.get("render_id"):
            self.message_user(request, changed, messages.WARNING)
            return HttpResponseRedirect(back)
        if not _may_be_retried(render, now=now):
            self.message_user(request, f"The PDF of “{called}” {STATES[render.state]}.", messages.WARNING)
            return HttpResponseRedirect(back)
        try:
            acts.retry(render, document, by=cast(audit.Actor, request.user), now=now)
        except Conflict:
            self.message_user(request, changed, messages.WARNING)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            # It may wait without its message: its own page can send that again.
            back = self.url_of(key)
            self.message_user(request, "A service did not answer. Please retry it once more.", messages.ERROR)
        else:
            self.message_user(request, f"The PDF of “{called}” is being made once more.", messages.SUCCESS)
        return HttpResponseRedirect(back)

    def _retry_url(self, render: Render) -> str:
        return reverse("admin:documents_render_retry", args=(quote(key_of(render)),))

    # --- What is shown ---

    @admin.display(description="document")
    def document_id(self, render: Render) -> SafeString:
        url = reverse("admin:documents_document_change", args=(quote(key_of(render)),))
        return format_html('<a href="{}"><code>{}</code></a>', url, render.document_id)

    def whose(self, render: Render) -> str:
        return render.username

    def state(self, render: Render) -> str:
        return STATES[render.state]

    @admin.display(description="says")
    def why(self, render: Render) -> str:
        return render.message

    @admin.display(description="asked for")
    def asked_at(self, render: Render) -> datetime:
        return render.started_at

    @admin.display(description="last news")
    def updated_at(self, render: Render) -> datetime:
        return render.updated_at

    def pages(self, render: Render) -> str:
        if not render.pages:
            return ""
        return f"{render.pages}" if render.state is State.DONE else f"page {render.page} of about {render.pages}"

    def kept_until(self, render: Render) -> datetime:
        return datetime.fromtimestamp(render.expires_at, UTC)


def _may_be_retried(render: Render, *, now: datetime) -> bool:
    """Tell whether there is anything to retry: it failed, or its message may have been lost."""
    return render.state in (State.FAILED, State.QUEUED) or not (render.is_over or render.is_under_way(now=now))


def _document(render: Render) -> Document:
    """Return the document, or what can be said of one that is not there any more."""
    found = documents.find(render.identity_id, render.document_id)
    return found or Document(identity_id=render.identity_id, document_id=render.document_id)
