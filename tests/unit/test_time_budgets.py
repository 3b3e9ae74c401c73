"""What the functions have time for, added up from the limits of the clients themselves.

Not in it: other addresses of an AWS service, where the first one is silent; an answer of AWS that drips. Name
lookups are in it as far as the resolver keeps to what the template tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fakes import Clock, highest, lowest
from tests.unit.test_template import SOURCE
from wechat_notify.aws import clients, events, group_commit, hash_keys, parameters, versioned_items
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery import time_budgets
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.tokens import access_tokens, refresher
from wechat_notify.wechat import connections

HTTP_API = 30.0
"""Seconds after which an HTTP API gives up."""
DEDUPLICATED = 480.0
"""Seconds for which a template may be repeated: after them a message of a dead function is `unknown`."""


def worst(service: clients.Service, retry_for: float) -> float:
    """One call to AWS at worst: its last attempt begins at the end of its time, and gets no answer.

    botocore's timeout is for each read: an answer that stops half-way has been waited for twice.
    """
    return retry_for + 2 * clients.CONNECT_TIMEOUT + 2 * clients.READ_TIMEOUTS[service]


READ_TOKEN = worst("ssm", parameters.RETRY_FOR)
READ_HASH_KEYS = worst("secretsmanager", hash_keys.RETRY_FOR)
"""At the beginning of a process, before anything is done."""
PARAMETERS = worst("ssm", parameters.PATIENT_RETRY_FOR)
GROUP = group_commit.MAX_WAIT + worst("dynamodb", 0.0)
"""A group's turn and its call, after which the item is put alone in what is left of its time."""
RECORD = max(versioned_items.PATIENT_RETRY_FOR, GROUP) + worst("dynamodb", 0.0)
PUBLISH = events._PUBLISHING + worst("events", events.RETRY_FOR)
ASK = 2 * clients.CONNECT_TIMEOUT + clients.READ_TIMEOUTS["lambda"] + 0.5
"""An invocation, which is never repeated; Lambda answers in one piece, when the function has ended."""
WECHAT = connections.Limits().connect + connections.Limits().answer


def timeout(function: str) -> float:
    return float(SOURCE["Resources"][function]["Properties"]["Timeout"])


def test_silent_resolver_leaves_connect_time() -> None:
    """Each of two name servers is asked twice; the second wait is doubled and shared between them."""
    variables = SOURCE["Globals"]["Function"]["Environment"]["Variables"]
    options = dict(option.split(":") for option in variables["RES_OPTIONS"].split())
    assert options == {"timeout": "1", "attempts": "2"}
    assert int(options["timeout"]) * int(options["attempts"]) * 2 <= connections.Limits().connect


def test_parts_cover_the_client_limits() -> None:
    assert WECHAT <= time_budgets.TIME_FOR_A_POST
    assert READ_TOKEN + ASK <= time_budgets.TIME_FOR_A_TOKEN_REQUEST
    assert RECORD <= time_budgets.TIME_FOR_THE_LEDGER
    assert PUBLISH <= time_budgets.TIME_FOR_EVENTS
    assert access_tokens.MAX_LOCK_WAIT <= time_budgets.MAX_TOKEN_WAIT  # of which it is a part


def test_aws_calls_end_in_time() -> None:
    assert GROUP + worst("dynamodb", 0.0) <= 8.1
    assert worst("dynamodb", versioned_items.RETRY_FOR) <= 6.5
    assert READ_TOKEN <= 6
    assert ASK <= 8.5
    assert PARAMETERS <= 12.5
    assert READ_HASH_KEYS <= 6


def test_keys_leave_time_for_a_message() -> None:
    """Also where they are read for as long as it takes; a message that is waited for is put off then."""
    assert timeout("SendQueueFunction") >= READ_HASH_KEYS + time_budgets.TIME_FOR_A_MESSAGE
    assert worst("secretsmanager", 0.0) + 24 <= timeout("SendApiFunction")


Attempt = Callable[[clients.Service], Any]


def silence(service: clients.Service) -> Any:
    CLOCK.advance(clients.READ_TIMEOUTS[service])
    raise ReadTimeoutError(endpoint_url="https://aws.test")


