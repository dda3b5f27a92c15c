"""A document's earlier versions: what was different, and how to have it back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from documents import bucket, source, workshop
from documents.asked import SignedIn, own
from documents.place import places

# Whatever its size, its title is near the beginning.
_HEAD_CHARACTERS = 100_000
# Of a comparison: Lambda's answers have 6 MB at most.
_MOST_LINES, _MOST_CHARACTERS = 2_000, 1_000


@own
@require_safe
def versions(request: SignedIn, document_id: str) -> HttpResponse:
    """Show the versions, and what one of them has that the present one has not."""
    corner = bucket.corner(request)
    page = bucket.versions(corner, document_id, cursor=request.GET.get("cursor", ""))
    content, _ = bucket.read(corner, document_id)
    present = _text(content)
    context: dict[str, Any] = {
        "document_id": document_id,
        "title": source.title_of(source.parse(present[:_HEAD_CHARACTERS]), document_id),
        "versions": page.records,
        "cursor": page.cursor,
    }
    if version_id := request.GET.get("version", ""):
        then, version = bucket.read(corner, document_id, version_id=version_id)
        lines = _difference(_text(then), present)
        context["compared"] = {"version": version, "lines": lines and _shown(lines), "is_cut": _is_cut(lines or [])}
    return render(request, "documents/versions.html", context)


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").replace("\0", "")


def _difference(then: str, now: str) -> list[tuple[str, str]] | None:
    """Return what was changed since then, or None where that takes too long to find out."""
    try:
        return workshop.difference(then, now)
    except (workshop.TookTooLong, workshop.TooComplex):
        return None


def _is_cut(lines: list[tuple[str, str]]) -> bool:
    return len(lines) > _MOST_LINES or any(len(line) > _MOST_CHARACTERS for _, line in lines)


def _shown(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(kind, line[:_MOST_CHARACTERS]) for kind, line in lines[:_MOST_LINES]]


@own
@require_POST
def restore(request: SignedIn, document_id: str) -> HttpResponse:
    """Bring a version back, or a document that was deleted. What was there stays an earlier version."""
    corner = bucket.corner(request)
    if version_id := request.POST.get("version", ""):
        bucket.restore(corner, document_id, "source", version_id)
        messages.success(request, "That version is the present one again. The one before it is still in the list.")
        return redirect("documents:edit", document_id)
    kinds = [place.kind for place in places(corner.identity_id, document_id)]
    deleted = [(kind, bucket.deleted_version(corner, document_id, kind)) for kind in kinds]
    brought = [bucket.restore(corner, document_id, kind, version) for kind, version in deleted if version]
    if not brought:
        raise Http404
    messages.success(request, "It is back.")
    return redirect(f"{reverse('documents:home')}?changed")
