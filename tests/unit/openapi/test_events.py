"""The schemas of events: up to date, sound for EventBridge's registry, and each field described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_30

from openapi import events
from openapi.openapi_30 import openapi_30
from openapi.operation import Json
from tests import event_contract
from tests.fakes import load_event

DETAIL_TYPES = [*events.PUBLISHED, events.REQUESTED]
BODIES = sorted((Path(__file__).parents[2] / "bodies").glob("*.json"))


@pytest.mark.parametrize("path", events.FILES, ids=lambda path: path.stem)
def test_file_is_up_to_date(path: Path) -> None:
    """``make openapi`` writes it."""
    assert path.read_text("utf-8") == events.FILES[path]()


def test_no_other_files() -> None:
    assert set(events.FOLDER.iterdir()) == set(events.FILES)


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_registry_takes_the_schema(detail_type: str) -> None:
    """An OpenAPI 3.0 document that is short enough."""
    text = events.file_of(detail_type).read_text("utf-8")
    jsonschema.Draft4Validator(OPENAPI_30).validate(json.loads(text))
    registry = botocore.session.get_session().get_service_model("schemas")
    request: Any = registry.operation_model("CreateSchema").input_shape
    assert "OpenApi3" in request.members["Type"].enum
    assert len(text) <= request.members["Content"].metadata["max"]


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_schema_names_its_event(detail_type: str) -> None:
    """By the names with which the console makes a pattern of it."""
    event = event_contract.schema(detail_type)["components"]["schemas"]["AWSEvent"]
    assert event["x-amazon-events-detail-type"] == detail_type
    assert event["properties"]["detail-type"]["enum"] == [detail_type]
    source = None if detail_type == events.REQUESTED else "wechat-notify"
    assert event.get("x-amazon-events-source") == source
    assert event["properties"]["source"].get("enum") == ([source] if source else None)


def undescribed(schema: Any, components: Json, path: str = "") -> Iterator[str]:
    """The fields of a schema of which neither it nor a schema that it refers to says anything."""
    if isinstance(schema, list):
        for each in schema:
            yield from undescribed(each, components, path)
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        target = components.get(field.get("$ref", "").rpartition("/")[2], {})
        if not (field.get("description") or target.get("description") or "not" in field):
            yield f"{path}.{name}"
    for name, each in schema.items():
        yield from undescribed(each, components, f"{path}.{name}")


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_every_field_is_described(detail_type: str) -> None:
    components = event_contract.schema(detail_type)["components"]["schemas"]
    assert list(undescribed(components, components)) == []


@pytest.mark.parametrize("detail_type", events.PUBLISHED)
def test_times_have_units(detail_type: str) -> None:
    components = event_contract.schema(detail_type)["components"]["schemas"]
    detail = components[events.PUBLISHED[detail_type].__name__]["properties"]
    times = [field for field in detail.values() if field.get("format") == "date-time"]
    assert all("RFC 3339, UTC, milliseconds" in field["description"] for field in times)
    assert bool(times) == (detail_type != "token.failed")


@pytest.mark.parametrize("name", ["send_queue/event_bus", "send_queue/event_bus_with_id"])
def test_example_requests_are_valid(name: str) -> None:
    (record,) = load_event(name)["Records"]
    event_contract.check(json.loads(record["body"]))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.stem)
@pytest.mark.parametrize("more", [{}, {"id": "order-1", "expires_at": None, "delivery": "at_least_once"}])
def test_every_kind_of_request_validates(body: Path, more: Json) -> None:
    event = json.loads(load_event("send_queue/event_bus")["Records"][0]["body"])
    message = json.loads(body.read_text("utf-8"))
    event_contract.check({**event, "detail": {"account": "shop", "message": message, **more}})


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"account": "Shop", "message": {}},
        {"account": "shop", "message": {"kind": "letter"}},
        {"account": "shop", "message": {"kind": "template", "touser": "o1"}},
    ],
)
def test_malformed_requests_are_not_valid(detail: Json) -> None:
    event = json.loads(load_event("send_queue/event_bus")["Records"][0]["body"])
    with pytest.raises(jsonschema.ValidationError):
        event_contract.check({**event, "detail": detail})


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"const": 1}, {"enum": [1]}),
        ({"type": "null"}, {"enum": [None], "nullable": True}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"enum": ["a", None]}, {"enum": ["a", None], "nullable": True}),
        ({"$ref": "#/a"}, {"$ref": "#/a"}),
        ({"$ref": "#/a", "description": "b"}, {"allOf": [{"$ref": "#/a"}], "description": "b"}),
        ({"type": "object", "patternProperties": {}, "propertyNames": {}}, {"type": "object"}),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
        (
            {"anyOf": [{"const": 1}], "default": {"const": 1}},
            {"anyOf": [{"enum": [1]}], "default": {"const": 1}},
        ),
    ],
)
def test_words_of_openapi_30(newer: Json, older: Json) -> None:
    assert openapi_30(newer) == older
