"""The fakes of this simulation under the contract tests that moto and the emulator pass.

The service's real adapters stand between the tests and the fakes, as they do in the simulation. Known
differences: no eventual consistency, no item sizes, no expiry by ``ttl``, no long polling, no batch
windows, no message sizes; DynamoDB knows the one condition that the adapter uses. WeChat's own rules are
compared in ``test_wechat_keeps_its_rules``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.integration.test_contracts import (
    BothSides,
    DynamoDbLedgerAt,
    LedgerAt,
    QueueAt,
    SsmStore,
    Store,
    TestLedgerStore,
    TestQueue,
    fail_with,
    test_a_store_that_is_down_says_so_with_awss_code,
    test_a_token_alone_makes_no_account,
    test_all_accounts_are_loaded_the_broken_ones_too,
    test_an_account_that_is_none_is_unknown_and_has_no_token,
    test_an_account_with_credentials_has_a_source_and_no_problem,
    test_credentials_that_cannot_be_used_are_a_problem_and_no_error,
    test_what_is_saved_is_read_and_loaded,
)
from tests.simulation.aws import Boto, FakeParameters, SqsApi, Weather
from tests.simulation.dynamodb import FakeDynamoDb
from tests.simulation.scheduler import Scheduler
from tests.simulation.sqs import FakeSqs
from tests.simulation.wechat import TEMPLATE, FakeWeChat
from tests.simulation.world import START
from wechat_notify.aws import clients
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.aws.sqs import Queue

__all__ = [
    "TestLedgerStore",
    "TestQueue",
    "test_a_store_that_is_down_says_so_with_awss_code",
    "test_a_token_alone_makes_no_account",
    "test_all_accounts_are_loaded_the_broken_ones_too",
    "test_an_account_that_is_none_is_unknown_and_has_no_token",
    "test_an_account_with_credentials_has_a_source_and_no_problem",
    "test_credentials_that_cannot_be_used_are_a_problem_and_no_error",
    "test_what_is_saved_is_read_and_loaded",
]


def _lend(monkeypatch: pytest.MonkeyPatch, service: str, api: object) -> None:
    one_at_a_time = threading.Lock()  # here are real threads

    def exchange(_operation: str, _subject: str, _seconds: float, effect: Callable[[], Any], **_: Any) -> Any:
        with one_at_a_time:
            return effect()

    boto = Boto(
        service,
        api,
        patient=False,
        chance=Random(0),
        weather=lambda _: Weather(),
        exchange=exchange,
        sleep=lambda _: None,
        given_up=lambda *_: None,
        lost=lambda _: None,
    )
    monkeypatch.setattr(clients, "_client", lambda *_: boto)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> LedgerAt:
    _lend(monkeypatch, "dynamodb", FakeDynamoDb())
    return DynamoDbLedgerAt(LedgerTable("ledger", 86_400.0), "shop", monkeypatch)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    from tests.integration.conftest import PATH  # noqa: PLC0415 - a conftest is no module to begin with

    parameters = FakeParameters(lambda: START)
    _lend(monkeypatch, "ssm", parameters)

    def put(name: str, value: str) -> None:
        parameters.values[f"{PATH}/{name}"] = value

    return SsmStore(put, monkeypatch)


class _QueueAt:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._scheduler = Scheduler(START)
        self._sqs = FakeSqs(self._scheduler, "send")
        self._monkeypatch = monkeypatch
        _lend(monkeypatch, "sqs", SqsApi({"url": self._sqs}, Random(0), lambda: 0.0))
        self.queue: BothSides = Queue("url")

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        return [(stored.body, dict(stored.attributes)) for stored in self._sqs.receive(10, Random(0), 0.0)]

    def groups(self) -> dict[str, str | None]:
        return {stored.body: stored.group for stored in self._sqs.receive(10, Random(0), 0.0)}

    def hidden(self) -> int:
        return len(self._sqs.messages) - len(self._sqs.receive(100, Random(0), 0.0)) - self._in_flight()

    def _in_flight(self) -> int:
        return sum(stored.receipt is not None for stored in self._sqs.messages.values())

    def receipt_handle(self) -> str:
        self.queue.send("body")
        (stored,) = self._sqs.receive(1, Random(0), 0.0)
        assert stored.receipt is not None
        return stored.receipt

    def break_down(self, code: str) -> None:
        self._monkeypatch.setattr(clients, "client", lambda _service, **_: fail_with(code))


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> QueueAt:
    return _QueueAt(monkeypatch)


# ---------------------------------------------------------------- what no other fake has


def _sqs(receives_most: int = 3) -> tuple[Scheduler, FakeSqs, FakeSqs]:
    scheduler = Scheduler(START)
    dead = FakeSqs(scheduler, "dead")
    return scheduler, FakeSqs(scheduler, "send", dead_letters=dead, receives_most=receives_most), dead


def test_a_message_comes_back_until_it_is_deleted_or_dead() -> None:
    scheduler, queue, dead = _sqs()
    queue.put("body", attributes={"held_since": "1"})
    for receives in (1, 2, 3):
        (stored,) = queue.receive(10, Random(0), 0.0)
        assert stored.receives == receives
        assert queue.receive(10, Random(0), 0.0) == []
        scheduler.now += 419
        assert queue.receive(10, Random(0), 0.0) == []
        scheduler.now += 1
    assert queue.receive(10, Random(0), 0.0) == []
    assert not queue.messages
    assert [(stored.body, stored.attributes) for stored in dead.messages.values()] == [
        ("body", {"held_since": "1"})
    ]


def test_a_group_with_much_in_flight_waits_for_the_others() -> None:
    _, queue, _ = _sqs()
    for number in range(50):
        queue.put(f"noisy {number}", group="noisy")
    queue.receive(10, Random(0), 0.0)
    queue.put("quiet", group="quiet")
    assert "quiet" in {stored.body for stored in queue.receive(10, Random(0), 0.0)}


def test_an_old_receipt_hides_nothing_any_more() -> None:
    scheduler, queue, _ = _sqs(10)
    queue.put("body")
    (first,) = queue.receive(1, Random(0), 0.0)
    old = first.receipt or ""
    scheduler.now += 420
    queue.receive(1, Random(0), 0.0)
    with pytest.raises(Exception, match="MessageNotInflight"):
        queue.hide(old, 0)


def test_wechat_keeps_its_rules() -> None:
    now = START
    wechat = FakeWeChat(lambda: now, Random(0))
    app = wechat.add("shop", "secret")

    def token(*, force: bool = False) -> Any:
        return wechat.give_token({"appid": app.app_id, "secret": "secret", "force_refresh": force})

    def send(value: str, client_msg_id: str = "1", openid: str = "o1") -> Any:
        body = {"touser": openid, "data": {"thing1": {"value": "m1"}}, "client_msg_id": client_msg_id}
        return wechat.take(TEMPLATE, value, body, 0.1, None)["errcode"]

    first = token()
    now += 100
    assert token() == {**first, "expires_in": 7100}
    assert send(first["access_token"]) == 0
    assert send(first["access_token"], "2") == 43108
    now += 1
    assert send(first["access_token"]) == 0
    assert len(wechat.accepted) == 1  # the second copy was dropped
    forced = token(force=True)
    assert send(first["access_token"]) == 40001
    assert token(force=True) == forced  # within 30 s
    now += 30
    assert token(force=True) != forced
    assert wechat.give_token({"appid": app.app_id, "secret": "wrong"})["errcode"] == 40125
    old = token()["access_token"]
    now += 6950
    new = token()["access_token"]
    assert new != old
    assert send(old, openid="o2") == send(new, openid="o3") == 0  # both, for 5 minutes
    now += 301
    assert send(old, openid="o4") == 40001
