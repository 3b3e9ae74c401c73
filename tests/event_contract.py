"""The schemas of events as the judge of every event that a test publishes or hears."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema

from openapi import events
from openapi.operation import Json
from tests.unit.functions import contract


def check(event: Json) -> None:
    """Raise where an event is not of its schema, or has fields of which the schema says nothing."""
    _validator(event["detail-type"], "AWSEvent").validate(event)


def check_detail(detail_type: str, detail: object) -> None:
    """The same of its detail alone, as it is given to the bus."""
    name = events.PUBLISHED[detail_type].__name__
    _validator(detail_type, name).validate(json.loads(json.dumps(detail)))


def fields(detail_type: str) -> set[str]:
    """The fields of a detail."""
    components = schema(detail_type)["components"]["schemas"]
    return set(components[events.PUBLISHED[detail_type].__name__]["properties"])


def schema(detail_type: str) -> Json:
    """The file of an event's schema."""
    document: Json = json.loads(events.file_of(detail_type).read_text("utf-8"))
    return document


@functools.cache
def _validator(detail_type: str, name: str) -> jsonschema.Draft4Validator:
    """OpenAPI 3.0 has the words of draft 4, and ``nullable``."""
    components = _with_null(schema(detail_type)["components"])
    contract.close(components)
    return jsonschema.Draft4Validator({"$ref": f"#/components/schemas/{name}", "components": components})


def _with_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_null(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _with_null(each) for name, each in value.items()}
    if found.get("nullable") is True and "type" in found:
        found["type"] = [found["type"], "null"]
    return found
