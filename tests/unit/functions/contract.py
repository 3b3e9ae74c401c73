"""The OpenAPI document as the judge of every answer that a test of the handlers gets."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any, NamedTuple

import jsonschema

from openapi.document import OPERATIONS, document
from openapi.operation import Json

_PROBLEM = 400
_CONTENT_TYPE = "Content-Type"


class Produced(NamedTuple):
    """A kind of answer that a test got: ``name`` is that of its problem, of its header, or empty."""

    route: str
    status: int
    name: str = ""


PRODUCED: set[Produced] = set()
"""What the tests of this process got so far."""


def documented() -> set[Produced]:
    """Every kind of answer that the document promises."""
    found = set()
    for route in OPERATIONS:
        for status, answer in responses(route).items():
            names = problem_names(answer) or [""]
            found |= {Produced(route, int(status), name) for name in (*names, *answer.get("headers", ()))}
    return found


def problem_names(answer: Json) -> list[str]:
    """The problems of which an answer may be."""
    content = answer["content"].get("application/problem+json")
    if content is None:
        return []
    choices = content["schema"].get("oneOf", [content["schema"]])
    schemas = _closed()["components"]["schemas"]
    named = [schemas[choice["$ref"].rpartition("/")[2]]["allOf"][1] for choice in choices]
    return [problem_name(each["properties"]["type"]["const"]) for each in named]


def problem_name(problem_type: str) -> str:
    """The name in the type of a problem."""
    return problem_type.rpartition("#")[2]


def responses(route: str) -> dict[str, Json]:
    """The answers of a route."""
    answers: dict[str, Json] = _operation(route)["responses"]
    return answers


def request(route: str) -> Json | None:
    """The schema of the body of a route's requests; None where they have none."""
    body = _operation(route).get("requestBody")
    return None if body is None else body["content"]["application/json"]["schema"]


def check(event: Json, response: Json) -> None:
    """Compare a route's answer with the document, and a request that was not refused as well."""
    route, status = event["routeKey"], response["statusCode"]
    answer = responses(route)[str(status)]
    content_type = response["headers"][_CONTENT_TYPE]
    body = json.loads(response["body"])
    validate(answer["content"][content_type]["schema"], body)
    headers = response["headers"].keys() - {_CONTENT_TYPE}
    assert headers <= answer.get("headers", {}).keys(), f"{route} {status}: {headers}"
    for name in headers:
        validate(answer["headers"][name], response["headers"][name])
    name = problem_name(body["type"]) if status >= _PROBLEM else ""
    PRODUCED.add(Produced(route, status, name))
    PRODUCED.update(Produced(route, status, header) for header in headers)
    if status < _PROBLEM:
        _check_request(_operation(route), event)


def _check_request(operation: Json, event: Json) -> None:
    """A request that was not refused is one that the document allows."""
    if "requestBody" in operation:
        content = event.get("body") or ""
        text = base64.b64decode(content).decode() if event.get("isBase64Encoded") else content
        body = json.loads(text.removeprefix("\ufeff"))
        validate(operation["requestBody"]["content"]["application/json"]["schema"], body)
    given = {
        "path": event["pathParameters"],
        "query": event.get("queryStringParameters") or {},
        "header": {name.lower(): value for name, value in (event.get("headers") or {}).items()},
    }
    for parameter in operation["parameters"]:
        name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
        value = given[parameter["in"]].get(name)
        if value is not None:
            validate(parameter["schema"], _typed(value, parameter["schema"].get("type")))
    undocumented = given["query"].keys() - {each["name"] for each in operation["parameters"]}
    assert not undocumented


def _typed(value: str, kind: str | None) -> Any:
    if kind == "array":
        return value.split(",")
    return int(value) if kind == "integer" else value


def validate(schema: Json, value: object) -> None:
    """Raise where a value is not of a schema, or has fields of which the document says nothing."""
    _validator(json.dumps(schema)).validate(value)


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": _closed()["components"]})


def _operation(route: str) -> Json:
    method, path = route.split(" ")
    operation: Json = _closed()["paths"][path][method.lower()]
    return operation


@functools.cache
def _closed() -> Json:
    """The document with schemas that allow no field beside those that they name.

    The published ones allow more: a new field in an answer must not break a client.
    """
    whole: Json = json.loads(json.dumps(document()))
    for name, schema in whole["components"]["schemas"].items():
        if name != "Problem":  # it is a part of all others
            close(schema)
    return whole


def close(schema: Any) -> None:
    """Let a schema allow no field beside those that it names, in all its parts."""
    if isinstance(schema, list):
        for each in schema:
            close(each)
    if not isinstance(schema, dict):
        return
    if "allOf" in schema and "properties" not in schema:
        schema["unevaluatedProperties"] = False
        return
    if "properties" in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    for name, each in schema.items():
        if name not in ("const", "enum", "example"):
            close(each)
