"""What must hold for the HTML of every page, whatever is on it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.problems += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")


def problems(page: str) -> list[str]:
    """Return what is wrong with a page: tags that do not match, ids that are missing or twice there, fields without a
    label, and what the content security policy would refuse."""
    reader = _Reader()
    reader.feed(page)
    found = [*reader.problems, *(f"<{tag}> is not closed" for tag in reader.open)]
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    found += [f"id {name} is there twice" for name in set(ids) if ids.count(name) > 1]
    labelled = {attributes.get("for") for tag, attributes in reader.elements if tag == "label"}
    for tag, attributes in reader.elements:
        found += [f"<{tag} {name}>" for name in attributes if name == "style" or name.startswith("on")]
        if tag == "script" and not attributes.get("src") and attributes.get("type") != "application/json":
            found.append("an inline script")
        is_hidden = attributes.get("type") == "hidden" or "hidden" in attributes
        is_labelled = attributes.get("id") in labelled or attributes.get("aria-label")
        if tag in ("input", "select", "textarea") and not is_hidden and not is_labelled:
            found.append(f"{attributes.get('name')} has no label")
        for name in ("aria-describedby", "aria-labelledby"):
            found += [f"{name} names {one}" for one in (attributes.get(name) or "").split() if one not in ids]
    return found


def page_problems(page: str) -> list[str]:
    """Return the `problems` of a whole page, and what a page must have once."""
    found = problems(page)
    for needed in ('<html lang="', "<title>", '<meta name="viewport"', "<main", "<h1"):
        if page.count(needed) != 1:
            found.append(f"{needed} is there {page.count(needed)} times")
    return found
