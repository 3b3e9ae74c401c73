"""Whatever the functions tell: the real handlers are run until each log line and metric has been written."""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.canary.handler import lambda_handler as run_canary
from functions.template_sync.handler import lambda_handler as sync_templates
from functions.token_refresh.handler import lambda_handler as refresh_tokens
from tests.fakes import (
    OPENID,
    FakeContext,
    Metric,
    Service,
    answer,
    api_event,
    body,
    break_down,
    load_event,
    lost,
    metrics,
    unreachable,
)
from tests.unit.functions.broadcast import steps
from tests.unit.functions.callback import requests
from tests.unit.functions.callback_events import test_handler as receipts
from tests.unit.functions.canary.door import FakeOrders, HandlersDoor
from tests.unit.functions.send_api import test_consents as consents
from tests.unit.functions.send_api.calls import KEYED
from tests.unit.functions.send_api.calls import call as call_api
from tests.unit.functions.send_queue.events import enqueued, handle
from tests.unit.functions.team_api.calls import call as call_team_api
from wechat_notify.bootstrap import broadcasts, canary
from wechat_notify.core.canary import Answer, Canary
from wechat_notify.core.errors import StorageError
from wechat_notify.core.templates.template import Family
from wechat_notify.telemetry import InvocationError


@dataclass
class Told:
    """Log lines by the log group that they are in, and metrics."""

    lines: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    metrics: list[Metric] = field(default_factory=list)

    @property
    def dimensions(self) -> set[tuple[str, frozenset[str]]]:
        """Each metric with the names of each set of its dimensions, ``service`` included."""
        return {(each.name, frozenset({"service", *each.dimensions})) for each in self.metrics}

    @contextlib.contextmanager
    def by(self, service: Service, group: str) -> Iterator[None]:
        """Note what is told meanwhile, as that of a function."""
        before = len(service.lines())
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            yield
        self.lines[group] += service.lines()[before:]
        self.metrics += metrics(out.getvalue(), starts=True)


