"""The client against sockets: what it writes, what it can read, and what it makes of every way to fail.

What an errcode or the absence of an answer comes to is told in ``tests/unit/wechat``, and what the token
endpoint does in ``tests/integration/contracts``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fakes import body, message
from tests.integration.conftest import SHORT
from tests.integration.raw_server import SENT, RawServer, Script, always, answer, json_answer, once, silence
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits

ClientAt = Callable[..., WeChatClient]

TOKEN = "57_token"
MSGID = 1864323726461255683  # odd, so that no float can hold it
BODY = body("template", data={"keyword1": {"value": "深圳 “é” 😀"}})
MESSAGE = parse_message(BODY)[0]


def send_to(client_at: ClientAt, script: Script, limits: Limits | None = None) -> Outcome:
    """The outcome of one message, which was written once."""
    with RawServer(script) as server:
        outcome = client_at(server.url, limits=limits).send(MESSAGE, TOKEN)
    assert len(server.requests) == 1
    return outcome


def refusal(client_at: ClientAt, script: Script, limits: Limits | None = None) -> Outcome:
    """The outcome of a request for a token that comes to none."""
    with RawServer(script) as server, pytest.raises(TokenUnavailableError) as raised:
        client_at(server.url, limits=limits).fetch_token("wxapp", "app-secret", force=False)
    assert raised.value.outcome.status is Status.FAILED
    return raised.value.outcome


# What goes out


def test_send_is_one_post(client_at: ClientAt) -> None:
    with RawServer(always(SENT)) as server:
        client_at(server.url).send(MESSAGE, "57_a/b+c=&d e")
    (request,) = server.requests
    assert request.target == "/cgi-bin/message/template/send?access_token=57_a%2Fb%2Bc%3D%26d%20e"
    assert "深圳 “é” 😀".encode() in request.body
    assert {"kind": "template", **json.loads(request.body)} == BODY


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


# An answer


def test_success_is_read(client_at: ClientAt) -> None:
    content = b'\xef\xbb\xbf{"errmsg":"\x01 \xff broken","msgid":%d}' % MSGID
    outcome = send_to(client_at, once(answer(content, content_type="image/png")))
    assert (outcome.status, outcome.errcode, outcome.msgid) == (Status.SENT, 0, MSGID)


@pytest.mark.parametrize("status", [200, 202, 302, 400, 429, 500, 502])
def test_json_counts_for_any_status(client_at: ClientAt, status: int) -> None:
    errmsg = "argument invalid! data.thing1.value is emtpy rid: 66695e1c-12345678-9abcdef0"
    content = json.dumps({"errcode": 47003, "errmsg": errmsg}).encode()
    outcome = send_to(client_at, once(answer(content, status=f"{status} Odd")))
    assert (outcome.status, outcome.errcode, outcome.unjudged) == (Status.FAILED, 47003, False)
    assert (outcome.field, outcome.rid) == ("thing1", "66695e1c-12345678-9abcdef0")


def test_outcome_knows_the_kind(client_at: ClientAt) -> None:
    with RawServer(always(json_answer(errcode=-1))) as server:
        client = client_at(server.url)
        assert client.send(MESSAGE, TOKEN).repeats is None
        assert client.send(message("one_time_subscription"), TOKEN).repeats == 4


# No answer


@pytest.mark.parametrize("base_url", ["https://api..weixin.qq.com", "api.weixin.qq.com"])
def test_invalid_address_sends_nothing(client_at: ClientAt, base_url: str) -> None:
    outcome = client_at(base_url).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    with pytest.raises(TokenUnavailableError) as refused:
        client_at(base_url).fetch_token("wxapp", "app-secret", force=False)
    assert refused.value.outcome.error_class is ErrorClass.CONFIG


LOST: dict[str, Script] = {
    "read timeout": silence,
    "truncated": once(SENT[:-1]),
    "not JSON": once(answer(b'{"errcode":0,')),
    "no errcode": once(answer(b'{"errmsg":"ok"}')),
    "odd errcode": once(answer(b'{"errcode":"zero"}')),
    **{
        f"{status} without WeChat's JSON": once(answer(b"<html>", status=f"{status} Oops"))
        for status in (202, 299, 500, 599)
    },
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_lost_answer_is_not_repeated(client_at: ClientAt, script: Script) -> None:
    """A token can be asked for again."""
    outcome = send_to(client_at, script, SHORT)
    assert (outcome.status, outcome.retryable) == (Status.UNKNOWN, False)
    outcome = refusal(client_at, script, SHORT)
    assert outcome.errcode is not None or (outcome.error_class, outcome.retryable) == (
        ErrorClass.TRANSIENT,
        True,
    )


@pytest.mark.parametrize(
    ("status", "error_class", "holds", "token_holds"),
    [
        (300, ErrorClass.CONFIG, None, None),
        (400, ErrorClass.CONFIG, None, None),
        (404, ErrorClass.CONFIG, None, None),
        (408, ErrorClass.TRANSIENT, None, None),
        (429, ErrorClass.RATE_LIMIT, HoldScope.KIND, HoldScope.ACCOUNT),
        (499, ErrorClass.CONFIG, None, None),
    ],
)
def test_refusal_without_json(
    client_at: ClientAt,
    status: int,
    error_class: ErrorClass,
    holds: HoldScope | None,
    token_holds: HoldScope | None,
) -> None:
    script = once(answer(b"<html>no</html>", status=f"{status} No"))
    outcome = send_to(client_at, script)
    assert (outcome.status, outcome.error_class, outcome.holds) == (Status.FAILED, error_class, holds)
    assert f"HTTP {status}" in outcome.hint.en
    outcome = refusal(client_at, script)
    assert (outcome.error_class, outcome.holds) == (error_class, token_holds)


# The token endpoint


@pytest.mark.parametrize(
    "grant",
    [
        b'"access_token":"","expires_in":7200',
        b'"access_token":5,"expires_in":7200',
        b'"access_token":"half a \\ud83d","expires_in":7200',
        b'"access_token":"token"',
        b'"access_token":"token","expires_in":0',
        b'"access_token":"token","expires_in":true',
        b'"access_token":"token","expires_in":"soon"',
        b'"access_token":"token","expires_in":1000000001',
        b'"access_token":"token","expires_in":1e999',
    ],
)
def test_incomplete_grant_is_refused(client_at: ClientAt, grant: bytes) -> None:
    assert refusal(client_at, once(answer(b"{%b}" % grant))).retryable
