"""Encode DynamoDB's state for a snapshot at the cost of what changed, not of what there is.

MiniStack copies every item before it encodes it: at 100,000 items that stops the cloud for three seconds.
Here the text of each item collection (the items of one partition key) is kept and encoded again only after a
write to it.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal.localcloud.standins.touchpoints import TouchpointMissing, module_with

# What MiniStack saves beside the tables; each is the module's attribute of that name with a leading
# underscore.
OTHER_STORES = (
    "tags",
    "ttl_settings",
    "pitr_settings",
    "kinesis_destinations",
    "contributor_insights",
    "backups",
    "resource_policies",
    "exports",
    "imports",
)


@dataclass
class EncodedItems:
    """The text of a table's item collections, by partition key, and the keys written since it was made."""

    items: dict[str, Any]
    collections: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def encode(self, dumps: Callable[[object], str]) -> str:
        """Return the items as a JSON object."""
        for key in self.written:
            if key in self.items:
                self.collections[key] = f"{json.dumps(key)}: {dumps(self.items[key])}"
            else:
                self.collections.pop(key, None)
        self.written.clear()
        return "{" + ", ".join(self.collections.values()) + "}"


class TableSnapshots:
    """Knows which item collections were written, from the two functions through which MiniStack writes."""

    def __init__(self) -> None:
        module = "ministack.services.dynamodb"
        self._dynamodb = module_with(
            module, "get_state", "_set_item", "_remove_item", "_tables.all_items", "_INDEX_MEMBERS"
        )
        self._responses = module_with("ministack.core.responses", "AccountRegionScopedDict.set_scoped")
        self._default = module_with("ministack.core.persistence", "_json_default")._json_default
        if set(self._dynamodb.get_state()) != {"tables", *OTHER_STORES}:
            raise TouchpointMissing(module, "get_state() with the stores known here")
        # By the identity of the table's items, which the entry keeps alive; a table swapped wholesale has new
        # ones.
        self._encoded: dict[int, EncodedItems] = {}
        # Touchpoints: every write of an item goes through these, looked up in the module at each call.
        set_item, remove_item = self._dynamodb._set_item, self._dynamodb._remove_item

        def set_and_note(table: Any, partition: Any, sort: Any, item: Any) -> Any:
            self._note(table, partition)
            return set_item(table, partition, sort, item)

        def remove_and_note(table: Any, partition: Any, sort: Any) -> Any:
            self._note(table, partition)
            return remove_item(table, partition, sort)

        self._dynamodb._set_item, self._dynamodb._remove_item = set_and_note, remove_and_note

    def _note(self, table: Any, partition: Any) -> None:
        encoded = self._encoded.get(id(table["items"]))
        if encoded is not None:
            encoded.written.add(partition)

    def encode(self, format_version: int) -> bytes:
        """Return the service's state in MiniStack's own file format."""
        tables = self._responses.AccountRegionScopedDict()
        texts: dict[str, str] = {}
        current: dict[int, EncodedItems] = {}
        for scope, table in self._dynamodb._tables.all_items():
            items = table["items"]
            encoded = self._encoded.get(id(items)) or EncodedItems(items, written=set(items))
            current[id(items)] = encoded
            place = uuid.uuid4().hex
            texts[place] = encoded.encode(self._dumps)
            without = {key: value for key, value in table.items() if key != self._dynamodb._INDEX_MEMBERS}
            tables.set_scoped(*scope, {**without, "items": place})
        self._encoded = current
        others = {name: getattr(self._dynamodb, f"_{name}") for name in OTHER_STORES}
        document = self._dumps({"__ministack_format__": format_version, "payload": {"tables": tables, **others}})
        parts = []
        for place, text in texts.items():
            before, _, document = document.partition(f'"{place}"')
            parts += [before, text]
        return "".join([*parts, document]).encode()

    def _dumps(self, content: object) -> str:
        return json.dumps(content, default=self._default)