def whole_day(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Messages that go well and wrong, tokens, templates, callbacks, broadcasts and the canary."""
    service, told = Service(), Told()
    service.lend(monkeypatch)
    for account in ("shop", "bank"):
        service.callback_keys.store(account, requests.APP_ID, (requests.TOKEN, requests.KEY))
    with told.by(service, "CallbackLogGroup"):
        for request in (
            requests.Request(),
            requests.Request(token="guessed"),
            requests.Request(text="nonsense", nonce="2"),
        ):
            requests.ask(request.event())
    with told.by(service, "SendQueueLogGroup"):
        _queue(service)
        with monkeypatch.context() as broken:
            broken.setattr(service.sender, "token", break_down)
            for _ in range(30):  # until it is given up
                handle(enqueued(key="unforeseen"))
    with told.by(service, "SendApiLogGroup"):
        for number, outcome in enumerate((answer(0), answer(43101), lost(), answer(99999))):
            service.wechat.plan.append(outcome)
            call_api(api_event("POST", "shop", f"api-{number}", body()))
        call_api(api_event("POST", "Shop", "api-9", body()))
    with told.by(service, "SendApiLogGroup"):
        _ask_for_consent(service)
    with told.by(service, "CallbackEventsLogGroup"):
        receipts.add(service, "m-1", 1)
        receipts.add(service, "m-2", 2)
        receipts.handle(receipts.fields(1), receipts.fields(2, "failed:user block"))
        receipts.handle(receipts.fields(3), receives=receipts.LAST)
        accepted = {"TemplateId": "TEMPLATE", "SubscribeStatusString": "accept", "PopupScene": "1"}
        popup = {"Event": "subscribe_msg_popup_event", "SubscribeMsgPopupEvent": {"List": accepted}}
        receipts.handle(receipts.fields() | popup)
    with told.by(service, "TokenRefreshLogGroup"):
        service.add_account("bank", stored=False)
        service.add_account("cafe", stored=False)
        service.wechat.refuse_tokens("wx-bank", answer(40164))
        service.store.failing = {"save": "InternalServerError"}
        refresh_tokens({}, FakeContext())
        service.store.failing = {}
        refresh_tokens({}, FakeContext())
        with monkeypatch.context() as broken, contextlib.suppress(InvocationError):
            broken.setattr(service.token_refresher, "refresh_all", break_down)
            refresh_tokens({}, FakeContext())
    with told.by(service, "TemplateSyncLogGroup"):
        service.wechat.lists[("wx-shop", Family.TEMPLATE)] = answer(45009)
        sync_templates({}, FakeContext())
    with told.by(service, "TeamApiLogGroup"):
        call_team_api("GET quota")
    with told.by(service, "BroadcastLogGroup"):
        steps.handle(json.dumps({"account": "shop", "broadcast": "0" * 26, "step": 1}), "nonsense")
        with monkeypatch.context() as broken:
            broken.setattr(broadcasts, "engine", _fail)
            steps.handle(json.dumps({"account": "shop", "broadcast": "0" * 26, "step": 1}))
            broken.setattr(broadcasts, "engine", break_down)
            with contextlib.suppress(InvocationError):
                steps.handle(json.dumps({"account": "shop", "broadcast": "0" * 26, "step": 1}))
    _canary(service, told, monkeypatch)
    return told


def _queue(service: Service) -> None:
    for outcome in (answer(0), answer(43101), answer(99999), lost(), unreachable()):
        service.wechat.plan.append(outcome)
        handle(enqueued(key=f"queue-{len(service.wechat.attempts)}"))
    handle(enqueued(key="queue-0"))
    handle("send_queue/refusals")
    brief = enqueued(key="brief")
    timed = {**json.loads(brief["Records"][0]["body"]), "expires_at": "2026-03-01T08:00:00Z"}
    brief["Records"][0]["body"] = json.dumps(timed)
    service.wechat.plan.append(answer(-1))
    handle(brief)
    service.wechat.plan.append(answer(48001))
    handle(enqueued(key="limited"))
    service.clock.advance(7200)
    handle(brief)
    service.bus.failing = "ServiceUnavailable"
    service.wechat.plan.append(answer(45009))
    handle(enqueued(key="quota"))
    service.bus.failing = None
    handle(enqueued(key="held"))
    handle("send_queue/parked")
    for number in range(25):  # enough for a share
        service.wechat.plan.append(answer(43101))
        handle(enqueued(body("template"), key=f"share-{number}"))

    def fail(_: object) -> None:
        service.ledger_store.failing = {"put": "ServiceUnavailable"}

    service.clock.advance(100_000)  # the hold is over, and the probe closes the circuit
    handle(enqueued(key="probe"))
    service.wechat.while_in_flight = fail
    handle(enqueued(key="unrecorded"))
    service.wechat.while_in_flight = lambda _: None
    handle(enqueued(key="put-off"))
    service.ledger_store.failing = {}


def _ask_for_consent(service: Service) -> None:
    service.store.consents["shop"] = "enforce"
    service.token_refresher.refresh("shop")
    service.clock.advance(120)  # the cached token's
    call_api(KEYED)
    consents.accept(service)
    call_api({**KEYED, "headers": {**KEYED["headers"], "idempotency-key": "with-consent"}})
    service.store.consents["shop"] = "off"


def _canary(service: Service, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    message = {name: value for name, value in body("template").items() if name != "touser"}
    order = {"account": "shop", "message": message, "openid": OPENID}
    door = HandlersDoor(service)
    part = Canary(FakeOrders(**order), door, clock=service.clock.now, sleep=service.clock.sleep)
    monkeypatch.setattr(canary, "canary", lambda: part)
    for met in (
        _answer(200, {"status": "sent"}),
        _answer(502, {"type": "x/not-sent", "class": "quota", "errcode": 45009}),
    ):
        monkeypatch.setattr(door, "call", lambda *_, met=met, **__: met)
        with told.by(service, "CanaryLogGroup"):
            run_canary(load_event("canary/schedule"), FakeContext())


def _answer(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, content, replayed=False, seconds=0.1)


def _fail() -> Any:
    raise StorageError("write", "ThrottlingException")
