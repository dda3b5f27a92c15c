"""Documents as JSON: for programs with an ID token, and for the editor's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Header, Query, Router
from ninja.errors import AuthenticationError, HttpError
from ninja.responses import Status

from documents import bucket, history, pdf, renders, source, workshop
from documents.bucket import Changed, DocumentMissing, Stored
from documents.document import Document
from documents.forms import composed, editable
from documents.place import is_path, new_id
from documents.renders import Render
from documents.schemas import (
    ChangedDocument,
    ChangedMeanwhile,
    DocumentAnswer,
    DocumentsAnswer,
    HeadingAnswer,
    Listed,
    MadeAnswer,
    NewDocument,
    PdfFacts,
    PreviewAnswer,
    PreviewRequest,
    RenderAnswer,
    WholeDocument,
)
from documents.source import MAX_BYTES, Source
from portal.accounts.models import User
from portal.accounts.refusals import SignedOut
from portal.errors import Failure
from portal.middleware import reference

if TYPE_CHECKING:
    from documents.corner import Corner

router = Router(tags=["Documents"])
preview_router = Router(tags=["Documents"])

_PUT_ANSWERS = {200: DocumentAnswer, 201: DocumentAnswer, 412: ChangedMeanwhile, 422: Failure}
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=100, description="The ETag of what you began from; * for whatever is there"),
]


@router.get("", response=DocumentsAnswer, summary="List everything I made, newest first")
def list_documents(
    request: HttpRequest,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    q: Annotated[str, Query(max_length=200, description="Words of the title")] = "",
) -> DocumentsAnswer:
    """It follows what was written within seconds. With `q`, a page may be short and still have a Cursor."""
    with _refusals():
        page = (
            history.search(request, q, cursor=cursor, limit=limit)
            if q.strip()
            else history.of(request, cursor=cursor, limit=limit)
        )
    return DocumentsAnswer(Documents=list(map(_listed, page.records)), Cursor=page.cursor)


@router.post("", response={201: DocumentAnswer, 422: Failure}, summary="Store a new document")
def create_document(request: HttpRequest, response: HttpResponse, body: NewDocument) -> Status[Any]:
    document_id = new_id()
    with _refusals():
        document, content = _composed(body)
        stored = bucket.create(bucket.corner(request), document_id, content)
    response["Location"] = f"/documents/{document_id}"
    return Status(201, _answer(document_id, document, stored))


@router.post(
    "/{path:document_id}/pdf",
    response={201: MadeAnswer, 202: RenderAnswer, 422: Failure},
    summary="Make the PDF of one of my documents",
)
def make_pdf(request: HttpRequest, document_id: str) -> Status[Any]:
    """201: it is made. 202: it is long, and is being made; GET says how far it is. 422: no PDF can be made of it."""
    with _refusals():
        corner = _corner(request, document_id)
        by = pdf.owner(request, _caller(request))
        made = pdf.make_or_start(corner, document_id, by=by, now=timezone.now())
        if isinstance(made, Render):
            return Status(202, _render_answer(request, made))
        url = bucket.download_url(corner, document_id, "pdf", name=made.name)
    return Status(
        201, MadeAnswer(Id=document_id, Name=made.name, Url=url, Pages=made.pages, Missing=list(made.missing))
    )


@router.get(
    "/{path:document_id}/pdf", response={200: MadeAnswer | RenderAnswer}, summary="How far is the PDF of my document"
)
def get_pdf(request: HttpRequest, document_id: str) -> MadeAnswer | RenderAnswer:
    """While it is being made in the background, or where that failed: how far it is, or why. Else the PDF there is."""
    with _refusals():
        corner = _corner(request, document_id)
        stored = bucket.find_pdf(corner, document_id)
        pdf_at = stored.modified_at if stored else None
        if told := renders.worth_telling(corner.identity_id, document_id, pdf_at=pdf_at, now=timezone.now()):
            return _render_answer(request, told)
        if stored is None:
            there = bucket.is_there(corner, document_id, "source")
            raise Http404("This document has no PDF yet." if there else "You have no such document.")
        name = _pdf_name(request, document_id)
        url = bucket.download_url(corner, document_id, "pdf", name=name)
    return MadeAnswer(Id=document_id, Name=name, Url=url, Pages=stored.pages, Missing=list(stored.missing))


@router.put("/{path:document_id}/pdf", include_in_schema=False, response=_PUT_ANSWERS)
def put_document_called_pdf(
    request: HttpRequest, document_id: str, body: ChangedDocument, if_match: IfMatch = None
) -> Status[Any]:
    """Store the document notes/pdf: only GET and POST of its address are about the PDF of notes."""
    return put_document(request, f"{document_id}/pdf", body, if_match)


@router.delete("/{path:document_id}/pdf", include_in_schema=False, response={204: None})
def delete_document_called_pdf(request: HttpRequest, document_id: str) -> Status[None]:
    return delete_document(request, f"{document_id}/pdf")


@router.get("/{path:document_id}", response=WholeDocument, summary="Read one of my documents")
def get_document(request: HttpRequest, response: HttpResponse, document_id: str) -> WholeDocument:
    with _refusals():
        whole = _whole(_corner(request, document_id), document_id)
        known = history.find(request, document_id)
    response["ETag"] = f'"{whole.ETag}"'
    return whole.model_copy(update={"Pdf": _pdf(known)})


@router.put(
    "/{path:document_id}",
    response=_PUT_ANSWERS,
    summary="Store one of my documents, or a new one under this id",
)
def put_document(
    request: HttpRequest, document_id: str, body: ChangedDocument, if_match: IfMatch = None
) -> Status[Any]:
    """Without If-Match only a new one is stored. 412: it is not what you began from; Current is what there is."""
    with _refusals():
        corner = _corner(request, document_id)
        document, content = _composed(body)
        try:
            if if_match is None:
                stored = bucket.create(corner, document_id, content)
            else:
                was = bucket.read(corner, document_id)[1].e_tag if if_match.strip() == "*" else if_match.strip(' "')
                stored = bucket.save(corner, document_id, content, was=was)
            # First lines that were in the text are in the fields now.
            shown = editable(document).text
            answer = _answer(document_id, document, stored)
            answer.Text = shown if shown != body.Text else None
            return Status(201 if if_match is None else 200, answer)
        except Changed:
            return Status(
                412,
                ChangedMeanwhile(
                    Error="It was changed meanwhile." if if_match else "There is one of this id. Send If-Match.",
                    Reference=reference.get(),
                    Current=_readable(corner, document_id),
                ),
            )


@router.delete("/{path:document_id}", response={204: None}, summary="Delete one of my documents")
def delete_document(request: HttpRequest, document_id: str) -> Status[None]:
    """Its PDF goes with it. For 30 days both can be brought back on the page of what was deleted."""
    with _refusals():
        corner = _corner(request, document_id)
        if not bucket.delete(corner, document_id):
            raise DocumentMissing
    return Status(204, None)


@preview_router.post("", response={200: PreviewAnswer, 422: Failure}, summary="Turn Markdown into HTML")
def preview(request: HttpRequest, body: PreviewRequest) -> PreviewAnswer:
    """The same HTML that a PDF is made of. 422: it is nested too deeply, or takes too long."""
    with _refusals():
        parsed = source.parse(body.Text)
        rendered = workshop.html(parsed.text, folder=body.Id.rpartition("/")[0])
    shown = _PICTURE.sub(lambda found: f"{found[1]}{_PICTURES}{found[2]}/", rendered.html)
    if len(shown) > _MOST_PREVIEW:
        raise HttpError(422, "This is too long for a preview. A PDF can be made of it.")
    return PreviewAnswer(
        Html=shown,
        Words=rendered.words,
        Headings=[HeadingAnswer(Level=one.level, Text=one.text, Id=one.id) for one in rendered.headings],
    )


# In what is visible, "<" is written as an entity.
_PICTURE = re.compile(r'(<img [^>]*?\bsrc=")corner:([^"]*)')
_PICTURES = "/documents/images/"
# Characters: Lambda's answers have 6 MB at most, and quotes are two bytes there.
_MOST_PREVIEW = 4_000_000


@contextmanager
def _refusals() -> Iterator[None]:
    """Say as HTTP what went wrong."""
    try:
        yield
    except DocumentMissing as error:
        raise Http404("You have no such document.") from error
    except SignedOut as error:
        raise AuthenticationError(message="Sign in anew, and send the new ID token.") from error
    except source.TooLarge as error:
        raise HttpError(413, str(error)) from error
    except (source.NotText, workshop.TookTooLong, workshop.TooComplex, pdf.CannotBeMade) as error:
        raise HttpError(422, str(error)) from error


def _corner(request: HttpRequest, document_id: str) -> Corner:
    if not is_path(document_id):
        raise DocumentMissing(document_id)
    return bucket.corner(request)


def _caller(request: HttpRequest) -> User:
    return request.auth  # type: ignore[attr-defined,no-any-return]  # ninja puts there what `auth` returned


def _composed(body: NewDocument) -> tuple[Source, bytes]:
    for value, known in ((body.Theme, source.THEMES), (body.Paper, source.PAPERS)):
        if value is not None and value not in known:
            raise HttpError(422, f"“{value}” is not known. There is {', '.join(known)}.")
    options = {"theme": body.Theme, "paper": body.Paper, "cover": body.Cover, "contents": body.Contents}
    document = composed(body.Text, title=body.Title, **options)
    content = source.write(document).encode()
    if len(content) > MAX_BYTES:
        raise source.TooLarge(f"A document has at most {MAX_BYTES:,} bytes.")
    return document, content


def _facts(document_id: str, document: Source, stored: Stored) -> dict[str, Any]:
    options = document.options
    return {
        "Id": document_id,
        "Title": source.title_of(document, document_id),
        "OwnTitle": document.title,
        "Theme": options.theme,
        "Paper": options.paper,
        "Cover": options.cover,
        "Contents": options.contents,
        "ETag": stored.e_tag,
        "Size": stored.size,
        "ModifiedAt": stored.modified_at or timezone.now(),
    }


def _answer(document_id: str, document: Source, stored: Stored) -> DocumentAnswer:
    return DocumentAnswer(**_facts(document_id, document, stored))


def _whole(corner: Corner, document_id: str) -> WholeDocument:
    content, stored = bucket.read(corner, document_id)
    document = source.parse(content)
    return WholeDocument(**_facts(document_id, document, stored), Text=editable(document).text)


def _readable(corner: Corner, document_id: str) -> WholeDocument | None:
    """Return the document, or None where it is nothing that can be shown as one."""
    try:
        return _whole(corner, document_id)
    except (source.NotText, source.TooLarge):
        return None


def _pdf(known: Document | None) -> PdfFacts | None:
    if not known or not known.pdf or not known.pdf.modified_at:
        return None
    part = known.pdf
    return PdfFacts(ModifiedAt=known.pdf.modified_at, Size=part.size, Pages=part.pages, IsCurrent=known.pdf_is_current)


def _listed(known: Document) -> Listed:
    return Listed(
        Id=known.document_id,
        Title=known.title or known.document_id,
        ModifiedAt=known.modified_at,
        Size=known.main.size if known.main else 0,
        ETag=known.main.e_tag if known.main else "",
        Pdf=_pdf(known),
        IsFile=known.is_file,
    )


def _pdf_name(request: HttpRequest, document_id: str) -> str:
    known = history.find(request, document_id)
    return source.file_name((known.title if known else "") or document_id.rpartition("/")[2], "pdf")


def _render_answer(request: HttpRequest, render: Render) -> RenderAnswer:
    return RenderAnswer(
        Id=render.document_id,
        Name=_pdf_name(request, render.document_id),
        State=render.state,
        Page=render.page,
        Pages=render.pages,
        Message=render.message,
    )
