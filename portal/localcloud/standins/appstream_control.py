"""What tests and people ask of the stand-in itself, at /_portico/streaming."""

import json
from typing import Any

from portal.localcloud.standins.appstream_records import Records
from portal.localcloud.standins.appstream_sessions import EXPIRED

PACES = ("fleet_start_seconds", "session_start_seconds")
ELAPSE = "elapse_seconds"
# Ten years: later ones are no times any more.
LONGEST = 10 * 365 * 86400.0


class ControlMalformed(ValueError):
    """What was posted is no object of seconds."""


def shown(records: Records) -> dict[str, Any]:
    """Return the paces, how much time has passed beside the real one, and how much there is."""
    with records.lock:
        now, regions = records.now(), records.regions()
        return {
            **{name: getattr(records, name) for name in PACES},
            "elapsed_seconds": records.elapsed_seconds,
            "fleets": {one.name: one.state(now) for region in regions for one in region.fleets.values()},
            "sessions": sum(one.state(now) != EXPIRED for region in regions for one in region.sessions.values()),
            "unused_urls": sum(
                not one.is_used and now < one.expires_at for region in regions for one in region.urls.values()
            ),
        }


def changed(records: Records, body: bytes) -> dict[str, Any]:
    """Set the paces and let time pass, as a JSON object says; return what is then. Raises ControlMalformed."""
    try:
        content = json.loads(body)
        seconds = {name: float(value) for name, value in content.items()}
    except (AttributeError, TypeError, ValueError) as wrong:
        raise ControlMalformed(f"an object of seconds is wanted: {wrong}") from wrong
    unknown = set(seconds) - {*PACES, ELAPSE}
    if unknown:
        raise ControlMalformed(f"unknown fields: {', '.join(sorted(unknown))}")
    # Not a number is in no range either.
    if not all(0 <= value <= LONGEST for value in seconds.values()):
        raise ControlMalformed(f"seconds are between 0 and {LONGEST:g}")
    with records.lock:
        records.elapsed_seconds += seconds.pop(ELAPSE, 0.0)
        for name, value in seconds.items():
            setattr(records, name, value)
    records.on_change()
    return shown(records)
