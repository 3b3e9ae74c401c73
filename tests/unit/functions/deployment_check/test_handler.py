"""The check of new versions, with the handlers themselves as what is checked."""

from __future__ import annotations

import importlib
import io
import json
from typing import Any

import pytest

from functions.deployment_check.checks import CHECKS
from functions.deployment_check.handler import lambda_handler
from tests.fakes import FakeContext, Service, load_event
from wechat_notify import bootstrap
from wechat_notify.aws.clients import Clients
from wechat_notify.settings import Settings
from wechat_notify.telemetry import InvocationError

EVENT = load_event("deployment_check/before_traffic")

RAISED = {"errorType": "InvocationError"}


class Aws:
    """CodeDeploy with one deployment, and Lambda with the handlers, or with what stands in for one."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.answers: list[Any] = []
        self.targets = ["stack-Function-1:live"]
        self.invoked: list[tuple[str, str]] = []
        self.reports: list[dict[str, Any]] = []

    def list_deployment_targets(self, **request: Any) -> dict[str, Any]:
        assert request == {"deploymentId": EVENT["DeploymentId"]}
        return {"targetIds": self.targets}

    def batch_get_deployment_targets(self, **request: Any) -> dict[str, Any]:
        assert request == {"deploymentId": EVENT["DeploymentId"], "targetIds": self.targets}
        version = {"functionName": "stack-Function-1", "functionAlias": "live", "targetVersion": "7"}
        return {"deploymentTargets": [{"lambdaTarget": {"lambdaFunctionInfo": version}}]}

    def put_lifecycle_event_hook_execution_status(self, **request: Any) -> dict[str, Any]:
        self.reports.append(request)
        return {}

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.invoked.append((request["FunctionName"], request["Qualifier"]))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            failed = {"FunctionError": "Unhandled"} if answer == RAISED else {}
            return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}
        module = importlib.import_module(f"functions.{self.code}.handler")
        answer = module.lambda_handler(json.loads(request["Payload"]), FakeContext())
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def aws(service: Service, monkeypatch: pytest.MonkeyPatch) -> Aws:  # noqa: ARG001 - it is lent to the handlers
    made = Aws("send_api")
    clients = Clients(make=lambda _: made, sleep=lambda _: None)
    monkeypatch.setattr(bootstrap, "aws", lambda: clients)
    checked = json.dumps({"stack-Function-1": "send_api"})
    monkeypatch.setattr(bootstrap, "settings", lambda: Settings({"CHECKED_FUNCTIONS": checked}))
    return made


def check(aws: Aws) -> str:
    """The result, which is what CodeDeploy was told."""
    result: str = lambda_handler(EVENT, FakeContext())["result"]
    assert aws.reports == [
        {
            "deploymentId": EVENT["DeploymentId"],
            "lifecycleEventHookExecutionId": EVENT["LifecycleEventHookExecutionId"],
            "status": result,
        }
    ]
    return result


@pytest.mark.parametrize("code", sorted(CHECKS))
def test_handlers_pass(aws: Aws, service: Service, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The new version itself is asked, and neither sends nor writes."""
    aws.code = code
    checked = json.dumps({"stack-Function-1": code})
    monkeypatch.setattr(bootstrap, "settings", lambda: Settings({"CHECKED_FUNCTIONS": checked}))
    assert check(aws) == "Succeeded"
    assert aws.invoked == [("stack-Function-1", "7")]
    assert not service.wechat.attempts
    assert not service.ledger_store.entries
    assert not service.queue.bodies


@pytest.mark.parametrize(
    "answer",
    [RAISED, {"statusCode": 500}, {"statusCode": 503}, None, "text"],
    ids=["raises", "internal-error", "table-out-of-reach", "nothing", "text"],
)
def test_wrong_answers_fail(aws: Aws, answer: Any) -> None:
    aws.answers = [answer] * 3
    assert check(aws) == "Failed"


def test_slow_start_is_asked_again(aws: Aws) -> None:
    aws.answers = [TimeoutError(), TimeoutError()]
    assert check(aws) == "Succeeded"
    assert len(aws.invoked) == 3


def test_passing_troubles_are_asked_again(aws: Aws) -> None:
    """token_refresh is busy with many accounts, or the table does not answer at once."""
    aws.answers = [{"statusCode": 503}]
    assert check(aws) == "Succeeded"
    assert len(aws.invoked) == 2


def test_three_silences_fail(aws: Aws) -> None:
    aws.answers = [TimeoutError()] * 4
    assert check(aws) == "Failed"
    assert len(aws.invoked) == 3


def test_nothing_deployed_fails(aws: Aws) -> None:
    """A check of nothing proves nothing."""
    aws.targets = []
    assert check(aws) == "Failed"


def test_own_failure_is_reported_too(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """CodeDeploy would wait for an hour."""
    monkeypatch.setattr(bootstrap, "settings", lambda: Settings({"CHECKED_FUNCTIONS": "{}"}))
    with pytest.raises(InvocationError):
        lambda_handler(EVENT, FakeContext())
    assert [report["status"] for report in aws.reports] == ["Failed"]
