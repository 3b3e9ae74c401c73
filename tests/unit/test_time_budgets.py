"""What the functions have time for, added up from the limits of the clients themselves.

A name lookup on the way to AWS is not in it. The one on the way to WeChat is, as far as the resolver keeps to
what the template tells it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.fakes import Clock, highest, lowest
from tests.unit.test_template import TEMPLATE
from wechat_notify.aws import calls, events
from wechat_notify.aws.calls import Service
from wechat_notify.aws.events import EventBus
from wechat_notify.core import delivery, tokens
from wechat_notify.core.outcomes import Notice, StorageError
from wechat_notify.transport import Answer, Limits, TransportError
from wechat_notify.wechat import connections

HTTP_API = 30.0
"""Seconds after which an HTTP API gives up."""
DEDUPLICATED = 480.0
"""Seconds for which a template may be repeated: after them a message of a dead function is `unknown`."""


def connected(limits: Limits) -> float:
    """One request at worst: another address where the first is silent and there is time, TCP, TLS, answer."""
    silent = limits.connect_all if limits.connect_all > limits.connect_timeout else 0.0
    return silent + 2 * limits.connect_timeout + limits.answer_timeout


def worst(service: Service, *, patient: bool = False) -> float:
    """One call to AWS at worst: the last attempt begins at the end of its time, and gets no answer."""
    api = calls._APIS[service]
    attempt = connected(
        Limits(
            calls._CONNECT_TIMEOUT,
            answer_timeout=api.read_timeout + calls._REST_TIMEOUT,
            connect_all=calls._CONNECT_TIMEOUT,
        )
    )
    attempts, total = (calls._PATIENT_ATTEMPTS, api.patient_total) if patient else (api.attempts, api.total)
    pauses = [min(calls._PAUSE_MOST, api.pause * 2.0**number) for number in range(attempts - 1)]
    return min(attempt * attempts + sum(pauses), total + attempt)


WECHAT = connections.Limits().connect + connections.Limits().answer


def timeout(function: str) -> float:
    properties: dict[str, Any] = yaml_parse(TEMPLATE)["Resources"][function]["Properties"]
    return float(properties["Timeout"])


def test_a_silent_resolver_leaves_time_to_connect() -> None:
    """Each of two name servers is asked twice; the second wait is doubled and shared between them."""
    variables = yaml_parse(TEMPLATE)["Globals"]["Function"]["Environment"]["Variables"]
    options = dict(option.split(":") for option in variables["RES_OPTIONS"].split())
    assert int(options["timeout"]) * int(options["attempts"]) * 2 <= connections.Limits().connect


def test_the_parts_are_what_the_clients_take() -> None:
    assert WECHAT <= delivery.TIME_FOR_A_POST
    assert worst("ssm") + worst("lambda") <= delivery._LAST_QUESTION
    assert worst("dynamodb", patient=True) <= delivery._TIME_FOR_THE_LEDGER
    assert events._PUBLISHING + worst("events") <= delivery.TIME_FOR_EVENTS
    assert tokens.LONGEST_LOCK <= delivery._PATIENCE  # of which it is a part


Attempt = Callable[[Limits], Answer]


def silence(limits: Limits) -> Answer:
    CLOCK.advance(limits.read_timeout)
    raise TransportError("ReadTimeout", may_have_arrived=True)


def slow_refusal(_: Limits) -> Answer:
    CLOCK.advance(0.04)
    return Answer(500, b"{}", b"HTTP/1.1 500\r\n\r\n")


def slow_success(limits: Limits) -> Answer:
    CLOCK.advance(limits.read_timeout - 0.1)
    return Answer(200, json.dumps({"Entries": [{"EventId": "1"}] * 10}).encode(), b"HTTP/1.1 200\r\n\r\n")


CLOCK = Clock()


class Aws:
    """Callers of an AWS whose every attempt goes the same way, and when the attempts began."""

    def __init__(self, attempt: Attempt) -> None:
        self.began: list[float] = []
        self._attempt = attempt

    def caller(self, jitter: Callable[[float, float], float]) -> calls.Caller:
        environ = {"AWS_REGION": "cn-north-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        return calls.Caller(environ, connect=self._connect, now=CLOCK.now, sleep=CLOCK.sleep, jitter=jitter)

    def _connect(self, *_: object, limits: Limits, **__: object) -> Any:
        def post_with(*_: object) -> Answer:
            self.began.append(CLOCK.now())
            return self._attempt(limits)

        return SimpleNamespace(host="aws", post_with=post_with)


@pytest.mark.parametrize("jitter", [lowest, highest])
@pytest.mark.parametrize("attempt", [silence, slow_refusal])
def test_an_outage_of_the_table_of_five_seconds_is_waited_out(
    attempt: Attempt, jitter: Callable[[float, float], float]
) -> None:
    aws = Aws(attempt)
    with pytest.raises(StorageError):
        aws.caller(jitter).put_if("true", "write", patient=True, TableName="ledger")
    assert aws.began[-1] - aws.began[0] >= 5
    assert aws.began[-1] - aws.began[0] <= calls._APIS["dynamodb"].patient_total + 0.001


@pytest.mark.parametrize("attempt", [silence, slow_refusal, slow_success])
def test_a_hundred_events_are_published_in_their_time(attempt: Attempt) -> None:
    aws, began = Aws(attempt), CLOCK.now()
    bus = EventBus(aws.caller(highest), "bus", clock=CLOCK.now)
    unpublished = bus.publish([Notice("message.failed", {})] * 100)
    assert CLOCK.now() - began <= delivery.TIME_FOR_EVENTS
    answered = len(aws.began) if attempt is slow_success else 0
    assert unpublished == 100 - 10 * answered


def test_send_queue_ends_in_time() -> None:
    token = delivery._PATIENCE + worst("ssm") + worst("lambda")
    message = WECHAT + worst("dynamodb", patient=True)
    begun_with = delivery.TIME_FOR_A_MESSAGE
    assert token + message + events._PUBLISHING + worst("events") <= begun_with
    # What is claimed with so much left is sent and recorded, or not sent.
    assert message <= delivery.TIME_FOR_AN_ATTEMPT < delivery.TIME_FOR_A_CLAIM
    assert begun_with + 5 <= timeout("SendQueueFunction")


def test_send_queue_comes_back_while_wechat_drops_a_copy() -> None:
    template = yaml_parse(TEMPLATE)
    visibility = template["Resources"]["SendQueue"]["Properties"]["VisibilityTimeout"]
    assert 6 * timeout("SendQueueFunction") + template["Parameters"]["BatchWindow"]["MaxValue"] <= visibility
    assert visibility < DEDUPLICATED


def test_send_api_can_send_and_replace_a_token() -> None:
    assert timeout("SendApiFunction") < HTTP_API
    assert timeout("SendApiFunction") >= delivery.TIME_FOR_A_CLAIM + 4
    assert worst("ssm") + worst("lambda") + worst("dynamodb", patient=True) <= delivery._TIME_FOR_A_QUESTION
    assert timeout("SendApiFunction") >= delivery._TIME_FOR_A_QUESTION + 3


def test_token_refresh_ends_in_time() -> None:
    read = write = worst("ssm", patient=True)
    one = 2 * WECHAT + 2 * write + events._PUBLISHING + worst("events")
    assert one <= tokens.TIME_FOR_A_REFRESH
    assert read + one <= timeout("TokenRefreshFunction")
    # The schedule's run: the first page of accounts, and time to begin some.
    assert read + tokens.TIME_FOR_A_REFRESH + 30 <= timeout("TokenRefreshFunction")


@pytest.mark.parametrize(("name", "value"), [("TIME_FOR_AN_ATTEMPT", 23), ("TIME_FOR_A_MESSAGE", 55)])
def test_the_sums_are_known(name: str, value: float) -> None:
    assert getattr(delivery, name) == value
