"""A document's PDF, and what can be downloaded."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from documents import bucket, history, pdf, source
from documents.asked import SignedIn, own
from documents.place import Kind
from documents.renders import Render

_ENDINGS: dict[Kind, str] = {"source": "md", "pdf": "pdf"}


@own
@require_POST
def make(request: SignedIn, document_id: str) -> HttpResponse:
    """Make the PDF, at once or in the background."""
    by = pdf.owner(request, request.user)
    try:
        made = pdf.make_or_start(bucket.corner(request), document_id, by=by, now=timezone.now())
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
