"""DynamoDB tables in memory, for one caller at a time: they answer at once and weigh no condition."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

Item = dict[str, Any]

# Of tables that get whole items; GetItem and UpdateItem name the key themselves.
KEYS = {"tag_policies": ("RuleId",), "policy_runs": ("RunId",), "policy_findings": ("RunId", "Page")}
_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_OUTSIDE_BRACKETS = re.compile(r",\s*(?![^()]*\))")


class Tables:
    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Item]] = defaultdict(dict)

    def put(self, table: str, item: Item) -> None:
        self._tables[table][_key(item, KEYS.get(table, tuple(item)[:1]))] = item

    def answer(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one call. Raises NotImplementedError for what these tables do not know."""
        if action == "TransactWriteItems":
            for write in request["TransactItems"]:
                ((kind, parameters),) = write.items()
                if kind != "ConditionCheck":
                    self.answer(f"{kind}Item", parameters)
            return {}
        if action == "BatchWriteItem":
            for name, writes in request["RequestItems"].items():
                for write in writes:
                    self.put(name, write["PutRequest"]["Item"])
            return {"UnprocessedItems": {}}
        name = request["TableName"]
        items = self._tables[name]
        if action == "PutItem":
            self.put(name, request["Item"])
            return {}
        if action == "GetItem":
            found = items.get(_key(request["Key"], tuple(request["Key"])))
            return {"Item": found} if found else {}
        if action == "DeleteItem":
            items.pop(_key(request["Key"], tuple(request["Key"])), None)
            return {}
        if action == "UpdateItem":
            item = items.setdefault(_key(request["Key"], tuple(request["Key"])), dict(request["Key"]))
            _update(item, request)
            return {"Attributes": item} if request.get("ReturnValues", "NONE") != "NONE" else {}
        if action in ("Scan", "Query"):
            wanted = list(request.get("ExpressionAttributeValues", {}).values())[:1] if action == "Query" else []
            found_items = [item for item in items.values() if all(value in item.values() for value in wanted)]
            return {"Items": found_items, "Count": len(found_items), "ScannedCount": len(found_items)}
        raise NotImplementedError(action)


def _key(item: Item, names: tuple[str, ...]) -> str:
    return repr(sorted((name, item[name]) for name in names))


def _update(item: Item, request: dict[str, Any]) -> None:
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})

    def place(path: str) -> tuple[Item, str]:
        """Return the map that holds what the path names, and its name in there."""
        *outer, last = [names.get(part, part) for part in path.strip().split(".")]
        inside = item
        for part in outer:
            inside = inside.setdefault(part, {"M": {}})["M"]
        return inside, last

    def value(text: str) -> Any:
        text = text.strip()
        if found := re.fullmatch(r"if_not_exists\s*\(([^,]+),(.+)\)", text):
            inside, name = place(found[1])
            return inside[name] if name in inside else value(found[2])
        if found := re.fullmatch(r"(.+?)\s+([+-])\s+(.+)", text):
            left, right = int(value(found[1])["N"]), int(value(found[3])["N"])
            return {"N": str(left + right if found[2] == "+" else left - right)}
        if text in values:
            return values[text]
        inside, name = place(text)
        return inside[name]

    _, *clauses = _CLAUSE.split(request["UpdateExpression"])
    for verb, text in zip(clauses[::2], clauses[1::2], strict=True):
        for part in _OUTSIDE_BRACKETS.split(text.strip()):
            if verb == "SET":
                path, _, new = part.partition("=")
                inside, name = place(path)
                inside[name] = value(new)
            elif verb == "REMOVE":
                inside, name = place(part)
                inside.pop(name, None)
            elif verb == "ADD":
                path, placeholder = part.split()
                inside, name = place(path)
                inside[name] = {"N": str(int(inside.get(name, {"N": "0"})["N"]) + int(values[placeholder]["N"]))}
            else:
                raise NotImplementedError(verb)
