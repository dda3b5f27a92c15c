"""What the JSON API about documents takes and answers."""

from __future__ import annotations

from typing import Annotated

from ninja import Schema
from pydantic import Field

from documents import renders, source
from documents.source import MAX_BYTES, MAX_TITLE_CHARACTERS
from portal.dynamo.table import Instant
from portal.errors import Failure

_Text = Annotated[str, Field(max_length=MAX_BYTES, description="Markdown; its own first lines may say title and theme")]
_Title = Annotated[str, Field(max_length=MAX_TITLE_CHARACTERS)]


class NewDocument(Schema):
    Text: _Text = ""
    Title: _Title | None = Field(default=None, description="Without one, the first heading is the title")
    Theme: str | None = Field(default=None, examples=list(source.THEMES))
    Paper: str | None = Field(default=None, examples=list(source.PAPERS))
    Cover: bool | None = None
    Contents: bool | None = Field(default=None, description="Whether the PDF has a table of contents")


class ChangedDocument(NewDocument):
    Text: _Text


class PdfFacts(Schema):
    ModifiedAt: Instant
    Size: int = Field(description="Bytes")
    Pages: int
    IsCurrent: bool = Field(description="Whether it was made of the text as it is")


class DocumentFacts(Schema):
    Id: str
    Title: str
    ModifiedAt: Instant | None
    Size: int = Field(description="Bytes")
    ETag: str = Field(description="What If-Match takes")


class DocumentAnswer(DocumentFacts):
    Text: str | None = Field(default=None, description="What is stored, where it is not what was sent")
    OwnTitle: str = Field(description="What its first lines say; empty where the title is a heading's, or the id")
    Theme: str
    Paper: str
    Cover: bool
    Contents: bool
    Pdf: PdfFacts | None = None


class WholeDocument(DocumentAnswer):
    Text: str


class Listed(DocumentFacts):
    Pdf: PdfFacts | None
    IsFile: bool = Field(description="Neither Markdown nor a PDF")


class DocumentsAnswer(Schema):
    Documents: list[Listed]
    Cursor: str | None = Field(description="Fetches the next page; null on the last one")


class ChangedMeanwhile(Failure):
    Current: WholeDocument | None = Field(description="The document as it is now; null where that is no text")


class MadeAnswer(Schema):
    Id: str
    Name: str
    State: str = "done"
    Url: str = Field(description="Works for five minutes")
    Pages: int
    Missing: list[str] = Field(default=[], description="Pictures that are not there")


class RenderAnswer(Schema):
    Id: str
    Name: str
    State: renders.State
    Page: int = Field(description="The page that is being laid out")
    Pages: int = Field(description="How many there will be, more or less")
    Message: str = Field(description="Why it failed, or waits")


class PreviewRequest(Schema):
    Text: _Text
    Id: str = Field(default="", max_length=1000, description="Pictures are beside the document of this id")


class HeadingAnswer(Schema):
    Level: int
    Text: str
    Id: str


class PreviewAnswer(Schema):
    Html: str = Field(description="Clean: nothing in it can be executed")
    Words: int
    Headings: list[HeadingAnswer]
