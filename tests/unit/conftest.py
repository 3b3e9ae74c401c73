import os
from collections.abc import Iterator, Sequence

import pytest
from pytest_socket import disable_socket, enable_socket

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

from tests import event_contract
from tests.fakes import FakeBus, Service
from wechat_notify.core.outcomes import DomainEvent


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _events_as_described(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test publishes is compared with the schema of its event."""
    publish, published = FakeBus.publish, list[DomainEvent]()

    def note(bus: FakeBus, events: Sequence[DomainEvent]) -> int:
        published.extend(events)
        return publish(bus, events)

    monkeypatch.setattr(FakeBus, "publish", note)
    yield
    for event in published:
        event_contract.check_detail(event.detail_type, event.detail)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service over fakes, lent to the handlers."""
    service = Service()
    service.lend(monkeypatch)
    return service
