"""The quota of an endpoint: what is written, and what every answer comes to."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from local.simulator.server import Simulator
from tests.integration.conftest import SHORT
from tests.integration.raw_server import RawServer, Script, answer, json_answer, once, silence
from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.client import WeChatClient

ClientAt = Callable[..., WeChatClient]
ENDPOINT = "/cgi-bin/message/template/send"


def test_question_as_wechat_takes_it(client_at: ClientAt) -> None:
    told = json_answer(errcode=0, errmsg="ok", quota={"daily_limit": 9, "used": 1, "remain": 8})
    with RawServer(once(told)) as server:
        assert client_at(server.url).fetch_quota(ENDPOINT, "57_token") == Quota(9, 1, 8)
    (request,) = server.requests
    assert request.target == "/cgi-bin/openapi/quota/get?access_token=57_token"
    assert json.loads(request.body) == {"cgi_path": ENDPOINT}


@pytest.mark.parametrize(
    ("script", "errcode", "error_class"),
    [
        (once(json_answer(errcode=76022, errmsg="no permission")), 76022, ErrorClass.PERMISSION),
        (once(json_answer(errcode=40001, errmsg="invalid credential 57_token")), 40001, ErrorClass.TOKEN),
        (once(json_answer(errcode=0, errmsg="ok")), None, ErrorClass.TRANSIENT),
        (once(answer(b"<html>", status="502 Bad Gateway")), None, ErrorClass.TRANSIENT),
        (once(answer(b"")), None, ErrorClass.TRANSIENT),
        (silence, None, ErrorClass.TRANSIENT),
    ],
)
def test_no_quota_is_told(
    client_at: ClientAt, script: Script, errcode: int | None, error_class: ErrorClass
) -> None:
    with RawServer(script) as server:
        outcome = client_at(server.url, limits=SHORT).fetch_quota(ENDPOINT, "57_token")
    assert not isinstance(outcome, Quota)
    assert (outcome.errcode, outcome.error_class) == (errcode, error_class)
    assert "57_token" not in repr(outcome)


def test_simulators_quota_is_read(client_at: ClientAt, simulator: Simulator) -> None:
    client = client_at(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    assert client.fetch_quota(ENDPOINT, token) == Quota(100_000, 0, 100_000)
