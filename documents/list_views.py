"""The list of what somebody made: find it, begin something new, bring in files, bring back what was deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from documents import bucket, history, source
from documents.asked import SignedIn, draft_key, own
from documents.forms import TitleForm
from documents.place import is_path, new_id
from documents.source import Source
from portal.dynamo.table import BadCursor

if TYPE_CHECKING:
    from documents.corner import Corner

PAGE_SIZE = 20
MOST_FILES = 20
LONGEST_QUERY = 200
_ENDINGS = (".md", ".markdown", ".txt")


def newest(request: HttpRequest, *, more_url: str) -> dict[str, Any]:
    """Return what documents/partials/list.html needs for the page of the history that the address asks for."""
    cursor = request.GET.get("cursor") or None
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    try:
        page = (
            history.search(request, query, cursor=cursor, limit=PAGE_SIZE)
            if query
            else history.of(request, cursor=cursor, limit=PAGE_SIZE)
        )
    except BadCursor as error:
        raise BadRequest("This list of documents cannot be continued from there.") from error
    return {"page": page, "query": query, "is_older": bool(cursor), "more_url": more_url}


def refresh_url(request: HttpRequest) -> str:
    """Return the address at which the list is asked for again, twice, after something was `changed`: the index follows
    the bucket within seconds."""
    asked = request.GET.copy()
    if "changed" not in asked:
        return ""
    if asked.pop("changed") == [""]:
        asked["changed"] = "again"
    return f"{request.path}?{asked.urlencode()}"


@own
@require_safe
def home(request: SignedIn) -> HttpResponse:
    """Show the documents, newest first."""
    context = newest(request, more_url=reverse("documents:home"))
    # The index follows the bucket within seconds; until then, what was just deleted is left out here.
    deleted_id = request.GET.get("deleted", "")
    just_deleted = next((one for one in context["page"].records if one.document_id == deleted_id), None)
    if is_path(deleted_id) and not just_deleted:
        just_deleted = history.find(request, deleted_id)
    facts = {
        "hidden": deleted_id,
        "just_deleted": just_deleted,
        "draft_key": draft_key(request.user),
        "refresh_url": refresh_url(request),
    }
    return render(request, "documents/home.html", context | facts)


@own
@require_safe
def deleted(request: SignedIn) -> HttpResponse:
    """Show what was deleted and can be brought back."""
    try:
        page = history.deleted(request, now=timezone.now(), cursor=request.GET.get("cursor") or None)
    except BadCursor as error:
        raise BadRequest("This list of documents cannot be continued from there.") from error
    return render(request, "documents/deleted.html", {"page": page, "refresh_url": refresh_url(request)})


@own
@require_POST
def new(request: SignedIn) -> HttpResponse:
    """Begin a document."""
    form = TitleForm(request.POST)
    title = form.cleaned_data["title"] if form.is_valid() else ""
    document_id = new_id()
    bucket.create(bucket.corner(request), document_id, source.write(Source(title, "")).encode())
    return redirect("documents:edit", document_id)


@own
@require_POST
def import_files(request: SignedIn) -> HttpResponse:
    """Make a document of each Markdown file."""
    files = request.FILES.getlist("files")
    corner = bucket.corner(request)
    made = [document_id for file in files[:MOST_FILES] if (document_id := _import(request, corner, file))]
    if not files:
        messages.warning(request, "Choose one or more Markdown files first.")
    elif len(made) == 1 == len(files):
        return redirect("documents:edit", made[0])
    elif made:
        messages.success(request, f"{len(made)} of {len(files)} files are documents now.")
    if left := files[MOST_FILES:]:
        names = ", ".join(file.name or "" for file in left)
        messages.warning(request, f"At most {MOST_FILES} files come in at once. These did not: {names}")
    return redirect(f"{reverse('documents:home')}?changed")


def _import(request: HttpRequest, corner: Corner, file: Any) -> str:
    """Return the id of the document that a file became, or nothing where it cannot be one."""
    name = file.name or ""
    if not name.lower().endswith(_ENDINGS):
        messages.error(request, f"{name} is no Markdown file: those end in {', '.join(_ENDINGS)}.")
        return ""
    if file.size > source.MAX_BYTES:
        messages.error(
            request, f"{name}: A document can have at most {source.MAX_BYTES:,} bytes, and this has {file.size:,}."
        )
        return ""
    try:
        document = source.parse(file.read())
    except (source.TooLarge, source.NotText) as error:
        messages.error(request, f"{name}: {error}")
        return ""
    if not document.title and not source.heading_of(document.text):
        stem = name.rpartition(".")[0][: source.MAX_TITLE_CHARACTERS]
        document = Source(stem, document.text, document.options, document.author, document.others)
    try:
        content = source.write(document).encode()
    except source.TooLarge:
        # There is no room for a title of its own.
        content = document.text.encode()
    document_id = new_id()
    bucket.create(corner, document_id, content)
    return document_id
