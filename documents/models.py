"""The documents' and the renders' places in the admin; the records are documents.document.Document and
documents.renders.Render. Both are addressed by a key of two parts: whose they are, and the document's id."""

from __future__ import annotations

from documents.document import Document as DocumentRecord
from documents.renders import Render as RenderRecord
from portal.dynamo.records import Screen

# An object's key has 1,024 bytes at most, and so has a range key of DynamoDB.
LONGEST_ID = 1_024
LONGEST_KEY = 128 + 1 + LONGEST_ID


class Document(Screen):
    class Meta(Screen.Meta):
        verbose_name = "document"
        verbose_name_plural = "documents"


class Render(Screen):
    class Meta(Screen.Meta):
        verbose_name = "PDF render"
        verbose_name_plural = "PDF renders"


def key_of(record: DocumentRecord | RenderRecord) -> str:
    """Return the key of a record's page."""
    return f"{record.identity_id}/{record.document_id}"


def ids_of(key: str) -> tuple[str, str] | None:
    """Return the identity and the document's id that a key names; None where no table can have them."""
    identity_id, _, document_id = key.partition("/")
    is_possible = identity_id and document_id and len(key) <= LONGEST_KEY and len(document_id.encode()) <= LONGEST_ID
    return (identity_id, document_id) if is_possible else None
