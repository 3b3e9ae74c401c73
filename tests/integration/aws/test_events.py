"""Events to EventBridge, in batches."""

from pathlib import Path

import pytest

from tests.integration.aws.samples import asked
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import RawServer, always, in_turn, json_answer, refused
from wechat_notify.aws.events import EventBus
from wechat_notify.core.outcomes import DomainEvent


def published(done: int, failed: int = 0) -> bytes:
    entries = [{"EventId": "1"}] * done + [{"ErrorCode": "ThrottlingException"}] * failed
    return json_answer(FailedEntryCount=failed, Entries=entries)


def test_events_are_published_in_batches(clients_at: ClientsAt) -> None:
    small, large = DomainEvent("small", {}), DomainEvent("large", {"text": "x" * 150_000})
    with RawServer(in_turn(published(10), published(3), published(1))) as server:
        assert EventBus(clients_at(server.url), "bus").publish([small] * 12 + [large] * 2) == 0
    assert [len(call["Entries"]) for call in asked(server)] == [10, 3, 1]


def test_refused_events_are_counted(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(published(8, failed=2), refused("AccessDenied"), published(1))) as server:
        bus = EventBus(clients_at(server.url), "bus")
        assert bus.publish([DomainEvent("any", {"at": Path("x")})] * 21) == 13
    assert len(server.requests) == 2  # who does not answer is not asked for the rest


def test_failing_bus_is_called_once(clients_at: ClientsAt, slept: list[float]) -> None:
    """A batch of a hundred failures must not outlast its function."""
    with RawServer(always(refused("ThrottlingException"))) as server:
        assert EventBus(clients_at(server.url), "bus").publish([DomainEvent("any", {})] * 100) == 100
    assert sum(slept) == pytest.approx(1.0, abs=0.01)
