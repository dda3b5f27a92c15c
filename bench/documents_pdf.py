"""PDFs of about 1, 10 and 100 pages, against WeasyPrint given the same HTML and CSS, and against Chromium.

Each takes place in a process of its own, from its start to its end, and all sides take turns. WeasyPrint and Chromium
get the whole page as a file, with fonts and pictures beside it, and nothing left out that Portico leaves out.
"""

from __future__ import annotations

import dataclasses
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from pypdf import PdfReader

from bench.documents_preview import document
from bench.request import ROOT, environment
from documents import fonts, markup, printing
from documents.source import Options
from tests.browser.chromium import ARGUMENTS, CHROMIUM

# Bytes of Markdown, and how often.
SIZES = {1_900: 9, 14_500: 7, 150_000: 3}
PORTICO, WEASYPRINT, BROWSER = "Portico", "WeasyPrint", "Chromium"
_THIS_PYTHON = (sys.executable, "-m")


@dataclasses.dataclass
class Measured:
    """What one side took, run by run."""

    cpu: list[float] = dataclasses.field(default_factory=list)  # seconds
    peak: list[float] = dataclasses.field(default_factory=list)  # MB
    pages: int = 0
    bytes: int = 0


def main() -> None:
    print("PDF, in a process of its own; CPU against WeasyPrint with the same HTML (= 1), medians of pairs:")
    print(f"  {'':<12}{'pages':>7}{'CPU':>22}{'peak MB':>10}{'kB':>9}")
    results = {size: _measure(size, times) for size, times in SIZES.items()}
    for sides in results.values():
        for name, side in sides.items():
            ratios = [one / other for one, other in zip(side.cpu, sides[WEASYPRINT].cpu, strict=True)]
            cpu = (
                "1" if name == WEASYPRINT else f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            )
            print(f"  {name:<12}{side.pages:>7}{cpu:>22}{statistics.median(side.peak):>10.0f}{side.bytes / 1000:>9.0f}")
    for name in (PORTICO, WEASYPRINT, BROWSER):
        small, middle, large = (sides[name] for sides in results.values())
        print(
            f"  {name:<12} a page more takes {_more(small, middle) * 1000:.0f} ms of CPU up to {middle.pages} pages and"
            f" {_more(middle, large) * 1000:.0f} from there to {large.pages}; {_more(small, large, 'peak'):.2f} MB"
        )


def _more(small: Measured, large: Measured, what: str = "cpu") -> float:
    """Return what each further page takes."""
    least, most = (statistics.median(getattr(side, what)) for side in (small, large))
    return float((most - least) / (large.pages - small.pages))


def _measure(size: int, times: int) -> dict[str, Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, size)
        results = {side: Measured() for side in (PORTICO, WEASYPRINT, BROWSER)}
        for _ in range(times):
            for side, command in _commands(folder):
                meter = (*_THIS_PYTHON, "bench.documents_pdf_meter", *command)
                done = subprocess.run(meter, cwd=ROOT, env=environment(1), capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{side} failed:\n{done.stderr}")
                took = json.loads(done.stdout)
                results[side].cpu.append(took["Cpu"])
                results[side].peak.append(took["Peak"])
        for side, result in results.items():
            data = (folder / f"{side.lower()}.pdf").read_bytes()
            result.pages, result.bytes = len(PdfReader(io.BytesIO(data)).pages), len(data)
    return results


def _commands(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield PORTICO, (*_THIS_PYTHON, "bench.documents_pdf_worker", "portico", str(folder))
    yield WEASYPRINT, (*_THIS_PYTHON, "bench.documents_pdf_worker", "weasyprint", str(folder))
    assert CHROMIUM, "Chromium is the peer: sh infrastructure/system.sh chromium"
    where = (f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'chromium.pdf'}")
    yield BROWSER, (CHROMIUM, "--headless", *ARGUMENTS, *where, "--no-pdf-header-footer", str(folder / "page.html"))


def _write(folder: Path, size: int) -> None:
    """Write what the sides print: a report of about so many bytes of Markdown, with one picture."""
    text = document(size).replace("[TOC]", "")
    first, *others = text.split("![A picture of ")
    others = [part.partition("\n")[2] for part in others[1:]]
    text = "".join((first, "![A picture](images/picture.png){width=50%}\n", *others))
    rendered = markup.render(text)
    (folder / "images").mkdir()
    gradient = Image.linear_gradient("L").resize((1200, 800))
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient)).save(folder / "images/picture.png")
    about = {
        "Title": "A report",
        "Images": rendered.images,
        "Headings": [dataclasses.astuple(one) for one in rendered.headings],
    }
    (folder / "about.json").write_text(json.dumps(about))
    (folder / "text.html").write_text(rendered.html)
    title, end, rest = rendered.html.partition("</h1>")
    page = printing.page(
        f"{title}{end}TEXT",
        title="A report",
        author="",
        options=Options(),
        headings=rendered.headings,
        language="en",
    ).replace("TEXT", rest)
    for name, path in fonts.FILES.items():
        page = page.replace(f"url(theme:{name})", f"url({path.as_uri()})")
    (folder / "page.html").write_text(page.replace('src="corner:', 'src="'))


if __name__ == "__main__":
    main()
