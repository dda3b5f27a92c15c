"""Static files as they are deployed: each exists under its hashed name, and so does what it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("portal/", "rides/", "documents/", "approvals/", "streaming/")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Run collectstatic as a deployment does, and return the folder."""
    folder = tmp_path_factory.mktemp("static")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PORTICO_LOCAL_CLOUD"},
        "PORTICO_STATIC_ROOT": str(folder),
    }
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"],
        cwd=ROOT, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_scripts_and_styles_import_hashed_names_that_exist(collected):
    names = json.loads((collected / "staticfiles.json").read_text())["paths"]
    ours = [name for name in names if name.startswith(OURS) and name.endswith((".js", ".css"))]
    imported = []
    for name in ours:
        hashed = collected / names[name]
        for reference in re.findall(r"""(?:from\s+|url\(|@import\s+)["']([^"'#]+)["']""", hashed.read_text()):
            if not reference.startswith(("data:", "http")):
                assert (hashed.parent / reference).exists(), f"{name} imports {reference}"
                imported.append(reference)
    assert any(re.search(r"map\.[0-9a-f]{12}\.js$", reference) for reference in imported)
    assert any(re.search(r"base\.[0-9a-f]{12}\.css$", reference) for reference in imported)


def test_every_file_that_a_template_names_is_collected(collected):
    names = json.loads((collected / "staticfiles.json").read_text())["paths"]
    named = {
        name
        for folder in ("portal", "rides", "documents")
        for template in (ROOT / folder).rglob("*.html")
        for name in re.findall(r"""\{% static ["']([^"']+)["'] %\}""", template.read_text())
    }
    assert named
    assert named <= set(names)


def test_what_is_collected_stays_small(collected):
    names = json.loads((collected / "staticfiles.json").read_text())["paths"]
    sent = {
        name: (collected / f"{hashed}.gz") for name, hashed in names.items() if name.startswith(("portal/", "rides/"))
    }
    assert sum(path.stat().st_size for path in sent.values() if path.exists()) < 60_000
