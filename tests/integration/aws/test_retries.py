"""For how long each call to AWS is repeated."""

import pytest

from tests.integration.aws.samples import calls_of
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import RawServer, always, refused
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
