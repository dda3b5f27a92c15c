"""What CloudTrail said about instances that lack the tag even so, so that no run asks the same again.

That it knows nothing of a launch, or who it was but the rules refuse the name. They are a page of findings of no run;
one page for each region.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

from policies import findings
from policies.creators import Creator

# As many as fit into an item; of more than that some are asked for each time.
MOST = 10_000


def of(region: str) -> dict[str, Creator]:
    """Return who launched an instance, by its id; without a name where it is not known."""
    stored = findings.get(_key(region), 0)
    return {one: Creator(*said) for one, said in json.loads(zlib.decompress(stored)).items()} if stored else {}


def remember(region: str, said: Mapping[str, Creator]) -> None:
    """Remember these, and forget all others."""
    most = dict(list(said.items())[:MOST])
    findings.put(_key(region), 0, zlib.compress(json.dumps(most).encode()), expires_at=None)


def _key(region: str) -> str:
    return f"launched by nobody known/{region}"
