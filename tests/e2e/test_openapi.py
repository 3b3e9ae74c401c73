"""The examples of the OpenAPI document, played against the stack: each on an account of its own.

With the environment variable ``RENEW_ANSWERS`` answers that differ are written into openapi/answers.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import pytest

from local.client import call_api, get_json, http
from openapi.document import OPERATIONS
from openapi.operation import ACCOUNT, ANSWERS, VOLATILE, Call, Operation
from tests.e2e.conftest import Service, eventually
from tests.unit.functions import contract

REFUSED_ON_PURPOSE = (422, 429)
"""WeChat's refusals for which an example prepares."""


def _account(operation: Operation) -> str:
    return f"{ACCOUNT}-{operation.id.lower()}"


@pytest.fixture(scope="module")
def shops(service: Service) -> Service:
    """The accounts, each with a token and its templates."""
    for operation in OPERATIONS.values():
        add = service.add_component if operation.tag == "platforms" else service.add_account
        add(_account(operation))
    client, names = service.client("lambda"), service.stack.deployment.outputs
    for function in (service.state.token_refresh_function, names["TemplateSyncFunctionName"]):
        client.invoke(FunctionName=function, Payload=b"{}")
    return service


def play(service: Service, call: Call, account: str, told: dict[str, str]) -> Any:
    """Play a call; ``told`` is what earlier answers gave."""
    query = {name: told[name] if name in call.takes else value for name, value in call.query.items()}
    values = {name: quote(value, safe="") for name, value in {**call.path, "account": account}.items()}
    path = call.route.partition(" ")[2].format_map(values) + ("?" if query else "") + urlencode(query)
    body = None if call.body is None else json.dumps(call.body).encode()
    headers = {**({} if body is None else {"Content-Type": "application/json"}), **call.headers}
    return call_api(service.state, call.method, path, body, headers)


def stable(value: Any, volatile: frozenset[str]) -> Any:
    """An answer with types in place of values that no example can know."""
    if isinstance(value, dict):
        return {
            name: _shape(each) if name in volatile else stable(each, volatile) for name, each in value.items()
        }
    return [stable(each, volatile) for each in value] if isinstance(value, list) else value


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    return type(value).__name__


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_example_does_what_it_says(shops: Service, operation: Operation) -> None:
    account, example = _account(operation), operation.example
    given: dict[str, str] = {}
    for call in example.before:
        answer = play(shops, call, account, given)
        given |= {name: value for name, value in answer.json().items() if isinstance(value, str)}
        status = answer.status_code
        assert status in {*OPERATIONS[call.route].answers, *REFUSED_ON_PURPOSE}

    def answered() -> Any:
        answer = play(shops, example.call, account, given)
        return answer if answer.status_code == example.status else None

    answer = eventually(answered, 60) if example.eventually else play(shops, example.call, account, given)
    assert answer is not None
    assert answer.status_code == example.status, answer.text
    told = json.loads(answer.text.replace(account, ACCOUNT))
    volatile = VOLATILE | example.volatile
    got, expected = stable(told, volatile), stable(operation.example_answer, volatile)
    if got != expected and os.environ.get("RENEW_ANSWERS"):
        text = json.dumps(told, ensure_ascii=False, indent=2)
        (ANSWERS / f"{operation.id}.json").write_text(f"{text}\n", "utf-8")
    assert got == expected
    contract.validate(_schema(operation), told)


def _schema(operation: Operation) -> dict[str, Any]:
    content = contract.responses(operation.example.call.route)[str(operation.example.status)]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def test_page_and_document_are_served(service: Service) -> None:
    """The document names the stack's own API; the type of a problem leads to its section."""
    state = service.state
    assert "<openapi-explorer" in http("GET", f"{state.aws_endpoint_url}/docs").text
    (server,) = get_json(f"{state.aws_endpoint_url}/openapi.json")["servers"]
    refused = call_api(state, "GET", f"/v1/accounts/{state.account}/messages/nothing").json()
    problem_type = urljoin(server["url"], refused["type"])
    page, _, name = problem_type.partition("#")
    assert f'id="{name}"' in http("GET", page).text
