"""What the schedule calls: see zappa_settings.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from portal.streaming import overdue

# What is left of the function's time for what it is in the middle of.
_SPARE_SECONDS = 30


def end_overdue(event: Mapping[str, Any], context: Any) -> None:
    """End the sessions that have lasted as long as they may."""
    overdue.end_all(now=timezone.now(), seconds=context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
