"""What the queues call: see zappa_settings.json. Each function may come twice for the same message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from documents import index as documents_index
from documents import progress

# What the template gives the queue as maxReceiveCount.
RENDER_TRIES = 3
# What is left of the function's time for saying so.
_SPARE_SECONDS = 20


def index(event: Mapping[str, Any], context: Any) -> None:
    """Write down in the Documents table what S3 tells of the people's corners."""
    for record in event["Records"]:
        for place, sequencer in documents_index.told(json.loads(record["body"])):
            documents_index.record(place, sequencer=sequencer, now=timezone.now())


def render(event: Mapping[str, Any], context: Any) -> None:
    """Make the PDFs that take too long for a request."""
    for record in event["Records"]:
        asked = json.loads(record["body"])
        progress.work(
            asked["IdentityId"],
            asked["DocumentId"],
            asked["RenderId"],
            is_last_try=int(record["attributes"]["ApproximateReceiveCount"]) >= RENDER_TRIES,
            seconds=context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS,
        )
