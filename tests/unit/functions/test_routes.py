"""What every route has in common, by the examples of the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.send_api import handler as send_api
from functions.team_api import handler as team_api
from functions.team_api.consents import WITH_SLASH
from openapi.document import OPERATIONS
from openapi.operation import Call
from tests.fakes import FakeContext, Service, load_event, metrics
from tests.unit.functions import contract
from wechat_notify import bootstrap
from wechat_notify.bootstrap import broadcasts, platform, teams
from wechat_notify.core.errors import StorageError

Json = dict[str, Any]

ROUTES = {**send_api.ROUTES, **team_api.ROUTES}
WITH_BODY = [route for route, operation in OPERATIONS.items() if operation.body]
STORES = {
    bootstrap: ["dispatcher", "access_tokens", "consents"],
    broadcasts: ["broadcasts", "new_broadcasts"],
    platform: ["platform_requests"],
    teams: ["consent_links", "open_holds", "message_list", "quotas", "schedules", "template_store"],
}


def ask(call: Call, **changes: Any) -> str:
    """Ask a route as its example does, with changes; the answer's status and the name of its problem."""
    event: Json = load_event("team_api/request") | {
        "routeKey": call.route,
        "pathParameters": {"account": "shop", **call.path},
        "queryStringParameters": dict(call.query),
        "headers": {"content-type": "application/json", **{k.lower(): v for k, v in call.headers.items()}},
        "body": json.dumps(call.body),
        **changes,
    }
    handler = send_api if call.route in send_api.ROUTES else team_api
    response = handler.lambda_handler(event, FakeContext())
    contract.check(event, response)
    problem = contract.problem_name(json.loads(response["body"]).get("type", ""))
    return f"{response['statusCode']} {problem}"


@pytest.fixture(params=[route for route in OPERATIONS if "{account}" in route])
def call_of_account(request: pytest.FixtureRequest) -> Call:
    return OPERATIONS[request.param].example.call


@pytest.fixture(params=OPERATIONS)
def call(request: pytest.FixtureRequest) -> Call:
    return OPERATIONS[request.param].example.call


def test_routes_are_documented() -> None:
    """All but the one that API Gateway makes necessary for a slash."""
    assert OPERATIONS.keys() == ROUTES.keys() - {WITH_SLASH}


@pytest.mark.usefixtures("service")
def test_account_name(call_of_account: Call) -> None:
    parameters = {**call_of_account.path, "account": "Shop"}
    assert ask(call_of_account, pathParameters=parameters) == "404 account-name"


def test_storage_is_down(service: Service, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    def fail() -> None:
        raise StorageError("read", "Throttling")

    for module, names in STORES.items():
        for name in names:
            monkeypatch.setattr(module, name, fail)
    assert ask(call) == "503 storage"
    assert service.wechat.attempts == []


@pytest.mark.usefixtures("service")
def test_unforeseen_error(call_of_account: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """API Gateway never leaves out what a path names. Lambda counts no error where there is an answer."""
    assert ask(call_of_account, pathParameters={}) == "500 internal-error"
    assert [each.name for each in metrics(capsys.readouterr().out)] == ["MessagesUnforeseen"]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", WITH_BODY)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"body": "{"}, "400 malformed-body"),
        ({"body": "9" * (1024 * 1024 + 1)}, "413 body-too-large"),
        ({"headers": {"content-type": "text/plain"}}, "415 unsupported-media-type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bodies(route: str, changes: Json, expected: str) -> None:
    assert ask(OPERATIONS[route].example.call, **changes) == expected


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", [route for route, operation in OPERATIONS.items() if operation.query])
def test_wrong_query(route: str) -> None:
    operation = OPERATIONS[route]
    assert operation.query
    wrong = dict.fromkeys(operation.query.model_fields, "")
    assert ask(operation.example.call, queryStringParameters=wrong) == "422 invalid-fields"
