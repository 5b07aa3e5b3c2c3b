"""JSON schemas of what travels over the API: the models', with what only the service knows."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from reference_impl.models import HybridWeights, in_any_case

_EMBEDDINGS: Final = {"embedding", "query_embedding"}
_NO_NUL: Final = {"type": "string", "pattern": "^[^\\u0000]*$"}
_SELF: Final = {"$ref": "#/components/schemas/Json"}
_JSON: Final = {
    "description": "Anything that JSON has, without the character U+0000",
    "anyOf": [
        {"type": ["null", "boolean", "number"]},
        _NO_NUL,
        {"type": "array", "items": _SELF},
        {"type": "object", "propertyNames": _NO_NUL, "additionalProperties": _SELF},
    ],
}


def _asks_for(search_type: str) -> dict[str, Any]:
    return {"required": ["search_type"], "properties": {"search_type": {"pattern": in_any_case(search_type)}}}


_TEXT: Final = {"required": ["query_text"], "properties": {"query_text": {"type": "string"}}}
_VECTOR: Final = {"required": ["query_embedding"], "properties": {"query_embedding": {"type": "array"}}}
_TAGS_BESIDE_TAGS: Final = {
    "if": {"required": ["tags"], "properties": {"tags": {"type": "array", "minItems": 1}}},
    "then": {"properties": {"metadata_filters": {"properties": {"tags": {"type": "array"}}}}},
}
_CURSOR_OR_OFFSET: Final = {
    "if": {"required": ["cursor"], "properties": {"cursor": {"type": "string"}}},
    "then": {"properties": {"offset": {"const": 0}}},
}
# By model, what its fields demand of each other.
_RULES: Final = {
    "HybridWeights": {
        "anyOf": [
            {"required": [name], "properties": {name: {"exclusiveMinimum": 0}}}
            for name in HybridWeights.__struct_fields__
        ]
    },
    "SearchRequest": {
        "anyOf": [_TEXT, _VECTOR, _asks_for("Temporal")],
        "allOf": [{"if": _asks_for("FullText"), "then": _TEXT}, _TAGS_BESIDE_TAGS, _CURSOR_OR_OFFSET],
    },
    "SemanticRequest": {"anyOf": [_TEXT, _VECTOR], "allOf": [_TAGS_BESIDE_TAGS, _CURSOR_OR_OFFSET]},
}


def schemas(requests: set[type], answers: set[type], dimension: int) -> dict[str, Any]:
    """The schemas by name, with those that they refer to.

    Args:
        requests: models of bodies.
        answers: models of answers.
        dimension: of the service's embeddings.
    """
    found = _of(answers)
    for schema in _objects(found):
        # What is stored as JSON text is an object to the caller.
        for name, field in schema.get("properties", {}).items():
            if name == "metadata" and not field:
                field["type"] = "object"
    asked = _of(requests)
    for name, rule in _RULES.items():
        asked[name] |= rule
    for schema in _objects(asked):
        for name in _EMBEDDINGS & schema.get("properties", {}).keys():
            kinds = schema["properties"][name]["anyOf"]
            next(kind for kind in kinds if kind["type"] == "array").update(_embedding(dimension))
    return {"Json": _JSON, **found, **asked}


def _of(models: set[type]) -> dict[str, Any]:
    ordered = sorted(models, key=lambda model: model.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return components


def _objects(components: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (schema for schema in components.values() if schema.get("type") == "object")


def _embedding(dimension: int) -> dict[str, Any]:
    return {
        "description": f"{dimension} numbers, not all of them 0; its length means nothing",
        "items": {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
        "minItems": dimension,
        "maxItems": dimension,
        "contains": {"not": {"const": 0}},
    }
