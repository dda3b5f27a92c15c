"""What people fill in about a document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms

from documents import source
from documents.source import MAX_BYTES, MAX_TITLE_CHARACTERS, PAPERS, THEMES, Options, Source


class DocumentForm(forms.Form):
    """The whole of a document, as the editor's page sends it where it runs no JavaScript."""

    title = forms.CharField(required=False, max_length=MAX_TITLE_CHARACTERS)
    text = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    theme = forms.ChoiceField(choices=list(THEMES.items()))
    paper = forms.ChoiceField(choices=list(PAPERS.items()))
    cover = forms.BooleanField(required=False)
    contents = forms.BooleanField(required=False)
    etag = forms.CharField(widget=forms.HiddenInput)

    def source(self) -> Source:
        """Return the document that the form has."""
        sent = self.cleaned_data
        return composed(**{name: sent[name] for name in ("text", "title", "theme", "paper", "cover", "contents")})

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        # A form sends every end of a line as two characters.
        text = text.replace("\r\n", "\n")
        if len(text.encode()) > MAX_BYTES:
            raise forms.ValidationError(f"A document has at most {MAX_BYTES:,} bytes. Make two of it.")
        return text


class TitleForm(forms.Form):
    title = forms.CharField(max_length=MAX_TITLE_CHARACTERS)


def editable(document: Source) -> Source:
    """Return a document as the editor shows it: the title and the options have fields of their own, and lines in front
    of the text that Portico does not know stay there, where their author can see them."""
    shown = source.write(Source("", document.text, author=document.author, others=document.others))
    return Source(document.title, shown, document.options)


def composed(text: str, *, title: str | None = None, **given: Any) -> Source:
    """Return the document that an editor's fields make. What the text's own first lines say wins: whoever writes or
    pastes them there means them. Raises source.TooLarge, source.NotText."""
    parsed = source.parse(text)
    unsaid = {name: value for name, value in given.items() if getattr(parsed.options, name) == getattr(Options(), name)}
    options = replace(parsed.options, **{name: value for name, value in unsaid.items() if value is not None})
    return Source(parsed.title or (title or "").strip(), parsed.text, options, parsed.author, parsed.others)
