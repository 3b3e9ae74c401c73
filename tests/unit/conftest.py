import os
from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

from tests.fakes import Service


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service over fakes, lent to the handlers."""
    service = Service()
    service.lend(monkeypatch)
    return service
