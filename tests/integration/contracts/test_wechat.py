"""WeChat: the fake, and the client before the simulator."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from local.simulator.server import Simulator
from tests import fakes
from wechat_notify.core.delivery.sender import MessageApi
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.tokens.token import Grant, TokenSource
from wechat_notify.wechat.client import WeChatClient


class WeChatAt(Protocol):
    api: MessageApi
    source: TokenSource
    wrong_source: TokenSource

    def message_for(self, errcode: int) -> Message:
        """A message that will be answered so."""

    def hold(self, inside: Callable[[], None]) -> None:
        """From now on call this while a message is in flight."""


class FakeWeChatAt:
    def __init__(self) -> None:
        self._wechat = fakes.FakeWeChat(fakes.Clock())
        self.api: MessageApi = self._wechat
        self.source = self._wechat.app("wxapp", "app-secret")
        self.wrong_source = self._wechat.app("wxapp", "wrong")

    def message_for(self, errcode: int) -> Message:
        if errcode:
            self._wechat.plan.append(fakes.answer(errcode))
        return fakes.message()

    def hold(self, inside: Callable[[], None]) -> None:
        self._wechat.while_in_flight = lambda _message: inside()


class _HttpSource:
    def __init__(self, client: WeChatClient, secret: str) -> None:
        self._client = client
        self._secret = secret

    def fetch(self, *, force: bool) -> Grant:
        return self._client.fetch_token("wxapp", self._secret, force=force)


class SimulatedWeChatAt:
    def __init__(self, simulator: Simulator, client: WeChatClient) -> None:
        self._simulator = simulator
        self.api: MessageApi = client
        self.source: TokenSource = _HttpSource(client, "app-secret")
        self.wrong_source: TokenSource = _HttpSource(client, "wrong")

    def message_for(self, errcode: int) -> Message:
        return fakes.message(touser=f"errcode-{errcode}" if errcode else fakes.OPENID)

    def hold(self, inside: Callable[[], None]) -> None:
        self._simulator.wechat.settings.latency = 0.001
        self._simulator.wechat._wait = lambda _seconds: inside()


@pytest.fixture(params=["fake", "HTTP"])
def wechat(request: pytest.FixtureRequest) -> WeChatAt:
    if request.param == "fake":
        return FakeWeChatAt()
    simulator: Simulator = request.getfixturevalue("simulator")
    return SimulatedWeChatAt(simulator, request.getfixturevalue("client_at")(simulator.url))


def facts(outcome: Outcome) -> tuple[object, ...]:
    """What anything may be decided by."""
    return (
        outcome.status,
        outcome.error_class,
        outcome.retryable,
        outcome.errcode,
        outcome.retry_after,
        outcome.rid is None,
        outcome.msgid is None,
        outcome.unjudged,
    )


@pytest.mark.parametrize("errcode", fakes.ERRCODES)
def test_errcode_has_the_same_outcome(wechat: WeChatAt, errcode: int) -> None:
    token = wechat.source.fetch(force=False).value
    outcome = wechat.api.send(wechat.message_for(errcode), token)
    expected = fakes.answer(errcode, msgid=1) if errcode == 0 else fakes.answer(errcode)
    if outcome.error_class is ErrorClass.DUPLICATE:
        outcome, expected = (
            Outcome(each.status, each.error_class, each.hint, each.retryable, each.errcode)
            for each in (outcome, expected)
        )
    assert facts(outcome) == facts(expected)


def test_msgids_are_exact_integers_that_differ(wechat: WeChatAt) -> None:
    token = wechat.source.fetch(force=False).value
    first, second = (wechat.api.send(wechat.message_for(0), token).msgid for _ in range(2))
    assert first is not None
    assert second is not None
    assert first != second
    assert min(first, second) > 2**53


def test_unknown_token_is_rejected(wechat: WeChatAt) -> None:
    wechat.source.fetch(force=False)
    outcome = wechat.api.send(wechat.message_for(0), "57_" + "x" * 100)
    assert facts(outcome) == facts(fakes.answer(40001))


def test_forced_refresh_replaces_the_token(wechat: WeChatAt) -> None:
    first, again = (wechat.source.fetch(force=False) for _ in range(2))
    forced = wechat.source.fetch(force=True)
    assert first.value == again.value != forced.value
    assert 0 < forced.expires_in <= 7200
    assert wechat.source.fetch(force=True).value == forced.value  # a second one at once has no effect
    assert wechat.api.send(wechat.message_for(0), first.value).errcode == 40001
    assert wechat.api.send(wechat.message_for(0), forced.value).status is Status.SENT


def test_wrong_secret_is_a_config_error(wechat: WeChatAt) -> None:
    wechat.source.fetch(force=False)
    with pytest.raises(TokenUnavailableError) as raised:
        wechat.wrong_source.fetch(force=False)
    assert facts(raised.value.outcome) == facts(fakes.answer(40125))


def test_concurrent_messages_to_one_openid_conflict(wechat: WeChatAt) -> None:
    token = wechat.source.fetch(force=False).value
    in_flight, go_on = threading.Event(), threading.Event()

    def inside() -> None:
        in_flight.set()
        go_on.wait(5)

    wechat.hold(inside)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(wechat.api.send, wechat.message_for(0), token)
        try:
            assert in_flight.wait(5)
            second = wechat.api.send(wechat.message_for(0), token)
        finally:
            go_on.set()
        assert first.result(5).status is Status.SENT
    assert facts(second) == facts(fakes.answer(43108))
