"""The address to which WeChat pushes an account's events."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from local.simulator.receipts import Callback
from local.simulator.server import Simulator
from tests.integration.conftest import SHORT
from tests.integration.raw_server import RawServer, Script, json_answer, once, silence
from wechat_notify.core.outcomes import ErrorClass, Outcome
from wechat_notify.wechat.client import WeChatClient

ClientAt = Callable[..., WeChatClient]


def test_question_as_wechat_takes_it(client_at: ClientAt) -> None:
    listed = [{"ip": "111.161.64.40", "real_operator": "UNICOM"}, {"ip": "111.161.64.48"}, {}, "x"]
    with RawServer(once(json_answer(dns=listed))) as server:
        found = client_at(server.url).callback_addresses("57_token")
    assert found == ("111.161.64.40", "111.161.64.48")
    (request,) = server.requests
    assert request.target == "/cgi-bin/callback/check?access_token=57_token"
    assert json.loads(request.body) == {"action": "dns", "check_operator": "DEFAULT"}


@pytest.mark.parametrize(
    ("script", "errcode", "error_class"),
    [
        (once(json_answer(errcode=40201, errmsg="invalid url")), 40201, ErrorClass.OTHER),
        (once(json_answer(errcode=40001, errmsg="invalid credential 57_token")), 40001, ErrorClass.TOKEN),
        (once(json_answer(errcode=0)), None, ErrorClass.TRANSIENT),
        (silence, None, ErrorClass.TRANSIENT),
    ],
)
def test_no_address_is_told(
    client_at: ClientAt, script: Script, errcode: int | None, error_class: ErrorClass
) -> None:
    with RawServer(script) as server:
        outcome = client_at(server.url, limits=SHORT).callback_addresses("57_token")
    assert isinstance(outcome, Outcome)
    assert (outcome.errcode, outcome.error_class) == (errcode, error_class)
    assert "57_token" not in repr(outcome)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1:9000", ("127.0.0.1",)), ("shop.example.com", ("203.0.113.10",)), ("shop.invalid", ())],
)
def test_simulators_answer_is_read(
    client_at: ClientAt, simulator: Simulator, host: str, expected: tuple[str, ...]
) -> None:
    client = client_at(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    outcome = client.callback_addresses(token)
    assert isinstance(outcome, Outcome)
    assert outcome.errcode == 40201
    simulator.wechat.callbacks["wxapp"] = Callback(f"http://{host}/v1/callbacks/shop", "t")
    assert client.callback_addresses(token) == expected
