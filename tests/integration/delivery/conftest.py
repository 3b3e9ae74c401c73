"""A message's whole way in one process: entry points, ledger, refresher, client, simulator."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from aws_lambda_powertools import Logger

from functions.send_api.handler import lambda_handler as send_api
from functions.send_queue.handler import lambda_handler as send_queue
from local.simulator.server import Simulator
from tests.fakes import FakeContext, load_event
from tests.integration.conftest import ENVIRON, PATH, ClientsAt, RefreshLambda
from tests.integration.raw_server import RawServer
from wechat_notify import bootstrap
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.telemetry import Telemetry

BODIES = Path(__file__).parents[2] / "bodies"
NAMES = sorted(path.stem for path in BODIES.glob("*.json"))

ENDPOINTS = {
    "subscription": "/cgi-bin/message/subscribe/bizsend",
    "one_time_subscription": "/cgi-bin/message/template/subscribe",
    "mini_program_template": "/cgi-bin/message/wxopen/template/send",
    "mini_program_subscription": "/cgi-bin/message/subscribe/send",
    "template": "/cgi-bin/message/template/send",
}


_services = itertools.count()


class Service:
    """The service as ``bootstrap`` puts it together, and what the simulator saw of it."""

    def __init__(
        self, simulator: Simulator, lambda_service: RefreshLambda, put: Callable[[str, str], None]
    ) -> None:
        self.lambda_service = lambda_service
        self.put = put
        self._url = simulator.url

    def add_account(self, name: str, app_id: str, secret: str) -> None:
        credentials = {"type": "app", "app_id": app_id, "app_secret": secret}
        self.put(f"{name}/credentials", json.dumps(credentials))

    def send(self, message: Message, account: str = "shop") -> Exchange:
        """Send a message past the ledger and the circuits."""
        sender = bootstrap.dispatcher()._sender
        try:
            token = sender.token(account, lambda: 60.0)
        except TokenUnavailableError as error:
            return Exchange(error.outcome._replace(unjudged=True), 0, 0.0)
        return sender.send(account, message, token, lambda: 60.0)

    def post(self, content: object, key: str, account: str = "shop") -> tuple[int, dict[str, str], str]:
        """Hand a message over by HTTP; the status, the headers and the body of the answer."""
        event = load_event("send_api/idempotency_key")
        event["headers"]["idempotency-key"] = key
        event["pathParameters"]["account"] = account
        event["body"] = json.dumps(content)
        return self._api(event)

    def look(self, key: str, account: str = "shop") -> dict[str, Any]:
        event = load_event("send_api/get_message")
        event["pathParameters"] = {"account": account, "id": key}
        status, _, content = self._api(event)
        assert status == 200
        looked_up: dict[str, Any] = json.loads(content)
        return looked_up

    def deliver(self, content: object, key: str) -> list[str]:
        """Hand a message over by the queue; the ids of the records that go back."""
        event = load_event("send_queue/parked")
        (record,) = event["Records"]
        record["messageAttributes"] = {}
        record["body"] = json.dumps({"account": "shop", "id": key, "message": content})
        return [str(item["itemIdentifier"]) for item in send_queue(event, FakeContext())["batchItemFailures"]]

    def _api(self, event: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        response = send_api(event, FakeContext(29.0))
        return response["statusCode"], response["headers"], response["body"]

    def tell(self, order: str, **body: object) -> None:
        """Give the simulator an order."""
        requests.post(f"{self._url}/_sim/{order}", json=body, timeout=5).raise_for_status()

    def ask(self, path: str) -> Any:
        return requests.get(f"{self._url}/_sim/{path}", timeout=5).json()

    def arrivals(self) -> list[dict[str, Any]]:
        """The oldest first."""
        newest: list[dict[str, Any]] = self.ask("messages")["messages"]
        return newest[::-1]

    def token_calls(self, app_id: str = "wxapp") -> dict[str, int]:
        calls: dict[str, int] = self.ask("stats")["by_app"][app_id]["token_calls"]
        return {kind: count for kind, count in calls.items() if count}


@pytest.fixture
def service(
    simulator: Simulator,
    put: Callable[[str, str], None],
    aws: Callable[[str], Any],
    clients_at: ClientsAt,
    ledger_table: LedgerTable,  # noqa: ARG001 - it is there now
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Service]:
    refresher = RefreshLambda()
    parts = [part for part in vars(bootstrap).values() if hasattr(part, "cache_clear")]
    for part in parts:
        part.cache_clear()
    telemetry = Telemetry(Logger(service=f"delivery-{next(_services)}", stream=io.StringIO()))
    monkeypatch.setattr(bootstrap, "telemetry", lambda: telemetry)
    with RawServer(refresher.script) as lambda_service:
        environment = {
            **ENVIRON,
            "PARAMETER_PATH": PATH,
            "WECHAT_API_BASE": simulator.url,
            "TOKEN_REFRESH_FUNCTION": "token-refresh",
            "LEDGER_TABLE": "ledger",
            "LEDGER_RETENTION_DAYS": "30",
            "LIST_SENT_MESSAGES": "true",
            "RECEIPTS": "false",
            "QUOTA_RESET": "00:00+08:00",
            "OPENID_HASH_SECRET": aws("secretsmanager").create_secret(
                Name="openid-hash-key", SecretString="a key for tests"
            )["ARN"],
            "SEND_QUEUE_URL": aws("sqs").create_queue(QueueName="send")["QueueUrl"],
            "DEAD_LETTER_QUEUE_URL": aws("sqs").create_queue(QueueName="dead")["QueueUrl"],
            "EVENT_BUS_NAME": aws("events").create_event_bus(Name="bus") and "bus",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        clients = clients_at(None, refresher=lambda_service.url)
        monkeypatch.setattr(bootstrap, "aws", lambda: clients)
        built = Service(simulator, refresher, put)
        built.add_account("shop", "wxapp", "app-secret")
        yield built
        bootstrap.wechat()._session.close()
    for part in parts:
        part.cache_clear()


def body(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((BODIES / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def message(touser: str = "OPENID") -> Message:
    thing = {"thing1": {"value": "深圳"}}
    return parse_message({"kind": "template", "touser": touser, "template_id": "T", "data": thing})[0]
