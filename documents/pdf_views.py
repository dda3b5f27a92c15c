"""A document's PDF, and what can be downloaded."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from documents import bucket, history, pdf, renders, source
from documents.asked import SignedIn, own
from documents.place import Kind
from documents.renders import Render

_ENDINGS: dict[Kind, str] = {"source": "md", "pdf": "pdf"}


@own
@require_POST
def make(request: SignedIn, document_id: str) -> HttpResponse:
    """Make the PDF, at once or in the background."""
    user = request.user
    try:
        made = pdf.make_or_start(
            bucket.corner(request), document_id, sub=user.sub, username=user.username, now=timezone.now()
        )
    except pdf.CannotBeMade as error:
        messages.error(request, f"There is no PDF: {error}")
    else:
        if isinstance(made, Render):
            messages.info(request, f"About {made.pages} pages: the PDF is being made in the background.")
        else:
            messages.success(request, f"The PDF is made: {made.pages} page{'s' if made.pages != 1 else ''}.")
    return redirect("documents:edit", document_id)


@own
@require_safe
def status(request: SignedIn, document_id: str) -> HttpResponse:
    """Show how far the PDF is: the part of the editor's page that renews itself."""
    render_ = renders.renders.find(bucket.corner(request).identity_id, document_id)
    known = history.find(request, document_id)
    context = {
        "document_id": document_id,
        "render": render_,
        "is_under_way": bool(render_ and render_.is_under_way(now=timezone.now())),
        "pdf": {"modified_at": known.pdf.modified_at, "size": known.pdf.size, "is_current": known.pdf_is_current}
        if known and known.pdf and known.has_pdf
        else None,
    }
    return render(request, "documents/partials/pdf.html", context)


@own
@require_safe
def download(request: SignedIn, document_id: str, kind: Kind) -> HttpResponse:
    """Lead to a part of a document in the bucket, by a link that is signed for five minutes."""
    corner = bucket.corner(request)
    if not bucket.is_there(corner, document_id, kind):
        raise Http404
    known = history.find(request, document_id)
    title = (known.title if known else "") or document_id.rpartition("/")[2]
    name = source.file_name(title, _ENDINGS[kind]) if kind in _ENDINGS else document_id.rpartition("/")[2]
    answer = HttpResponseRedirect(bucket.download_url(corner, document_id, kind, name=name))
    answer["Cache-Control"] = "private, no-store"
    return answer
