"""The client against sockets: what it writes, what it can read, and what it makes of every way to fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from local.simulator.server import Simulator
from tests.integration.conftest import SHORT
from tests.integration.raw_server import (
    SENT,
    RawServer,
    Script,
    always,
    answer,
    json_answer,
    once,
    reset,
    silence,
)
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits

ClientAt = Callable[..., WeChatClient]

TOKEN = "57_token"
OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
MSGID = 1864323726461255683  # odd, so that no float can hold it

MESSAGE = parse_message(
    {
        "kind": "template",
        "touser": OPENID,
        "template_id": "template-1",
        "data": {"keyword1": {"value": "深圳 “é” 😀"}},
    }
)[0]


def send_to(client_at: ClientAt, script: Script) -> Outcome:
    with RawServer(script) as server:
        return client_at(server.url).send(MESSAGE, TOKEN)


# What goes out


def test_send_is_one_post(client_at: ClientAt) -> None:
    with RawServer(always(SENT)) as server:
        client_at(server.url + "/").send(MESSAGE, "57_a/b+c=&d e")
    (request,) = server.requests
    assert request.target == "/cgi-bin/message/template/send?access_token=57_a%2Fb%2Bc%3D%26d%20e"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["content-length"] == str(len(request.body))
    assert "深圳 “é” 😀".encode() in request.body
    assert b"\\u" not in request.body
    assert json.loads(request.body) == {
        "touser": OPENID,
        "template_id": "template-1",
        "data": {"keyword1": {"value": "深圳 “é” 😀"}},
    }


def test_token_request_hides_the_secret(client_at: ClientAt) -> None:
    with RawServer(always(json_answer(access_token="new", expires_in=345))) as server:
        grant = client_at(server.url).fetch_token("wxapp", "s/e?c&ret-密", force=True)
    (request,) = server.requests
    assert (grant.value, grant.expires_in) == ("new", 345.0)
    assert request.target == "/cgi-bin/stable_token"
    assert "s/e?c&ret-密".encode() in request.body
    assert json.loads(request.body) == {
        "grant_type": "client_credential",
        "appid": "wxapp",
        "secret": "s/e?c&ret-密",
        "force_refresh": True,
    }


# What can be read


@pytest.mark.parametrize(
    "written",
    [
        json_answer(errcode=0, errmsg="ok", msgid=MSGID),
        json_answer(errcode="0", errmsg="ok", msgid=str(MSGID)),
        answer(json.dumps({"errcode": 0, "msgid": MSGID}).encode(), content_type="text/plain"),
        answer(b"\xef\xbb\xbf" + json.dumps({"msgid": MSGID}).encode(), content_type="image/png"),
        answer(b'{"errcode":0,"errmsg":"\x01 \xff broken","msgid":%d}' % MSGID),
        b'HTTP/1.1 200 OK\r\n\r\n{"errcode":0,"msgid":%d}' % MSGID,
    ],
    ids=["plain", "strings", "text/plain", "no errcode", "broken UTF-8", "ends with the connection"],
)
def test_success_is_read_in_any_form(client_at: ClientAt, written: bytes) -> None:
    outcome = send_to(client_at, once(written))
    assert outcome.status is Status.SENT
    assert outcome.msgid == MSGID
    assert outcome.errcode == 0


def test_refusal_has_errcode_rid_and_field(client_at: ClientAt) -> None:
    errmsg = "argument invalid! data.thing1.value is emtpy rid: 66695e1c-12345678-9abcdef0"
    outcome = send_to(client_at, once(json_answer(errcode="47003", errmsg=errmsg)))
    assert (outcome.status, outcome.error_class, outcome.retryable) == (
        Status.FAILED,
        ErrorClass.REQUEST,
        False,
    )
    assert (outcome.errcode, outcome.field) == (47003, "thing1")
    assert (outcome.rid, outcome.errmsg) == ("66695e1c-12345678-9abcdef0", errmsg)


# Nothing left the machine: repeat


def assert_nothing_was_sent(outcome: Outcome) -> None:
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.TRANSIENT)
    assert outcome.retryable
    assert outcome.retry_after
    assert "nothing was sent" in outcome.hint.en


def test_a_refused_connection_can_be_repeated(client_at: ClientAt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert_nothing_was_sent(client_at(f"http://127.0.0.1:{port}").send(MESSAGE, TOKEN))


@pytest.mark.parametrize("base_url", ["https://api..weixin.qq.com", "api.weixin.qq.com", "ftp://127.0.0.1"])
def test_invalid_address_sends_nothing(client_at: ClientAt, base_url: str) -> None:
    outcome = client_at(base_url).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.unjudged, outcome.retryable) == (True, False)
    with pytest.raises(TokenUnavailableError) as refused:
        client_at(base_url).fetch_token("wxapp", "app-secret", force=False)
    assert refused.value.outcome.error_class is ErrorClass.CONFIG


# The message may have gone out: do not repeat


LOST: dict[str, Script] = {
    "closed without an answer": once(b""),
    "reset": reset,
    "read timeout": silence,
    "truncated": once(SENT[:-1]),
    "too large": once(answer(b'{"errcode":0,"msgid":1}'.ljust(200_000))),
    "empty": once(answer(b"")),
    "not JSON": once(answer(b'{"errcode":0,')),
    "no object": once(answer(b"[0]")),
    "a page": once(answer(b"<html>system is busy</html>", content_type="text/html")),
    "no errcode": once(answer(b'{"errmsg":"ok"}')),
    "odd errcode": once(answer(b'{"errcode":"zero"}')),
    "no HTTP": once(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "202 without WeChat's JSON": once(answer(b"", status="202 Accepted")),
    "204": once(b"HTTP/1.1 204 No Content\r\n\r\n"),
    **{
        f"{status} without WeChat's JSON": once(answer(b"<html>", status=f"{status} Oops"))
        for status in (500, 502, 503, 504, 599)
    },
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_lost_answer_is_not_repeated(client_at: ClientAt, script: Script) -> None:
    with RawServer(script) as server:
        outcome = client_at(server.url, limits=SHORT).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.UNKNOWN, ErrorClass.UNKNOWN)
    assert not outcome.retryable
    assert outcome.errcode is None
    assert len(server.requests) == 1


# Refused on the way


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", ["{other}/there?access_token=x", "/here", "http://[", "\xff"])
def test_no_redirect_is_followed(client_at: ClientAt, status: int, location: str) -> None:
    with RawServer(once(SENT)) as other:
        header = f"Location: {location.format(other=other.url)}"
        with RawServer(once(answer(b"", header, status=f"{status} Moved"))) as server:
            outcome = client_at(server.url).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.retryable, outcome.unjudged) == (False, True)
    assert str(status) in outcome.hint.en
    assert other.accepted == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 451])
def test_refusal_without_json_is_config_error(client_at: ClientAt, status: int) -> None:
    outcome = send_to(client_at, once(answer(b"<html>no</html>", status=f"{status} No")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.retryable, outcome.unjudged) == (False, True)
    assert f"HTTP {status}" in outcome.hint.en


def test_request_timeout_can_be_repeated(client_at: ClientAt) -> None:
    assert_nothing_was_sent(send_to(client_at, once(answer(b"", status="408 Request Timeout"))))


def test_http_429_is_a_rate_limit(client_at: ClientAt) -> None:
    outcome = send_to(client_at, once(answer(b"", status="429 Too Many Requests")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.RATE_LIMIT)
    assert outcome.retryable
    assert (outcome.retry_after, outcome.holds, outcome.unjudged) == (60, Holds.KIND, True)


@pytest.mark.parametrize(
    ("errcode", "kind", "holds", "repeats"),
    [
        (0, "template", None, None),
        (-1, "template", None, None),
        (-1, "one_time_subscription", None, 4),
        (40001, "template", Holds.KIND, 2),
        (40013, "template", None, None),  # the mini program that the message opens: no other has it
        (40037, "template", None, 2),
        (40241, "template", None, None),
        (43101, "template", None, None),
        (43107, "template", Holds.TEMPLATE, None),
        (43108, "template", None, None),
        (43117, "template", None, None),
        (45009, "template", Holds.KIND, None),
        (45011, "template", Holds.KIND, None),
        (46101, "template", Holds.KIND, None),
        (48001, "template", Holds.KIND, None),
        (50007, "template", Holds.ACCOUNT, None),
        (99999, "template", None, None),
    ],
)
def test_errcode_has_holds_and_repeats(
    client_at: ClientAt, errcode: int, kind: str, holds: Holds | None, repeats: int | None
) -> None:
    body = {"scene": "1", "title": "x"} if kind == "one_time_subscription" else {}
    data = {"content": {"value": "x"}} if body else {"thing1": {"value": "x"}}
    what, _ = parse_message({"kind": kind, "touser": OPENID, "template_id": "t", "data": data, **body})
    with RawServer(once(json_answer(errcode=errcode, errmsg="x"))) as server:
        outcome = client_at(server.url).send(what, TOKEN)
    assert (outcome.errcode, outcome.holds, outcome.repeats) == (errcode, holds, repeats)


@pytest.mark.parametrize("script", [once(b""), once(answer(b"<html>", status="404 Not Found"))])
def test_missing_answer_holds_nothing(client_at: ClientAt, script: Script) -> None:
    outcome = send_to(client_at, script)
    assert (outcome.holds, outcome.repeats) == (None, None)


@pytest.mark.parametrize("status", [302, 400, 404, 412, 429, 500, 502])
def test_json_counts_for_any_status(client_at: ClientAt, status: int) -> None:
    body = b'{"errcode":43101,"errmsg":"user refuse to accept the msg"}'
    outcome = send_to(client_at, once(answer(body, status=f"{status} Odd")))
    assert (outcome.status, outcome.errcode) == (Status.FAILED, 43101)
    assert (outcome.error_class, outcome.unjudged) == (ErrorClass.RECIPIENT, False)


# The token endpoint


def fetch(client_at: ClientAt, script: Script, limits: Limits | None = None) -> Outcome:
    with RawServer(script) as server, pytest.raises(TokenUnavailableError) as raised:
        client_at(server.url, limits=limits).fetch_token("wxapp", "app-secret", force=False)
    assert raised.value.outcome.status is Status.FAILED
    return raised.value.outcome


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_lost_token_can_be_requested_again(client_at: ClientAt, script: Script) -> None:
    outcome = fetch(client_at, script, SHORT)
    assert outcome.error_class in {ErrorClass.TRANSIENT, ErrorClass.CONFIG}
    assert outcome.errcode is not None or outcome.retryable


@pytest.mark.parametrize(
    "grant",
    [
        {"access_token": "", "expires_in": 7200},
        {"access_token": None, "expires_in": 7200},
        {"access_token": 5, "expires_in": 7200},
        {"access_token": "half a \ud83d", "expires_in": 7200},
        {"access_token": "token"},
        {"access_token": "token", "expires_in": 0},
        {"access_token": "token", "expires_in": -5},
        {"access_token": "token", "expires_in": True},
        {"access_token": "token", "expires_in": "soon"},
        {"access_token": "token", "expires_in": 10**400},
    ],
    ids=lambda grant: str(grant)[:60],
)
def test_incomplete_grant_is_refused(client_at: ClientAt, grant: dict[str, object]) -> None:
    assert fetch(client_at, once(json_answer(**grant))).retryable


def test_wrong_base_url_is_config_error(client_at: ClientAt) -> None:
    outcome = fetch(client_at, once(answer(b"<html>no</html>", status="404 Not Found")))
    assert (outcome.error_class, outcome.retryable) == (ErrorClass.CONFIG, False)
    assert "WeChatApiBase" in outcome.hint.en


def test_token_rate_limit_holds_the_account(client_at: ClientAt) -> None:
    outcome = fetch(client_at, once(answer(b"", status="429 Too Many Requests")))
    assert (outcome.error_class, outcome.holds) == (ErrorClass.RATE_LIMIT, Holds.ACCOUNT)


def test_infinite_grant_is_refused(client_at: ClientAt) -> None:
    assert fetch(client_at, once(answer(b'{"access_token":"token","expires_in":1e999}'))).retryable


def test_wrong_secret_is_no_token_error(client_at: ClientAt) -> None:
    outcome = fetch(client_at, once(json_answer(errcode=40001, errmsg="invalid credential rid: 1-2-3")))
    assert (outcome.error_class, outcome.retryable, outcome.errcode) == (ErrorClass.CONFIG, False, 40001)
    assert "AppSecret" in outcome.hint.en
    assert outcome.rid == "1-2-3"


@pytest.mark.parametrize(
    ("errcode", "error_class", "holds"),
    [
        (40001, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40013, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40014, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40125, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40164, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40243, ErrorClass.CONFIG, Holds.ACCOUNT),
        (50007, ErrorClass.BANNED, Holds.ACCOUNT),
        (45009, ErrorClass.QUOTA, Holds.ACCOUNT),
        (45011, ErrorClass.RATE_LIMIT, Holds.ACCOUNT),
        (-1, ErrorClass.TRANSIENT, None),
        (99999, ErrorClass.OTHER, None),
    ],
)
def test_token_errors_hold_the_account(
    client_at: ClientAt, errcode: int, error_class: ErrorClass, holds: Holds | None
) -> None:
    outcome = fetch(client_at, once(json_answer(errcode=errcode, errmsg="x")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, error_class)
    assert (outcome.holds, outcome.repeats) == (holds, None)


@pytest.mark.parametrize(
    ("app_id", "secret", "errcode"), [("wxapp", "wrong", 40125), ("wxother", "app-secret", 40013)]
)
def test_the_token_endpoint_refuses(
    client_at: ClientAt, simulator: Simulator, app_id: str, secret: str, errcode: int
) -> None:
    with pytest.raises(TokenUnavailableError) as raised:
        client_at(simulator.url).fetch_token(app_id, secret, force=False)
    assert raised.value.outcome.errcode == errcode
    assert raised.value.outcome.error_class is ErrorClass.CONFIG


def test_force_replaces_the_token(client_at: ClientAt, simulator: Simulator) -> None:
    client = client_at(simulator.url)
    first = client.fetch_token("wxapp", "app-secret", force=False)
    again = client.fetch_token("wxapp", "app-secret", force=False)
    forced = client.fetch_token("wxapp", "app-secret", force=True)
    assert again.value == first.value != forced.value
    assert 0 < again.expires_in <= first.expires_in <= 7200
