import pytest

from tests.fakes import Service


@pytest.fixture
def service(service: Service) -> Service:
    """With a line for every message."""
    service.telemetry.logger.setLevel("DEBUG")
    return service
