"""People's documents, as operators see them: by owner, what there is of each, and what can be done about it.

render_admin.py has the PDFs that are made in the background.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from documents import acts, archive, document_words, owners, render_admin
from documents.archive import TakenDown
from documents.bucket import Changed, DocumentMissing
from documents.document import Document, documents
from documents.models import LONGEST_KEY, ids_of, key_of
from documents.models import Document as DocumentScreen
from documents.owners import Owner
from documents.place import CORNERS, place_of
from documents.renders import Render, renders
from documents.screens import PUT_BACK, READ, TAKE_DOWN, PutBackForm, ReasonForm, Screen, TakeDownForm
from portal import aws
from portal.accounts.refusals import Refused
from portal.dynamo import audit, records
from portal.dynamo.records import RecordAdmin, RecordPage

__all__ = ["DocumentAdmin", "render_admin"]  # which registers itself

HISTORY = 20


@admin.register(DocumentScreen)
class DocumentAdmin(RecordAdmin[Document]):
    table = documents
    columns = ["called"]
    longest_key = LONGEST_KEY
    record_template = "admin/documents/document/record.html"

    def find(self, key: str) -> Document | None:
        ids = ids_of(key)
        return documents.find(*ids) if ids else None

    def key(self, record: Document) -> str:
        return key_of(record)

    def called(self, document: Document) -> str:
        return document.title or document.document_id

    def may_act(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("documents.change_document"))

    def get_urls(self) -> list[Any]:
        def at(address: str, name: str, view: Callable[..., HttpResponse]) -> Any:
            asked = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(view))
            return path(f"<path:object_id>/{address}/", asked, name=f"documents_document_{name}")

        return [
            at("read", "read", self.read_view),
            at("take-down", "take_down", self.take_down_view),
            at("put-back", "put_back", self.put_back_view),
            *super().get_urls(),
        ]

    # --- The list of somebody's documents ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._refuse(request)
        text = request.GET.get("q", "").strip()[:LONGEST_KEY]
        if key := _key_in(text):
            return HttpResponseRedirect(self.url_of(key))
        owner = owners.find(text) if text and len(text) <= records.LONGEST else None
        is_removed = request.GET.get("show") == "removed"
        page: RecordPage[Document] = RecordPage([])
        if owner and owner.identity_id:
            page = records.page(
                documents,
                owner.identity_id,
                index="ByRemoved" if is_removed else "ByModified",
                request=request,
                links={"q": owner.sub or owner.identity_id},
            )
        sizes = [document_words.size(one) for one in page.records]
        links = [self._url(one, owner.sub if owner else "") for one in page.records]
        context = {
            **self._context(request, "Documents"),
            "query": text,
            "owner": owner,
            "person_url": document_words.person_url(owner, request) if owner else "",
            "choices": [
                ("There now", f"?{urlencode({'q': text})}", not is_removed),
                ("Deleted and taken down", f"?{urlencode({'q': text, 'show': 'removed'})}", is_removed),
            ],
            "is_removed": is_removed,
            "page": page,
            "rows": list(zip(page.records, links, map(document_words.parts, page.records), sizes, strict=True)),
            "total": sum(sizes),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/documents/document/list.html", context)

    # --- A document's page ---

    def shown_besides(self, request: HttpRequest, record: Document) -> dict[str, Any]:
        taken = archive.taken_down(record.identity_id, record.document_id)
        is_left = not taken or archive.is_anything_left(record.identity_id, record.document_id)
        render, owner = self._whose(request, record, taken)
        name = acts.audit_name(record.identity_id, record.document_id)
        return {
            "title": self.called(record),
            "facts": document_words.facts(record, owner, render, request),
            "taken": taken,
            "is_left": is_left,
            "acts": self._acts(request, record, owner, may_take=is_left, may_put_back=bool(taken)),
            "history": records.page(audit.entries, name, index="ByObject", request=request, limit=HISTORY),
        }

    def _acts(
        self, request: HttpRequest, document: Document, owner: Owner, *, may_take: bool, may_put_back: bool
    ) -> list[tuple[str, str, bool]]:
        """Return what whoever asks may do: what it is called, its address, and whether it is to be thought over."""
        if not self.may_act(request):
            return []
        every = [
            ("Read the text", "read", False, document.source is not None),
            ("Take down", "take_down", True, may_take),
            ("Put back", "put_back", False, may_put_back),
        ]
        return [(said, self._url(document, owner.sub, act), is_harsh) for said, act, is_harsh, may in every if may]

    def _whose(self, request: HttpRequest, document: Document, taken: list[TakenDown]) -> tuple[Render | None, Owner]:
        render = renders.find(document.identity_id, document.document_id)
        named = {request.GET.get("owner", "")[: records.LONGEST], *(one.sub for one in taken)} - {""}
        return render, owners.of(document, named=named, render=render)

    def _url(self, document: Document, sub: str, act: str = "change") -> str:
        """Return the address of a document's page, or of one of its acts, which remembers whose it is."""
        address = reverse(f"admin:documents_document_{act}", args=(quote(key_of(document)),))
        return f"{address}?{urlencode({'owner': sub})}" if sub else address

    # --- Acts ---

    def read_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, write it down, and show the text: as text, never as a page."""
        document = self._asked(request, object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, document, form, READ)
        try:
            text = acts.read(document, reason=form.cleaned_data["reason"], by=_actor(request))
        except DocumentMissing:
            self.message_user(request, "There is no text of it any more.", messages.WARNING)
            return HttpResponseRedirect(self._back(request, document))
        context = {
            **self._context(request, self.called(document)),
            "document_url": self._back(request, document),
            "text": text,
            "reason": form.cleaned_data["reason"],
        }
        # The admin lets no cache keep any of its pages.
        return TemplateResponse(request, "admin/documents/document/text.html", context)

    def take_down_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, and take a document from its owner."""
        document = self._asked(request, object_id)
        form = TakeDownForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, document, form, TAKE_DOWN)
        _, owner = self._whose(request, document, [])
        reason, now = form.cleaned_data["reason"], datetime.now(UTC)
        try:
            was_there = acts.take_down(document, reason=reason, sub=owner.sub, by=_actor(request), now=now)
        except Exception as error:
            self._unless_passing(request, error, "It may be taken down in part. Take it down again.")
        else:
            said = "It is taken down. The lists follow within seconds." if was_there else "Nothing of it was there."
            self.message_user(request, said, messages.SUCCESS if was_there else messages.WARNING)
        return HttpResponseRedirect(self._back(request, document))

    def put_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether it is meant, and give a document back to its owner."""
        document = self._asked(request, object_id)
        taken = archive.taken_down(document.identity_id, document.document_id)
        if not taken:
            self.message_user(request, "Nothing of it is taken down.", messages.WARNING)
            return HttpResponseRedirect(self._back(request, document))
        _, owner = self._whose(request, document, taken)
        form = PutBackForm(request.POST if request.method == "POST" else None, known=owner)
        if not form.is_valid():
            return self._ask(request, document, form, PUT_BACK)
        try:
            acts.put_back(document, taken, sub=form.sub, by=_actor(request))
        except Changed:
            said = "Its owner has written something else in its place. It stays taken down until they move that."
            self.message_user(request, said, messages.ERROR)
        except archive.TooLarge:
            said = "It is too large to be put back here. An administrator can copy it in the bucket."
            self.message_user(request, said, messages.ERROR)
        except Refused:
            said = "AWS gives its owner no credentials, so it cannot be put back in their name."
            self.message_user(request, said, messages.ERROR)
        except Exception as error:
            self._unless_passing(request, error, "It may be put back in part. Put it back again.")
        else:
            self.message_user(request, "It is back. The lists follow within seconds.", messages.SUCCESS)
        return HttpResponseRedirect(self._back(request, document))

    def _asked(self, request: HttpRequest, object_id: str) -> Document:
        """Return the document that an act is about, to somebody who may act."""
        if not self.may_act(request):
            raise PermissionDenied
        document = self.find(unquote(object_id))
        if document is None:
            raise Http404("There is no such document.")
        return document

    def _ask(self, request: HttpRequest, document: Document, form: forms.Form, screen: Screen) -> HttpResponse:
        context = {
            **self._context(request, screen.title.format(self.called(document))),
            "document_url": self._back(request, document),
            "called": self.called(document),
            "screen": screen,
            "form": form,
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/documents/document/act.html", context, status=status)

    def _unless_passing(self, request: HttpRequest, error: Exception, said: str) -> None:
        """Say that an act came to no end for a reason that passes; raise any other."""
        if not aws.is_transient(error):
            raise error
        self.message_user(request, f"A service did not answer. {said}", messages.ERROR)

    def _back(self, request: HttpRequest, document: Document) -> str:
        return self._url(document, request.GET.get("owner", "")[: records.LONGEST])

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}


def _key_in(text: str) -> str:
    """Return the key of the document that an object belongs to, or nothing where the text names no object."""
    place = place_of(text) or place_of(CORNERS + text)
    return f"{place.identity_id}/{place.document_id}" if place and owners.IDENTITY.fullmatch(place.identity_id) else ""


def _actor(request: HttpRequest) -> audit.Actor:
    return cast(audit.Actor, request.user)
