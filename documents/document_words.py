"""What the operators' pages say of a document."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from documents.document import Document, Part
from documents.models import key_of
from documents.owners import Owner
from documents.place import KINDS, Kind
from documents.renders import Render, State
from portal.dynamo.records import moment

KIND = {"source": "Markdown", "pdf": "PDF", "file": "file"}
STATES = {
    State.QUEUED: "waits to be made",
    State.RENDERING: "is being made",
    State.DONE: "is made",
    State.FAILED: "failed",
}


def parts(document: Document) -> list[str]:
    """Return what there is of a document, or was where all of it is gone, e.g. ["Markdown", "PDF, 3 pages"]."""
    return [", ".join([KIND[kind], *_besides(document, kind, part)]) for kind, part in _shown(document)]


def size(document: Document) -> int:
    """Return how many bytes a document has, or had where all of it is gone."""
    return sum(part.size for _, part in _shown(document))


def facts(document: Document, owner: Owner, render: Render | None, request: HttpRequest) -> list[tuple[str, Any]]:
    """Return the names and values of what a document's page says."""
    told: list[tuple[str, Any]] = [
        ("whose", _whose(owner, request)),
        ("in their corner", format_html("<code>{}</code>", document.document_id)),
        ("is", _state(document)),
    ]
    told += [(KIND[kind], _part(document, kind, part)) for kind in KINDS if (part := document.part(kind))]
    told.append(("size", filesizeformat(size(document))))
    if render:
        told.append(("PDF in the background", _render(render)))
    return told


def person_url(owner: Owner, request: HttpRequest) -> str:
    """Return the address of a person's page, where they have one that whoever asks may see."""
    may_see = owner.is_in_user_pool and request.user.has_perm("people.view_person")
    return reverse("admin:accounts_user_change", args=(quote(owner.sub),)) if may_see else ""


def _shown(document: Document) -> list[tuple[Kind, Part]]:
    return list(document.parts) or [(kind, part) for kind in KINDS if (part := document.part(kind))]


def _besides(document: Document, kind: Kind, part: Part) -> list[str]:
    """Return what a PDF has besides its size, e.g. ["3 pages", "older than the text"]."""
    besides = [f"{part.pages} page{'' if part.pages == 1 else 's'}"] if part.pages else []
    if kind == "pdf" and document.has_pdf and document.has_source and not document.pdf_is_current:
        besides.append("older than the text")
    return besides


def _part(document: Document, kind: Kind, part: Part) -> SafeString:
    about = [filesizeformat(part.size)] if part.size or part.is_there else []
    about += _besides(document, kind, part)
    if part.modified_at:
        about.append(format_html("saved {}", moment(part.modified_at)))
    elif part.removed_at:
        about.append(format_html("gone since {}", moment(part.removed_at)))
    if part.version_id:
        about.append(format_html("version <code>{}</code>", part.version_id))
    return format_html_join(", ", "{}", ((one,) for one in about))


def _state(document: Document) -> SafeString | str:
    if document.taken_down:
        return format_html('<span class="tag warm">{}</span>', "taken down")
    if document.modified_at:
        return format_html("there, changed {}", moment(document.modified_at))
    if document.removed_at:
        return format_html("deleted by its owner {}", moment(document.removed_at))
    return "there, and in no list" if any(document.parts) else "gone"


def _whose(owner: Owner, request: HttpRequest) -> SafeString:
    url = person_url(owner, request)
    name = format_html('<a href="{}">{}</a>', url, owner.name) if url else owner.name
    identity = format_html("<code>{}</code>", owner.identity_id)
    query = urlencode({"q": owner.sub or owner.identity_id})
    every = format_html(
        '<a href="{}?{}">all their documents</a>', reverse("admin:documents_document_changelist"), query
    )
    return format_html_join(", ", "{}", ((one,) for one in ([name] if owner.sub else []) + [identity, every]))


def _render(render: Render) -> SafeString:
    said = STATES[render.state]
    if render.state is State.FAILED:
        said += f": {render.message}"
    elif render.state is State.RENDERING and render.page:
        said += f", page {render.page} of about {render.pages}"
    url = reverse("admin:documents_render_change", args=(quote(key_of(render)),))
    return format_html('<a href="{}">{}</a>, {}', url, said, moment(render.updated_at))
