"""The queues of broadcasts: all or an error, in batches, several at a time."""

from __future__ import annotations

import json
import threading

import pytest

from tests.integration.aws.samples import asked
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import Connection, RawServer, always, json_answer, refused
from tests.integration.secrecy import OPENID, assert_clean, texts_of
from wechat_notify.aws.broadcast_queues import RowQueue, StepQueue
from wechat_notify.aws.queue import Queue
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage


class Sqs:
    """Takes batches, the first ones when ``together`` of them have come; refuses one message."""

    def __init__(self, together: int = 1, refuses: str | None = None) -> None:
        self.bodies: list[str] = []
        self._refuses = refuses
        self._first = iter(range(together))
        self._barrier = threading.Barrier(together, timeout=5)

    def script(self, connection: Connection) -> None:
        while request := connection.read_request():
            if next(self._first, None) is not None:
                self._barrier.wait()
            entries = json.loads(request.body)["Entries"]
            taken = [entry for entry in entries if entry["MessageBody"] != self._refuses]
            self.bodies += [entry["MessageBody"] for entry in taken]
            refused = [{"Id": entry["Id"]} for entry in entries if entry not in taken]
            successful = [{"Id": entry["Id"]} for entry in taken]
            connection.write(json_answer(Successful=successful, Failed=refused))


def rows(count: int) -> list[DelayedMessage]:
    return [DelayedMessage(f"{number}", number % 60, "shop") for number in range(count)]


@pytest.mark.parametrize(("count", "calls", "together"), [(0, 0, 1), (9, 1, 1), (51, 6, 2), (500, 50, 8)])
def test_rows_in_batches_of_ten(clients_at: ClientsAt, count: int, calls: int, together: int) -> None:
    """Calls in parallel: one after the other would be a hundred messages per second and no more."""
    sqs = Sqs(together)
    with RawServer(sqs.script) as server:
        RowQueue(Queue(clients_at(server.url), "url")).send_all(rows(count))
    assert sorted(map(int, sqs.bodies)) == list(range(count))
    sent = [entry for call in asked(server) for entry in call["Entries"]]
    assert len(server.requests) == calls
    assert {(int(each["MessageBody"]) % 60, "shop") for each in sent} == {
        (each["DelaySeconds"], each["MessageGroupId"]) for each in sent
    }


def test_one_refused_row_is_an_error(clients_at: ClientsAt) -> None:
    """The others are on the queue, and will be there twice."""
    sqs = Sqs(refuses="77")
    with RawServer(sqs.script) as server, pytest.raises(StorageError):
        RowQueue(Queue(clients_at(server.url), "url")).send_all(rows(200))
    assert len(sqs.bodies) == 199


def test_step_as_it_is_sent(clients_at: ClientsAt) -> None:
    sqs = Sqs()
    with RawServer(sqs.script) as server:
        StepQueue(Queue(clients_at(server.url), "url")).send("shop", "spring-sale", 7, 900)
    (entry,) = asked(server)[0]["Entries"]
    assert json.loads(entry["MessageBody"]) == {"account": "shop", "broadcast": "spring-sale", "step": 7}
    assert entry["DelaySeconds"] == 900


@pytest.mark.usefixtures("heard")
def test_failure_quotes_nothing(clients_at: ClientsAt) -> None:
    with RawServer(always(refused("AccessDenied", Message=OPENID))) as server:
        queue, said = Queue(clients_at(server.url), "url"), OPENID
        with pytest.raises(StorageError) as rows_raised:
            RowQueue(queue).send_all([DelayedMessage(said, 0)] * 12)
        with pytest.raises(StorageError) as step_raised:
            StepQueue(queue).send("shop", said, 0, 0)
    for raised in (rows_raised, step_raised):
        assert_clean(texts_of(raised.value))
