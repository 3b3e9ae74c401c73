"""The fakes of this simulation under the contract tests that moto and the emulator pass.

The service's real adapters and its real ``Clients`` stand between the tests and the fakes, as they do in the
simulation. Known differences: no eventual consistency, no item sizes, no expiry by ``ttl``, no long polling,
no batch windows, no message sizes; DynamoDB knows the one condition that the adapter uses. WeChat's own
rules are compared in ``test_wechat_keeps_its_rules``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from functions.token_refresh.handler import lambda_handler as token_refresh
from tests import fakes
from tests.chaos import service as chaos_service
from tests.fakes.aws import Refusal
from tests.fakes.aws.dynamodb import FakeDynamoDb
from tests.fakes.aws.event_bus import EventsApi
from tests.fakes.aws.functions import LambdaApi
from tests.fakes.aws.s3 import FakeS3
from tests.fakes.aws.sqs import MAX_RECEIVES, VISIBILITY_TIMEOUT, FakeSqs, SqsApi, Stored
from tests.fakes.aws.ssm import FakeParameters
from tests.integration.conftest import PATH
from tests.integration.contracts.samples import (
    BothSides,
    Bus,
    BusAt,
    DynamoDbLedgerAt,
    DynamoDbReceiptsAt,
    LedgerAt,
    QueueAt,
    ReceiptsAt,
    SsmStore,
    Store,
    entry,
)
from tests.integration.contracts.test_aws_failures import *  # noqa: F403 - the tests, here and below
from tests.integration.contracts.test_aws_failures import Down
from tests.integration.contracts.test_event_bus import *  # noqa: F403
from tests.integration.contracts.test_ledger_store import *  # noqa: F403
from tests.integration.contracts.test_objects import (  # noqa: F401 - but those of signed URLs, which boto3 makes
    test_composed,
    test_etag_is_the_version,
    test_nothing_under_a_key,
    test_written_and_read,
)
from tests.integration.contracts.test_parameter_store import *  # noqa: F403
from tests.integration.contracts.test_queue import *  # noqa: F403
from tests.integration.contracts.test_receipt_index import *  # noqa: F403
from tests.integration.contracts.test_refresher import *  # noqa: F403
from tests.integration.contracts.test_refresher import RefresherAt
from tests.simulation.clients import Aws, Faults, WatchedClients
from tests.simulation.wechat import TEMPLATE, FakeWeChat
from tests.simulation.world.setting import START, TIMEOUTS, loops_allowed
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.objects import Bucket
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.broadcasts.ports import Objects
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.tokens.token import Refresher

Lend = Callable[..., WatchedClients]


@pytest.fixture
def lend() -> Iterator[Lend]:
    """Makes clients of the given services, with the given faults."""
    unexpected_calls: list[str] = []
    pauses: list[float] = []
    one_at_a_time = threading.Lock()  # here are real threads

    def exchange(_operation: str, _subject: str, _seconds: float, effect: Callable[[], Any], **_: Any) -> Any:
        with one_at_a_time:
            return effect()

    def make(faults: Faults | None = None, **apis: object) -> WatchedClients:
        aws = Aws(apis, Random(0), lambda _: faults or Faults(), exchange)
        return WatchedClients(
            aws,
            unexpected_calls=unexpected_calls.append,
            given_up=lambda _: None,
            clock=lambda: sum(pauses),
            sleep=pauses.append,
        )

    yield make
    assert unexpected_calls == []


@pytest.fixture
def ledger(lend: Lend) -> LedgerAt:
    return DynamoDbLedgerAt(lend(dynamodb=FakeDynamoDb(Random(0))), "ledger", "shop")


@pytest.fixture
def receipts(lend: Lend) -> ReceiptsAt:
    return DynamoDbReceiptsAt(lend(dynamodb=FakeDynamoDb(Random(0))), "ledger")


@pytest.fixture
def store(lend: Lend) -> Store:
    parameters = FakeParameters(lambda: START)

    def put(name: str, value: str) -> None:
        parameters.values[f"{PATH}/{name}"] = value

    return SsmStore(lend(ssm=parameters), put)


@pytest.fixture
def objects(lend: Lend) -> Objects:
    return Bucket(lend(s3=FakeS3(time.time)), "files")


def test_large_object_is_composed_of_parts(lend: Lend) -> None:
    bucket, parts = FakeS3(time.time), [bytes([number]) * 5_000_000 for number in range(4)]
    objects = Bucket(lend(s3=bucket), "files")
    for number, part in enumerate(parts):
        objects.write(f"parts/{number}", part)
    objects.compose("whole", [f"parts/{number}" for number in range(4)])
    assert (bucket.objects["whole"], bucket.uploads) == (b"".join(parts), {})


class _QueueAt:
    def __init__(self, lend: Lend) -> None:
        self._sqs = FakeSqs(lambda: START, "send")
        self.queue: BothSides = Queue(lend(sqs=SqsApi({"url": self._sqs}, Random(0), lambda: 0.0)), "url")

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        return [(stored.body, dict(stored.attributes)) for stored in self._received()]

    def groups(self) -> dict[str, str | None]:
        return {stored.body: stored.group for stored in self._received()}

    def _received(self) -> list[Stored]:
        return self._sqs.receive(10, Random(0), 0.0)

    def hidden(self) -> int:
        self._received()
        return sum(stored.receipt is None for stored in self._sqs.messages.values())

    def receipt_handle(self) -> str:
        self.queue.send("body")
        (stored,) = self._received()
        assert stored.receipt is not None
        return stored.receipt


@pytest.fixture
def queue(lend: Lend) -> QueueAt:
    return _QueueAt(lend)


class _BusAt:
    def __init__(self, lend: Lend) -> None:
        self._api = EventsApi(Random(0), lambda: 0.0)
        self.bus: Bus = EventBus(lend(events=self._api), "bus")

    def arrived(self) -> list[DomainEvent]:
        return [DomainEvent(each["DetailType"], json.loads(each["Detail"])) for each in self._api.published]


@pytest.fixture
def bus(lend: Lend) -> BusAt:
    return _BusAt(lend)


class _RefresherAt:
    def __init__(self, lend: Lend, service: fakes.Service) -> None:
        self.service = service
        self.refresher: Refresher = RefreshFunction(
            lend(**{"lambda": LambdaApi(self._begin, lambda answer, _: answer)}), "token-refresh"
        )
        self._busy = False

    def make_busy(self) -> None:
        self._busy = True

    def _begin(self, event: dict[str, Any]) -> Any:
        if self._busy:
            return None
        try:
            return False, token_refresh(event, fakes.FakeContext())
        except Exception as error:  # noqa: BLE001 - Lambda answers every error of a function so
            return True, {"errorMessage": str(error)}


@pytest.fixture  # type: ignore[no-redef] # instead of the one that came with the tests
def refresher(lend: Lend, monkeypatch: pytest.MonkeyPatch) -> RefresherAt:
    service = fakes.Service()
    service.lend(monkeypatch)
    return _RefresherAt(lend, service)


class _Refusing:
    def __getattr__(self, _operation: str) -> Callable[..., None]:
        return self._refuse

    @staticmethod
    def _refuse(**_: object) -> None:
        raise Refusal("InternalError")


@pytest.fixture  # type: ignore[no-redef] # instead of the one that came with the tests
def down(lend: Lend) -> Down:
    clients = lend(**dict.fromkeys(("dynamodb", "events", "sqs", "ssm"), _Refusing()))
    store = SsmStore(clients, lambda *_: None)
    return Down(
        store.reader,
        store.accounts,
        Queue(clients, "url"),
        LedgerTable(clients, "ledger", 86_400.0),
        EventBus(clients, "bus"),
    )


# ---------------------------------------------------------------- what no other fake has


@pytest.mark.parametrize(
    ("faults", "stored"), [(Faults(request_lost=1.0), False), (Faults(answer_lost=1.0), True)]
)
def test_lost_write_may_be_stored(lend: Lend, faults: Faults, *, stored: bool) -> None:
    api = FakeDynamoDb(Random(0))
    with pytest.raises(StorageError):
        LedgerTable(lend(faults, dynamodb=api), "ledger", 86_400.0).put(entry("shop"))
    existing = LedgerTable(lend(dynamodb=api), "ledger", 86_400.0).read("shop", "1")
    assert existing == (entry("shop") if stored else None)


def test_timeouts_match_the_template() -> None:
    resources = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text("utf-8"))["Resources"]
    timeouts = {name: resources[name]["Properties"]["Timeout"] for name in TIMEOUTS}
    assert timeouts == TIMEOUTS
    assert list(timeouts.values()) == [seconds for _, seconds in chaos_service._FUNCTIONS.values()]
    queue = resources["SendQueue"]["Properties"]
    assert queue["VisibilityTimeout"] == VISIBILITY_TIMEOUT
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES


def test_recursive_loop_follows_the_template() -> None:
    text = (Path(__file__).parents[2] / "template.yaml").read_text("utf-8")
    properties = yaml_parse(text)["Resources"]["SendQueueFunction"]["Properties"]
    assert loops_allowed(text) == ("Allow" in str(properties.get("RecursiveLoop", "")))
    without = "".join(line for line in text.splitlines(keepends=True) if "RecursiveLoop:" not in line)
    assert not loops_allowed(without)


def _sqs(receives_most: int = 3) -> tuple[fakes.Clock, FakeSqs, FakeSqs]:
    clock = fakes.Clock()
    dead = FakeSqs(clock.now, "dead")
    return clock, FakeSqs(clock.now, "send", dead_letters=dead, receives_most=receives_most), dead


def _batch(queue: FakeSqs) -> list[Stored]:
    return queue.receive(10, Random(0), 0.0)


def test_message_returns_until_deleted_or_dead() -> None:
    clock, queue, dead = _sqs()
    queue.put("body", attributes={"held_since": "1"})
    for receives in (1, 2, 3):
        (stored,) = _batch(queue)
        assert stored.receives == receives
        for seconds in (0, VISIBILITY_TIMEOUT - 1):
            clock.advance(seconds)
            assert _batch(queue) == []
        clock.advance(1)
    assert _batch(queue) == []
    assert not queue.messages
    (letter,) = dead.messages.values()
    assert (letter.body, letter.attributes) == ("body", {"held_since": "1"})


def test_busy_group_waits_for_others() -> None:
    _, queue, _ = _sqs()
    for number in range(50):
        queue.put(f"noisy {number}", group="noisy")
    _batch(queue)
    queue.put("quiet", group="quiet")
    assert "quiet" in {stored.body for stored in _batch(queue)}


def test_old_receipt_hides_nothing() -> None:
    clock, queue, _ = _sqs(10)
    queue.put("body")
    (first,) = _batch(queue)
    old = first.receipt or ""
    clock.advance(VISIBILITY_TIMEOUT)
    _batch(queue)
    with pytest.raises(Refusal, match="MessageNotInflight"):
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
    assert send(first["access_token"]) in {40001, 40014, 42001, 48012}
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
