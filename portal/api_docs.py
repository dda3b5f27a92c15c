"""The JSON API's documentation as a page like the others: its OpenAPI document, read for people, without a script."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase

Schema = Mapping[str, Any]


class Page(DocsBase):
    """The page at docs_url."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        document = api.get_openapi_schema()
        context = {
            "document": document,
            "operations": operations(document),
            "openapi_url": self.get_openapi_url(api, kwargs),
        }
        return render(request, "api_docs.html", context)


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str  # "path", "query" or "header"
    required: bool
    description: str


@dataclass(frozen=True)
class Answer:
    status: str
    description: str
    example: str


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Parameter]
    body: str
    answers: list[Answer]
    errors: list[tuple[str, str]] = field(default_factory=list)  # status and words, of those that all look the same

    @property
    def anchor(self) -> str:
        return f"{self.method}{self.path}".lower().replace("/", "-").replace("{", "").replace("}", "")


def operations(document: Schema) -> list[Operation]:
    """Return the operations of an OpenAPI document in its order."""
    return [
        _operation(document, method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def _operation(document: Schema, method: str, path: str, described: Schema) -> Operation:
    answers, errors = [], []
    for status, answer in sorted((str(status), answer) for status, answer in described["responses"].items()):
        schema = _json_schema(answer)
        if schema.get("$ref", "").endswith("/Failure"):
            errors.append((status, answer["description"]))
        else:
            answers.append(Answer(status, answer["description"], _written(document, schema)))
    return Operation(
        method=method,
        path=path,
        summary=described.get("summary", ""),
        # The lines of a docstring end where the editor did, its paragraphs where the writer did.
        description=re.sub(r"(?<!\n)\n(?!\n)", " ", described.get("description", "")),
        parameters=[
            Parameter(one["name"], one["in"], one.get("required", False), one.get("description", ""))
            for one in described.get("parameters", ())
        ],
        body=_written(document, _json_schema(described.get("requestBody", {}))),
        answers=answers,
        errors=errors,
    )


def _json_schema(content: Schema) -> Schema:
    schema: Schema = content.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _written(document: Schema, schema: Schema) -> str:
    return json.dumps(_example(document, schema), indent=2, ensure_ascii=False) if schema else ""


def _example(document: Schema, schema: Schema) -> Any:
    """Make an example of what a schema describes: its own, where it has one."""
    if "$ref" in schema:
        return _example(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if examples := schema.get("examples"):
        return examples[0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(document, schema[choice][0])
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            return {name: _example(document, one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [_example(document, schema.get("items", {}))]
        case "string":
            return "2026-11-21T07:20:19.123Z" if schema.get("format") == "date-time" else "…"
        case "integer" | "number":
            return 0
        case "boolean":
            return True
    return None
