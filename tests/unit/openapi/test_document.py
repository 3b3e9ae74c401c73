"""The document itself: up to date, sound, and its examples valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from openapi.document import FILES, OPERATIONS, document
from openapi.operation import Operation
from openapi.problems import PROBLEMS
from tests.unit.functions import contract
from wechat_notify.http import problems

DOCUMENT = document()
TEXT = json.dumps(DOCUMENT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_file_is_up_to_date(path: Path) -> None:
    """``make openapi`` writes it."""
    assert path.read_text("utf-8") == FILES[path]()


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_valid_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_references_lead_somewhere() -> None:
    """And everything that is defined is referred to."""
    parts = ("schemas", "headers")
    defined = {f"#/components/{part}/{name}" for part in parts for name in DOCUMENT["components"][part]}
    assert set(re.findall(r'"(#/components/[^"]+)"', TEXT)) == defined


def test_operation_ids_are_unique() -> None:
    assert len({operation.id for operation in OPERATIONS.values()}) == len(OPERATIONS)
    assert {operation.tag for operation in OPERATIONS.values()} == {tag["name"] for tag in DOCUMENT["tags"]}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_parameters_are_described(operation: Operation) -> None:
    named = re.findall(r"{(\w+)}", operation.example.call.route)
    queried = operation.query.model_fields if operation.query else {}
    assert operation.parameters.keys() == {*named, *queried} - {"account"}


def _of_programs(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for media_type, each in content.items() if media_type != "text/html"]


@pytest.mark.parametrize("route", OPERATIONS)
def test_examples_are_valid(route: str) -> None:
    """Of the request's body, of its parameters, and of the answer."""
    operation = OPERATIONS[route]
    method, path = route.split(" ")
    told = DOCUMENT["paths"][path][method.lower()]
    assert operation.example.call.route == route
    examples = [(each["schema"], each["example"]) for each in told["parameters"] if "example" in each]
    contents: list[Any] = [told["responses"][str(operation.example.status)]["content"]]
    if operation.body:
        contents.append(told["requestBody"]["content"])
    examples += [(each["schema"], each["example"]) for content in contents for each in _of_programs(content)]
    for schema, example in examples:
        contract.validate(schema, example)


def test_refusals_are_problems() -> None:
    """Each error that has an answer, with the status of that answer."""
    refusals = {error.reason.replace("_", "-"): (status,) for error, (status, _) in problems.REFUSALS.items()}
    told = {name: problem.statuses for name, problem in PROBLEMS.items()}
    assert refusals.items() <= told.items()
    used = {name for operation in OPERATIONS.values() for name in operation.problems}
    assert used | {"account-name", "internal-error", "storage"} == told.keys()


def test_types_lead_to_the_page() -> None:
    """Each problem's type is a page of the repository and one of its headings."""
    for name in PROBLEMS:
        page, _, anchor = f"{problems.TYPES}{name}".partition("#")
        text = (Path(__file__).parents[3] / page.lstrip("/")).read_text("utf-8")
        assert f"\n## {anchor}\n" in text
