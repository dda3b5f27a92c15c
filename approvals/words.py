"""How the pages say a time that has passed or is to come, and how many there are of something."""

from __future__ import annotations

from datetime import datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 60 * 60, 24 * 60 * 60


def how_long(duration: timedelta) -> str:
    """Say a duration as a person would: "40 minutes", "3 hours 20 minutes", "1 day 20 hours", "12 days"."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < _MINUTE:
        return "less than a minute"
    # Rounded to the smallest unit that is said.
    unit = _MINUTE if seconds < _DAY - _MINUTE / 2 else _HOUR if seconds < 7 * _DAY - _HOUR / 2 else _DAY
    seconds = round(seconds / unit) * unit
    days, hours, minutes = seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // _MINUTE
    parts = [(days, "day"), (hours, "hour")] if days else [(hours, "hour"), (minutes, "minute")]
    return " ".join(counted(count, unit) for count, unit in parts if count)


def ago(moment: datetime, now: datetime) -> str:
    """Say when something was: "just now", "3 minutes ago", "2 days ago"."""
    since = now - moment
    return "just now" if since.total_seconds() < _MINUTE else f"{roughly(since)} ago"


def roughly(duration: timedelta) -> str:
    """Say a duration in its largest unit: "3 minutes", "2 days"."""
    seconds = int(duration.total_seconds())
    units = ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))
    return next((counted(seconds // size, unit) for size, unit in units if seconds >= size), "less than a minute")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Say how many there are: "1 request", "3 requests"."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def listed(names: list[str], most: int = 3) -> str:
    """Say some names: "Ada and Grace", "Ada, Grace, Mary and 2 others"."""
    shown, others = names[:most], len(names) - most
    if others > 0:
        return f"{', '.join(shown)} and {counted(others, 'other')}"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
