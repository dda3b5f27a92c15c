"""Delete expired DynamoDB items every few seconds, with stream records, as the service itself.

MiniStack's own reaper wakes once a minute, writes no stream record, and changes tables from another thread
than the one that answers requests. AWS deletes within a few days and marks the stream record with a service
identity.
Reference: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

log = logging.getLogger("portal.localcloud")

# AWS leaves alone what expired more than five years ago: such a number is rather not a time.
OLDEST_SECONDS = 5 * 365 * 24 * 3600
REAPER_THREAD = "dynamodb-ttl-reaper"
# A Lambda event spells the keys in lower case, the streams API does not; MiniStack gives both the same
# record.
SERVICE_IDENTITY = {
    "type": "Service",
    "principalId": "dynamodb.amazonaws.com",
    "Type": "Service",
    "PrincipalId": "dynamodb.amazonaws.com",
}


def install(sweep_seconds: float, *, on_delete: Callable[[], None]) -> None:
    """Replace MiniStack's reaper by a sweep on the event loop, which calls on_delete when it deleted."""
    dynamodb = module_with(
        "ministack.services.dynamodb",
        "_ttl_settings.all_items",
        "_tables.get_scoped",
        "_remove_item",
        "_emit_stream_event",
        "_ttl_reaper",
        "request_scope",
        "_stream_records",
    )
    app = module_with("ministack.app", "_handle_lifespan")

    # Touchpoint: the reaper's thread runs since import and reads this function's name at each wake.
    remove_item = dynamodb._remove_item

    def remove_unless_reaper(table: Any, partition: Any, sort: Any) -> Any:
        if threading.current_thread().name == REAPER_THREAD:
            raise ValueError("expired items are deleted by the sweep")
        return remove_item(table, partition, sort)

    dynamodb._remove_item = remove_unless_reaper

    # Touchpoint: the lifespan handler, to start the sweep on the server's own event loop.
    handle_lifespan = app._handle_lifespan

    async def handle_lifespan_and_sweep(scope: Any, receive: Any, send: Any) -> None:
        sweeping = asyncio.create_task(_sweep_regularly(dynamodb, sweep_seconds, on_delete))
        try:
            await handle_lifespan(scope, receive, send)
        finally:
            sweeping.cancel()

    app._handle_lifespan = handle_lifespan_and_sweep


async def _sweep_regularly(dynamodb: Any, sweep_seconds: float, on_delete: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(sweep_seconds)
        try:
            if sweep(dynamodb, now=time.time()):
                on_delete()
        except Exception:  # a table that changes meanwhile must not end the sweeping
            log.exception("expired items were not deleted")


def sweep(dynamodb: Any, *, now: float) -> int:
    """Delete the items of every table with TTL that expired before now, in epoch seconds. Return how many."""
    deleted = 0
    for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
        table = dynamodb._tables.get_scoped(account, region, name)
        if setting.get("TimeToLiveStatus") != "ENABLED" or not table:
            continue
        attribute = setting["AttributeName"]
        expired = [
            (partition, sort)
            for partition, items in table["items"].items()
            for sort, item in items.items()
            if _has_expired(item.get(attribute), now)
        ]
        with dynamodb.request_scope(account, region):
            for partition, sort in expired:
                old_item = dynamodb._remove_item(table, partition, sort)
                dynamodb._emit_stream_event(name, "REMOVE", old_item, None)
                if (table.get("StreamSpecification") or {}).get("StreamEnabled"):
                    dynamodb._stream_records[name][-1]["userIdentity"] = SERVICE_IDENTITY
        deleted += len(expired)
    return deleted


def _has_expired(value: Any, now: float) -> bool:
    """Return whether an attribute value is a Number of seconds in the past. Other types never expire."""
    if not isinstance(value, dict) or "N" not in value:
        return False
    return now - OLDEST_SECONDS < float(value["N"]) < now
