"""The document: OpenAPI 3.1, from the entries of all routes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from openapi import (
    authorizations,
    bodies,
    broadcasts,
    consents,
    holds,
    messages,
    problems,
    quotas,
    schedules,
    schemas,
    templates,
)
from openapi.operation import ACCOUNT, Answer, Json, Operation
from openapi.problems import COMMON, PROBLEMS
from openapi.schemas import PREFIX

OPERATIONS: Mapping[str, Operation] = {
    **messages.OPERATIONS,
    **broadcasts.OPERATIONS,
    **schedules.OPERATIONS,
    **quotas.OPERATIONS,
    **holds.OPERATIONS,
    **templates.OPERATIONS,
    **authorizations.OPERATIONS,
    **consents.OPERATIONS,
}
"""By the route key, as the handlers' ``ROUTES`` have it."""

_DOCS = Path(__file__).parents[1] / "docs"
_JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"
_METHODS = ("get", "put", "post", "delete")


def document() -> Json:
    """The OpenAPI document."""
    components: dict[str, Json] = bodies.schemas_of_bodies()
    problem, nested = schemas.of(problems.Problem)
    _add(components, {**nested, "Problem": problem})
    for name, named in PROBLEMS.items():
        fields, nested = schemas.of(named.fields)
        fields.pop("description", None)
        _add(components, {**nested, problems.schema_name(name): problems.schema(name, fields)})
    paths: dict[str, Json] = {}
    for route, operation in OPERATIONS.items():
        method, path = route.split(" ")
        answers = {}
        for status, answer in operation.answers.items():
            answers[str(status)] = _answer(answer, operation, components)
        content = _operation(path, operation, answers)
        paths.setdefault(path, {})[method.lower()] = content
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [_SERVER],
        "security": [{"sigv4": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {
            path: {method: paths[path][method] for method in _METHODS if method in paths[path]}
            for path in sorted(paths)
        },
        "components": {
            "schemas": {name: components[name] for name in sorted(components)},
            "headers": _HEADERS,
            "securitySchemes": {"sigv4": _SIGV4},
        },
    }


def problem_names(operation: Operation) -> dict[int, list[str]]:
    """The names of an operation's problem documents, by status."""
    found: dict[int, list[str]] = {}
    common = (name for name in COMMON if not (operation.public and name == "account-name"))
    for name in (*operation.problems, *common):
        for status in PROBLEMS[name].statuses:
            found.setdefault(status, []).append(name)
    return dict(sorted(found.items()))


def _operation(path: str, operation: Operation, answers: dict[str, Json]) -> Json:
    for status, names in problem_names(operation).items():
        answers[str(status)] = _refusal(status, names, operation)
    body: Json = {}
    call = operation.example.call
    if operation.body:
        content: Json = {"schema": {"$ref": PREFIX + operation.body}}
        if call.body is not None:
            content["example"] = call.body
        body = {"requestBody": {"required": True, "content": {_JSON: content}}}
    return {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        **({"description": operation.text} if operation.text else {}),
        **({"security": []} if operation.public else {}),
        "parameters": _parameters(path, operation),
        **body,
        "responses": answers,
    }


def _add(components: dict[str, Json], more: Mapping[str, Json]) -> None:
    for name, schema in more.items():
        if components.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name}")


def _answer(answer: Answer, operation: Operation, components: dict[str, Json]) -> Json:
    names = []
    for each in answer.types:
        schema, nested = schemas.of(each)
        _add(components, {**nested, each.__name__: schema})
        names.append({"$ref": PREFIX + each.__name__})
    content: Json = {"schema": names[0] if len(names) == 1 else {"oneOf": names}}
    if answer is operation.answers.get(operation.example.status):
        content["example"] = operation.example_answer
    headers = (*answer.headers, *(("Idempotent-Replayed",) if operation.replays else ()))
    return {"description": answer.text, **_headers(headers), "content": {_JSON: content, **_page(operation)}}


def _refusal(status: int, names: list[str], operation: Operation) -> Json:
    choices = [{"$ref": PREFIX + problems.schema_name(name)} for name in names]
    headers = ["Retry-After"] if any(status in PROBLEMS[name].retries for name in names) else []
    if operation.replays and any(name in _REPLAYED for name in names):
        headers.append("Idempotent-Replayed")
    text = "; ".join(f"`{name}`: {PROBLEMS[name].text.en}" for name in names)
    schema = choices[0] if len(choices) == 1 else {"oneOf": choices}
    content = {_PROBLEM_JSON: {"schema": schema}, **_page(operation)}
    return {"description": text, **_headers(headers), "content": content}


