"""What the functions have time for, added up from the limits of the clients themselves.

A name lookup is not in it: the system's own limit for that is beyond what these clients can set.
"""

from __future__ import annotations

from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.unit.test_template import TEMPLATE
from wechat_notify.aws import calls
from wechat_notify.aws.calls import Service
from wechat_notify.core import delivery, tokens
from wechat_notify.transport import Limits

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


WECHAT = connected(Limits())


def timeout(function: str) -> float:
    properties: dict[str, Any] = yaml_parse(TEMPLATE)["Resources"][function]["Properties"]
    return float(properties["Timeout"])


def test_the_parts_are_what_the_clients_take() -> None:
    assert WECHAT <= delivery.TIME_FOR_A_POST
    assert worst("ssm") + worst("lambda") <= delivery._LAST_QUESTION
    assert worst("dynamodb", patient=True) <= delivery._TIME_FOR_THE_LEDGER
    assert worst("events") <= delivery.TIME_FOR_EVENTS


def test_an_outage_of_the_table_of_five_seconds_is_waited_out() -> None:
    api = calls._APIS["dynamodb"]
    pauses = [api.pause * 2.0**number for number in range(calls._PATIENT_ATTEMPTS - 1)]
    assert api.pause_least * sum(pauses) >= 5
    assert sum(pauses) <= api.patient_total


def test_send_queue_ends_in_time() -> None:
    token = tokens.LONGEST_LOCK + delivery._PATIENCE + worst("ssm") + worst("lambda")
    message = WECHAT + worst("dynamodb", patient=True)
    begun_with = delivery.TIME_FOR_A_MESSAGE
    assert token + message + worst("events") <= begun_with
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
    one = 2 * WECHAT + 2 * write + worst("events")
    assert one <= tokens.TIME_FOR_A_REFRESH
    assert read + one <= timeout("TokenRefreshFunction")
    # The schedule's run: the first page of accounts, and time to begin some.
    assert read + tokens.TIME_FOR_A_REFRESH + 30 <= timeout("TokenRefreshFunction")


@pytest.mark.parametrize(("name", "value"), [("TIME_FOR_AN_ATTEMPT", 23), ("TIME_FOR_A_MESSAGE", 56)])
def test_the_sums_are_known(name: str, value: float) -> None:
    assert getattr(delivery, name) == value
