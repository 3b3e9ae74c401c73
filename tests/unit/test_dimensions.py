"""Metrics cannot grow without bound: each set of dimensions is billed as a metric of its own."""

from __future__ import annotations

import json

import pytest

from tests.fakes import Service, answer, api_event, body, load_event, metrics
from tests.unit.functions.callback import requests
from tests.unit.functions.send_api.calls import call
from tests.unit.functions.send_queue.events import enqueued, handle
from tests.unit.functions.token_refresh.test_handler import refresh
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.error_codes import ERROR_CODES

Capture = pytest.CaptureFixture[str]
MADE_UP = [f"made-up-{number}" for number in range(40)]
ALLOWED = {
    "account": {"shop"},
    "kind": set(KINDS),
    "class": {str(each) for each in ErrorClass} | {"none"},
    "errcode": {str(code) for code in ERROR_CODES} | {"none", "other"},
    "reason": {"unknown_account", "malformed_body", "account_name", "invalid_request", "invalid_message"},
    "result": {"replayed", "in_flight", "not_due", "id_reused"},
}


def dimensions(capsys: Capture) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for metric in metrics(capsys.readouterr().out):
        for name, value in metric.dimensions.items():
            found.setdefault(name, set()).add(value)
    return found


def check(capsys: Capture) -> dict[str, set[str]]:
    found = dimensions(capsys)
    assert found
    for name, values in found.items():
        assert values <= ALLOWED[name], name
    return found


@pytest.mark.usefixtures("service")
def test_accounts_that_nobody_stored(capsys: Capture) -> None:
    """They come by every door: the API, the queue, the public address, an operator."""
    handle(enqueued())
    event = enqueued(*[body() for _ in MADE_UP])
    for record, account in zip(event["Records"], MADE_UP, strict=True):
        record["body"] = json.dumps({"account": account, "id": account, "message": body()})
    handle(event)
    for account in MADE_UP:
        call(api_event("POST", account, "an-id", body()))
        call(api_event("POST", account, "an-id", body(), wait=False))
        requests.ask(requests.Request(account=account).event())
        refresh({"account": account})
    handle("send_queue/refusals")
    assert check(capsys)["account"] == {"shop"}


def test_errcodes_that_are_not_in_the_table(service: Service, capsys: Capture) -> None:
    for number in range(40):
        service.wechat.plan.append(answer(99999)._replace(errcode=900_000 + number))
        handle(enqueued(key=f"m-{number}"))
    service.add_account("bank", stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(99999)._replace(errcode=910_000))
    refresh({"account": "shop"})
    assert check(capsys)["errcode"] == {"other"}
    refresh({"account": "bank"})
    assert dimensions(capsys)["errcode"] == {"other"}


def test_errcodes_of_the_table_keep_their_number(service: Service, capsys: Capture) -> None:
    service.wechat.plan.append(answer(43101))
    handle(enqueued())
    assert check(capsys)["errcode"] == {"43101"}


@pytest.mark.usefixtures("service")
def test_reasons_are_the_codes_own(capsys: Capture) -> None:
    handle(load_event("send_queue/unreadable"))
    assert check(capsys)["reason"] <= ALLOWED["reason"]