def _page(operation: Operation) -> Json:
    return {"text/html": {"schema": {"type": "string"}}} if operation.public else {}


_REPLAYED = frozenset({"expired", "cancelled", "not-sent", "outcome-unknown"})


def _headers(names: Any) -> Json:
    found = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {"headers": found} if found else {}


def _parameters(path: str, operation: Operation) -> list[Json]:
    call = operation.example.call
    examples = {"account": ACCOUNT, **call.path, **call.query, **call.headers}
    found = []
    for name in re.findall(r"{(\w+)}", path):
        schema = _PATH_SCHEMAS.get(name, {"type": "string", "minLength": 1})
        text = _ACCOUNT if name == "account" else operation.parameters[name]
        found.append({"name": name, "in": "path", "required": True, "description": text, "schema": schema})
    if operation.query:
        schema, _ = schemas.of(operation.query)
        for name, field in schema["properties"].items():
            found.append({"name": name, "in": "query", **_query(field, operation.parameters[name])})
    found += [
        {"name": each.name, "in": "header", "description": each.text, "schema": each.schema}
        for each in operation.headers
    ]
    for parameter in found:
        example = examples.get(parameter["name"])
        if example is not None:
            parameter["example"] = _typed(example, parameter["schema"])
    return found


def _query(field: Json, text: str) -> Json:
    choices = [each for each in field.pop("anyOf", []) if each != {"type": "null"}]
    schema = {**field, **(choices[0] if choices else {})}
    if schema.get("default", 0) is None or schema.get("type") == "array":
        schema.pop("default", None)
    more = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return {"description": text, "schema": schema, **more}


def _typed(example: str, schema: Json) -> Any:
    match schema.get("type"):
        case "array":
            return example.split(",")
        case "integer":
            return int(example)
    return example


_ACCOUNT = "The account's name. Credentials are stored under it."
_PATH_SCHEMAS: Mapping[str, Json] = {
    "account": {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},
}
_HEADERS: Mapping[str, Json] = {
    "Cache-Control": {
        "description": "No cache keeps it: the address has the openid in it.",
        "schema": {"type": "string", "const": "no-store"},
    },
    "Idempotent-Replayed": {
        "description": "true: the answer repeats what became of the message before; nothing was sent.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {"description": "The path to look it up.", "schema": {"type": "string"}},
    "Preference-Applied": {"schema": {"type": "string", "const": "respond-async"}},
    "Retry-After": {
        "description": "Seconds after which a repeat can work.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}
_INFO: Json = {
    "title": "WeChat Notify",
    "version": "0.1.0",
    "summary": "Send WeChat subscription and template messages from AWS.",
    "description": "Messages over HTTP, and what teams do every day beside sending them. Refusals are problem "
    "documents (RFC 9457), each with a text in English and Chinese. API Gateway's own refusals, such as 403 for "
    "a wrong signature or 429 for its throttling, have API Gateway's form and are not described here.",
    "license": {"name": "MIT", "identifier": "MIT"},
}
_SERVER: Json = {
    "url": "https://{api}.execute-api.{region}.{domain}",
    "description": "The stack output ApiUrl.",
    "variables": {
        "api": {"default": "api", "description": "API Gateway's id of the API"},
        "region": {"default": "cn-north-1"},
        "domain": {"default": "amazonaws.com.cn", "enum": ["amazonaws.com", "amazonaws.com.cn"]},
    },
}
_SIGV4: Json = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "Requests are signed with AWS Signature Version 4 for the service `execute-api`.",
    "x-amazon-apigateway-authtype": "awsSigv4",
}
_TAGS = {
    "messages": "Send messages, look them up, cancel and list them.",
    "broadcasts": "One message to many recipients, from a request or a file.",
    "schedules": "Messages and broadcasts that are sent at a time, or again and again.",
    "quotas": "What the account may send today.",
    "holds": "What waits because WeChat stopped accepting it.",
    "templates": "The templates that the account has at WeChat.",
    "consents": "What people allowed the account to send them.",
    "platforms": "Third-party platforms, which act for the accounts of merchants.",
}


def _text() -> str:
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


FILES: Mapping[Path, Callable[[], str]] = {
    _DOCS / "openapi.json": _text,
    _DOCS / "problems.md": partial(problems.page, "en"),
    _DOCS / "zh/problems.md": partial(problems.page, "zh"),
    _DOCS.parent / "cli/wxn/data/problems.json": problems.as_json,
}
"""The files that are made here, with their contents."""
