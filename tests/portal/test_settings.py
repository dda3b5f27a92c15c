"""What the settings make of the environment, each time in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def read(*names: str, **environment: str):
    code = f"import json, portal.settings as s; print(json.dumps([getattr(s, name) for name in {names!r}]))"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    ("tiles", "sources"),
    [
        ("", ["'self'", "data:"]),
        ("https://tiles.example/{z}/{x}/{y}.png", ["'self'", "data:", "https://tiles.example"]),
        ("https://{s}.tiles.example/{z}/{x}/{y}.png", ["'self'", "data:", "https://*.tiles.example"]),
    ],
)
def test_pictures_come_from_here_and_from_the_tile_server_that_is_named(tiles, sources):
    [policy] = read("CONTENT_SECURITY_POLICY", PORTICO_MAP_TILES_URL=tiles)
    assert policy["DIRECTIVES"]["img-src"] == sources
    assert policy["DIRECTIVES"]["script-src"] == policy["DIRECTIVES"]["style-src"] == ["'self'"]


def test_a_deployed_portal_speaks_https_only():
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_NAME", "DEBUG")
    assert read(*names, PORTICO_LOCAL_CLOUD="") == [True, True, True, "__Host-portico-session", False]
    [hsts, apps] = read("SECURE_HSTS_SECONDS", "INSTALLED_APPS", PORTICO_LOCAL_CLOUD="")
    assert hsts == 31_536_000
    assert "portal.localcloud" not in apps
