import pytest

from tests.fakes import Service
from tests.unit.functions.callback.requests import APP_ID, KEY, TOKEN


@pytest.fixture
def service(service: Service) -> Service:
    """The service with an account in secure mode."""
    service.callback_keys.store("shop", APP_ID, (TOKEN, KEY))
    return service
