"""The instances of which CloudTrail did not know who launched them, so that no run asks for them again and again.

They are a page of findings of no run; one page for each region.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

from policies import findings

# As many as fit into an item; whoever has more of them asks for the rest each time.
MOST = 20_000


def of(region: str) -> dict[str, str]:
    """Return when CloudTrail was asked in vain, e.g. "27 November 2026", by instance id."""
    stored = findings.get(_key(region), 0)
    known: dict[str, str] = json.loads(zlib.decompress(stored)) if stored else {}
    return known


def remember(region: str, asked_on: Mapping[str, str]) -> None:
    """Remember these, and forget all others."""
    most = dict(list(asked_on.items())[:MOST])
    findings.put(_key(region), 0, zlib.compress(json.dumps(most).encode()), expires_at=None)


def _key(region: str) -> str:
    return f"launched by nobody known/{region}"
