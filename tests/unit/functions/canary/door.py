"""The HTTP API for a canary under test: the real handlers, over the service's fakes."""

from __future__ import annotations

import json
from typing import Any

from functions.send_api.handler import lambda_handler as send_api
from functions.team_api.handler import lambda_handler as team_api
from tests.fakes import FakeContext, Service, api_event, load_event
from wechat_notify.core.canary import Answer, CanaryOrder, NoAnswerError
from wechat_notify.core.errors import StorageError


class HandlersDoor:
    """Answers as API Gateway would, and keeps what it was asked."""

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self.calls: list[str] = []
        self.is_down = False

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        self.calls.append(f"{method} {path}")
        if self.is_down:
            raise NoAnswerError("EndpointConnectionError")
        began = self._clock.now()
        _, _, _, account, rest = path.split("/", 4)
        if rest == "quota":
            event = load_event("team_api/request")
            event |= {"routeKey": "GET /v1/accounts/{account}/quota"}
            event["pathParameters"] = {"account": account}
            answer = team_api(event, FakeContext())
        else:
            _, _, query = rest.partition("?")
            message: Any = body
            event = api_event(method, account, key or rest.rpartition("/")[2], message)
            if key is None:
                event["headers"].pop("idempotency-key", None)
            event["queryStringParameters"] = dict(part.split("=") for part in query.split("&") if part)
            answer = send_api(event, FakeContext())
        replayed = answer["headers"].get("Idempotent-Replayed") == "true"
        seconds = self._clock.now() - began
        return Answer(answer["statusCode"], json.loads(answer["body"]), replayed, seconds)


class FakeOrders:
    """An order, or why there is none."""

    def __init__(self, **order: Any) -> None:
        self._order = order

    def read(self) -> CanaryOrder:
        if not self._order:
            raise StorageError("read", "ParameterNotFound")
        return CanaryOrder.model_validate(self._order)
