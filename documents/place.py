"""Where things are in the bucket: which object is whose, and which part of which document."""

from __future__ import annotations

import posixpath
import secrets
import unicodedata
from typing import Literal, NamedTuple

Kind = Literal["source", "pdf", "file"]

# Control characters, halves of characters, and what ends a line.
_UNSPEAKABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
CORNERS, TAKEN_DOWN = "ugc/", "taken-down/"
PICTURES = "images/"
_ENDINGS: dict[Kind, str] = {"source": ".md", "pdf": ".pdf", "file": ""}
# The Markdown first: a PDF that is being made looks whether it is still there, and whoever deletes a document in this
# order finds the PDF that did not look in time.
KINDS: tuple[Kind, ...] = ("source", "pdf", "file")


class Place(NamedTuple):
    """A part of a document: its Markdown, its PDF, or, of what is neither, the file itself."""

    identity_id: str
    document_id: str  # the path in the corner, without .md or .pdf
    kind: Kind

    @property
    def path(self) -> str:
        """The path in its owner's corner."""
        return self.document_id + _ENDINGS[self.kind]

    @property
    def key(self) -> str:
        """The key of the object."""
        return f"{CORNERS}{self.identity_id}/{self.path}"

    @property
    def taken_down_key(self) -> str:
        """The key of what an operator took from here."""
        return f"{TAKEN_DOWN}{self.identity_id}/{self.path}"


def corner_of(identity_id: str) -> str:
    """Return what all keys of an identity begin with."""
    return f"{CORNERS}{identity_id}/"


def place_of(key: str) -> Place | None:
    """Return what an object is by its key; None for what is in nobody's corner, and for a console's empty folders."""
    area, _, rest = key.partition("/")
    identity_id, _, path = rest.partition("/")
    if area not in (CORNERS[:-1], TAKEN_DOWN[:-1]) or not identity_id or not path or path.endswith("/"):
        return None
    for kind, ending in _ENDINGS.items():
        # "images/.md" and ".md" have no name before the ending.
        if ending and path.endswith(ending) and not path.endswith("/" + ending) and path != ending:
            return Place(identity_id, path.removesuffix(ending), kind)
    return Place(identity_id, path, "file")


def places(identity_id: str, document_id: str) -> list[Place]:
    """Return where the parts of a document can be. Of one that is called "x.md", x.md is no part: that is the Markdown
    of "x"."""
    every = [Place(identity_id, document_id, kind) for kind in KINDS]
    return [place for place in every if place_of(place.key) == place]


def is_path(path: str) -> bool:
    """Tell whether a path names something in a corner whatever reads it: no storage or proxy would change it."""
    return (
        bool(path)
        and len(path.encode()) <= 900
        and path == posixpath.normpath(path) != "."
        and not f"{path}/".startswith(("/", "../"))
        and "\\" not in path
        and not any(unicodedata.category(one) in _UNSPEAKABLE for one in path)
    )


def new_id() -> str:
    """Return the id of a new document. Nobody has to guess it: the corner is its owner's alone."""
    return secrets.token_hex(8)
