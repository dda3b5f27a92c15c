"""One document: write it, and what is done to it as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from documents import bucket, history, renders, source, workshop
from documents.asked import SignedIn, draft_key, own
from documents.bucket import Changed
from documents.forms import DocumentForm, TitleForm, editable
from documents.place import new_id
from documents.rendered import MAX_PICTURE_BYTES
from documents.source import MAX_BYTES, PAPERS, THEMES, Source
from portal import aws

if TYPE_CHECKING:
    from documents.corner import Corner

_TRIES = 3


@own
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SignedIn, document_id: str) -> HttpResponse:
    """Show the editor; without JavaScript, save what its form sends."""
    corner = bucket.corner(request)
    if request.method == "POST":
        return _save(request, corner, document_id)
    content, stored = bucket.read(corner, document_id)
    workshop.warm()  # the page's first preview is a second away
    document = source.parse(content)
    return _page(request, corner, document_id, document, etag=stored.e_tag, modified_at=stored.modified_at)


def _save(request: SignedIn, corner: Corner, document_id: str) -> HttpResponse:
    form = DocumentForm(request.POST)
    if not form.is_valid():
        sent = Source(request.POST.get("title", ""), request.POST.get("text", ""))
        return _page(request, corner, document_id, sent, form=form, etag=request.POST.get("etag", ""), status=422)
    document = form.source()
    try:
        bucket.save(corner, document_id, source.write(document).encode(), was=form.cleaned_data["etag"])
    except source.TooLarge as error:
        form.add_error("text", str(error))
        return _page(request, corner, document_id, document, form=form, etag=form.cleaned_data["etag"], status=422)
    except Changed:
        content, stored = bucket.read(corner, document_id)
        theirs = {"source": _as_far_as_it_can_be_read(content), "etag": stored.e_tag, "modified_at": stored.modified_at}
        # The next press saves: whoever presses it has seen both.
        return _page(request, corner, document_id, document, conflict=theirs, etag=stored.e_tag, status=409)
    messages.success(request, "Saved.")
    return redirect("documents:edit", document_id)


def _as_far_as_it_can_be_read(content: bytes) -> Source:
    try:
        return editable(source.parse(content))
    except (source.NotText, source.TooLarge):
        return Source("", content[:MAX_BYTES].decode(errors="replace").replace("\0", ""))


def _page(
    request: SignedIn, corner: Corner, document_id: str, document: Source, *, status: int = 200, **context: Any
) -> HttpResponse:
    known = history.find(request, document_id)
    made = known.pdf if known and known.has_pdf else None
    is_current = bool(made and made.source_e_tag == context.get("etag"))
    told = None
    if not is_current:
        pdf_at = made.modified_at if made else None
        told = renders.worth_telling(corner.identity_id, document_id, pdf_at=pdf_at, now=timezone.now())
    context |= {
        "document_id": document_id,
        "title": source.title_of(document, document_id),
        # What cannot be stored stays as it was sent.
        "source": document if context.get("form") else editable(document),
        "pdf": made and {"modified_at": made.modified_at, "size": made.size, "is_current": is_current},
        "render": told,
        "themes": THEMES,
        "papers": PAPERS,
        "draft_key": draft_key(request.user),
        "limits": {"bytes": MAX_BYTES, "picture_bytes": MAX_PICTURE_BYTES},
    }
    return render(request, "documents/edit.html", context, status=status)


@own
@require_POST
def rename(request: SignedIn, document_id: str) -> HttpResponse:
    """Give a document another title; its text stays as it is."""
    form = TitleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A title has between 1 and 200 characters.")
        return redirect("documents:home")
    corner, title = bucket.corner(request), form.cleaned_data["title"]
    for _ in range(_TRIES):
        content, stored = bucket.read(corner, document_id)
        renamed = source.write(replace(source.parse(content), title=title)).encode()
        try:
            bucket.save(corner, document_id, renamed, was=stored.e_tag)
        except Changed:
            continue
        messages.success(request, f"It is called “{title}” now.")
        return redirect(_back(request))
    raise aws.Busy


@own
@require_POST
def duplicate(request: SignedIn, document_id: str) -> HttpResponse:
    """Make a document of the same text."""
    corner = bucket.corner(request)
    content, _ = bucket.read(corner, document_id)
    document = source.parse(content)
    title = f"Copy of {source.title_of(document, document_id)}"[: source.MAX_TITLE_CHARACTERS]
    copy_id = new_id()
    bucket.create(corner, copy_id, source.write(replace(document, title=title)).encode())
    return redirect("documents:edit", copy_id)


@own
@require_POST
def delete(request: SignedIn, document_id: str) -> HttpResponse:
    """Delete a document; the list that comes next offers to bring it back."""
    bucket.delete(bucket.corner(request), document_id)
    return redirect(f"{reverse('documents:home')}?{urlencode({'deleted': document_id})}")


def _back(request: SignedIn) -> str:
    """Return the page that a form says it was on, of the two that have it."""
    if request.POST.get("from") == "profile":
        return reverse("accounts:profile")
    return f"{reverse('documents:home')}?changed"
