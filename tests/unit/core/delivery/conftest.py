import pytest

from tests.fakes import Service
from tests.unit.core.delivery.circuit_case import CircuitCase
from tests.unit.core.delivery.doors import Door
from tests.unit.core.delivery.ledger_case import LedgerCase


@pytest.fixture(params=["queue", "http"])
def door(service: Service, request: pytest.FixtureRequest) -> Door:
    """Both doors that send."""
    return Door(request.param, service)


@pytest.fixture
def queue(service: Service) -> Door:
    return Door("queue", service)


@pytest.fixture
def http(service: Service) -> Door:
    return Door("http", service)


@pytest.fixture
def accept(service: Service) -> Door:
    """HTTP with ``respond-async``."""
    return Door("accept", service)


@pytest.fixture
def case() -> LedgerCase:
    return LedgerCase()


@pytest.fixture
def circuits() -> CircuitCase:
    return CircuitCase()
