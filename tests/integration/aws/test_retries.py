"""For how long each call to AWS is repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.aws.samples import calls_of
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import RawServer, always, refused
from wechat_notify.aws import clients
from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError

SECONDS = {
    "read": 1.0,
    "load": 7.5,
    "load_all": 7.5,
    "save": 7.5,
    "send": 1.5,
    "change_visibility": 1.5,
    "ask": 0.0,
    "put": 2.5,
    "put patiently": 6.0,
    "read entry": 2.5,
    "put_circuits": 2.5,
    "read_circuits": 2.5,
}


@pytest.mark.parametrize(("name", "seconds"), SECONDS.items())
def test_each_call_has_its_retry_time(
    clients_at: ClientsAt, slept: list[float], name: str, seconds: float
) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server, pytest.raises(StorageError) as raised:
        calls_of(clients_at(server.url))[name]()
    assert raised.value.code == "ThrottlingException"
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert len(server.requests) == len(slept) + 1
    assert sum(slept) == pytest.approx(seconds, abs=0.01)


class Throttled:
    """SSM, which takes the third attempt at each parameter."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def put_parameter(self, *, Name: str, **_: Any) -> None:  # noqa: N803 - boto3's
        self.names.append(Name)
        if self.names.count(Name) < 3:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutParameter")


def test_parameters_are_written_in_turn() -> None:
    """Threads that repeat their writes against each other starve some of them."""
    ssm, names = Throttled(), [f"p{number}" for number in range(8)]
    aws = Clients(lambda _: ssm, jitter=lambda _low, _high: 0.001)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: aws.put_parameter("store", name, "v", retry_for=60.0), names))
    assert [ssm.names[at] for at in range(0, 24, 3)] == list(dict.fromkeys(ssm.names))
    assert len(ssm.names) == 24


def test_turn_is_waited_for_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is written without, for as long as is left."""
    monkeypatch.setattr(clients, "MAX_TURN_WAIT", 0.01)
    ssm = Throttled()
    aws = Clients(lambda _: ssm, jitter=lambda _low, _high: 0.001)
    with aws._writing:
        aws.put_parameter("store", "p", "v", retry_for=60.0)
    assert len(ssm.names) == 3
