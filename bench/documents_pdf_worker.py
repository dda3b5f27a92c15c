"""One side of the comparison in a process of its own: `python -m bench.documents_pdf_worker portico|weasyprint FOLDER`.

It prints what the folder holds: `text.html` and its headings and pictures, or the whole of `page.html`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def portico(folder: Path) -> bytes:
    from documents import printing
    from documents.rendered import Heading
    from documents.source import Options

    about = json.loads((folder / "about.json").read_text())
    images = {path: (folder / path).read_bytes() for path in about["Images"]}
    headings = [Heading(*one) for one in about["Headings"]]
    html = (folder / "text.html").read_text()
    told: list[int] = []
    return printing.pdf(
        html, title=about["Title"], headings=headings, images=images, options=Options(), on_page=told.append
    ).data


def weasyprint(folder: Path) -> bytes:
    from weasyprint import HTML

    pdf: bytes = HTML(folder / "page.html").write_pdf(presentational_hints=True)
    return pdf


if __name__ == "__main__":
    data = {"portico": portico, "weasyprint": weasyprint}[sys.argv[1]](Path(sys.argv[2]))
    (Path(sys.argv[2]) / f"{sys.argv[1]}.pdf").write_bytes(data)