def slow_refusal(_: clients.Service) -> Any:
    CLOCK.advance(0.04)
    raise ClientError({"Error": {"Code": "500"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "Any")  # type: ignore[typeddict-item] # as much of it as is read


def slow_success(service: clients.Service) -> Any:
    CLOCK.advance(clients.READ_TIMEOUTS[service] - 0.1)
    return {"Entries": [{"EventId": "1"}] * 10}


CLOCK = Clock()


class Aws:
    """Clients of an AWS whose every attempt goes the same way, and when the attempts began."""

    def __init__(self, attempt: Attempt) -> None:
        self.began: list[float] = []
        self._attempt = attempt

    def with_pauses(self, jitter: Callable[[float, float], float]) -> Clients:
        return Clients(self._client, clock=CLOCK.now, sleep=CLOCK.sleep, jitter=jitter)

    def _client(self, service: clients.Service) -> Any:
        def attempt(**_: object) -> Any:
            self.began.append(CLOCK.now())
            return self._attempt(service)

        exceptions = SimpleNamespace(ConditionalCheckFailedException=ZeroDivisionError)
        return SimpleNamespace(put_item=attempt, put_events=attempt, exceptions=exceptions)


@pytest.mark.parametrize("jitter", [lowest, highest])
@pytest.mark.parametrize("attempt", [silence, slow_refusal])
def test_five_second_outage_is_outlasted(attempt: Attempt, jitter: Callable[[float, float], float]) -> None:
    aws = Aws(attempt)
    table = LedgerTable(aws.with_pauses(jitter), "ledger", 1.0)
    with pytest.raises(StorageError):
        table.put(Entry("shop", "1", Status.SENT, "", "", 0.0, 0.0), patient=True)
    assert 5 <= aws.began[-1] - aws.began[0] <= versioned_items.PATIENT_RETRY_FOR + 0.001


@pytest.mark.parametrize("attempt", [silence, slow_refusal, slow_success])
def test_hundred_events_are_published_in_time(attempt: Attempt) -> None:
    aws, began = Aws(attempt), CLOCK.now()
    bus = EventBus(aws.with_pauses(highest), "bus", clock=CLOCK.now)
    unpublished = bus.publish([DomainEvent("message.failed", {})] * 100)
    assert CLOCK.now() - began <= time_budgets.TIME_FOR_EVENTS
    answered = len(aws.began) if attempt is slow_success else 0
    assert unpublished == 100 - 10 * answered


def test_send_queue_ends_in_time() -> None:
    token = time_budgets.MAX_TOKEN_WAIT + READ_TOKEN + ASK
    message = WECHAT + RECORD
    begun_with = time_budgets.TIME_FOR_A_MESSAGE
    assert token + message + PUBLISH <= begun_with
    # What is claimed with so much left is sent and recorded, or not sent.
    assert message <= time_budgets.TIME_FOR_AN_ATTEMPT < time_budgets.TIME_FOR_A_CLAIM
    assert begun_with + 5 <= timeout("SendQueueFunction")


def test_send_queue_returns_within_deduplication() -> None:
    visibility = SOURCE["Resources"]["SendQueue"]["Properties"]["VisibilityTimeout"]
    assert 6 * timeout("SendQueueFunction") + SOURCE["Parameters"]["BatchWindow"]["MaxValue"] <= visibility
    assert visibility < DEDUPLICATED


def test_send_api_can_replace_a_token() -> None:
    assert timeout("SendApiFunction") < HTTP_API
    assert timeout("SendApiFunction") >= time_budgets.TIME_FOR_A_CLAIM + 4
    assert READ_TOKEN + ASK + RECORD <= time_budgets.TIME_FOR_ANOTHER_TOKEN
    assert timeout("SendApiFunction") >= time_budgets.TIME_FOR_ANOTHER_TOKEN + 3


def test_token_refresh_ends_in_time() -> None:
    one = 2 * WECHAT + 2 * PARAMETERS + PUBLISH
    assert one <= refresher.TIME_FOR_A_REFRESH
    assert PARAMETERS + one <= timeout("TokenRefreshFunction")
    # The schedule's run: the first page of accounts, and time to begin some.
    assert timeout("TokenRefreshFunction") >= PARAMETERS + refresher.TIME_FOR_A_REFRESH + 30


def test_the_sums_are_known() -> None:
    assert (time_budgets.TIME_FOR_AN_ATTEMPT, time_budgets.TIME_FOR_A_MESSAGE) == (23, 55)
