from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws

from local.simulator.server import Simulator
from wechat_notify.aws import clients
from wechat_notify.wechat import client as client_module
from wechat_notify.wechat.client import WeChatClient

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "WeChatNotify")

PATH = "/wechat-notify/test/accounts"


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(2)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts for a server that is one hop over the loopback away."""
    monkeypatch.setattr(client_module, "_CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(client_module, "_READ_TIMEOUT", 0.4)
    monkeypatch.setattr(client_module, "_ANSWER_TIMEOUT", 0.7)


@pytest.fixture
def connect(fast: None) -> Iterator[Callable[[str], WeChatClient]]:
    """Makes clients for an address, and closes their connections in the end."""
    made: list[WeChatClient] = []

    def make(base_url: str) -> WeChatClient:
        made.append(WeChatClient(base_url))
        return made[-1]

    yield make
    for client in made:
        client._session.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(apps={"wxapp": "app-secret"}, seed=1) as running:
        yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS in this process."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    clients.client.cache_clear()
    with mock_aws():
        yield
    clients.client.cache_clear()


@pytest.fixture
def put(aws: None) -> Callable[[str, str], None]:
    """Writes a parameter as an operator does, by its name below the accounts' path."""

    def write(name: str, value: str) -> None:
        ssm: Any = clients.client("ssm")
        ssm.put_parameter(Name=f"{PATH}/{name}", Value=value, Type="SecureString", Overwrite=True)

    return write
