"""A preview through the workshop, against the same Markdown extensions and nh3 called directly, in one process.

Both sides are warm and take turns on the same text. The workshop does more for it: a process that can be ended, only
pictures of one's own corner, ids and links that cannot be mistaken for the page's, headings, words, a limit to depth.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import nh3
from markdown import Markdown
from markdown.extensions.toc import slugify_unicode

from documents import workshop
from documents.markup import ATTRIBUTES, CLASSES, TAGS

PAIRS = 31
SIZES = (5_000, 50_000, 500_000)
NAMES = (
    "abbr admonition attr_list def_list footnotes sane_lists tables toc pymdownx.caret pymdownx.highlight pymdownx.mark"
)
NAMES += " pymdownx.superfences pymdownx.tasklist pymdownx.tilde"
OPTIONS = {
    "tables": {"use_align_attribute": True},
    "toc": {"slugify": slugify_unicode},
    "pymdownx.highlight": {"linenums_style": "inline"},
}
SECTION = """## Section {n}: what was measured

The **first** paragraph says what this is about, with *emphasis*, `code`, a [link](https://example.com/{n}) and a
footnote[^{n}]. It goes on for some lines, as paragraphs in reports do, and it ends with another sentence that says
nothing new. Numbers are 12.5 % and 3,400; names are O'Brien and Müller.

- one thing
- another thing, with **bold** text
    - and one below it
- [x] done
- [ ] not done

| quarter | amount | share |
|:--------|-------:|:-----:|
| first   | 1,200  | 12 %  |
| second  | 2,400  | 24 %  |

!!! note "Worth knowing"
    Something to keep in mind about section {n}.

```python
def total(values: list[int]) -> int:
    return sum(value for value in values if value > {n})
```

> Somebody said this, and ~~somebody else~~ repeated it.

![A picture of {n}](images/picture-{n}.png)

Another paragraph of plain text, without anything in it that would need to be understood, only words and words.
It has three lines, and they are as long as lines usually are in documents that people write for each other, by
hand, in an editor that wraps them somewhere.

[^{n}]: The footnote of section {n}.

"""


def document(size: int) -> str:
    """Return a report of about so many bytes, with something of everything."""
    sections = [SECTION.format(n=n) for n in range(1, size // len(SECTION) + 1)]
    return "# A report\n\n[TOC]\n\n" + "".join(sections)


def main() -> None:
    markdown = Markdown(extensions=NAMES.split(), extension_configs=OPTIONS, output_format="html")
    attributes = {tag: set(names) - {"class"} for tag, names in ATTRIBUTES.items()}

    def directly(text: str) -> None:
        nh3.clean(
            markdown.reset().convert(text),
            tags=set(TAGS),
            attributes=attributes,
            allowed_classes={tag: set(names) for tag, names in CLASSES.items()},
            url_schemes={"http", "https", "mailto", "tel"},
            url_relative=lambda address: address.replace("#", "#doc-", 1),
            id_prefix="doc-",
        )

    def through_the_workshop(text: str) -> None:
        workshop.html(text, seconds=60)

    workshop.html("warm")
    (worker,) = _children()
    print("Preview, against markdown + nh3 called directly (= 1), medians of pairs:")
    for size in SIZES:
        text = document(size)
        pairs = [(_cost(directly, text, worker), _cost(through_the_workshop, text, worker)) for _ in range(PAIRS)][1:]
        wall = [ours[0] / theirs[0] for theirs, ours in pairs]
        cpu = [ours[1] / theirs[1] for theirs, ours in pairs]
        print(f"  {size // 1000:>4} kB   wall {_spread(wall)}   CPU {_spread(cpu)}")
    status = Path(f"/proc/{worker}/status").read_text()
    for name, what in (("VmRSS", "memory"), ("VmHWM", "at most")):
        found = re.search(rf"{name}:\s+(\d+)", status)
        assert found
        print(f"  A worker's {what:<8} {int(found[1]) / 1024:.0f} MB")
    began = time.monotonic()
    try:
        workshop.html("[" * 50_000, seconds=0.5)
    except workshop.TookTooLong:
        print(f"  50 kB of [, given half a second    {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    workshop.html("next")
    print(f"  The next preview, by a new worker  {time.monotonic() - began:.2f} s")


def _cost(render: Callable[[str], None], text: str, worker: int) -> tuple[float, float]:
    """Return seconds, and seconds of CPU of this process and the worker."""

    def used() -> float:
        return time.process_time() + int(Path(f"/proc/{worker}/schedstat").read_text().split()[0]) / 1e9

    began, before = time.perf_counter(), used()
    render(text)
    return time.perf_counter() - began, used() - before


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _spread(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.3f} ({low:.3f}–{high:.3f})"


if __name__ == "__main__":
    main()
