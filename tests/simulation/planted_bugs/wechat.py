"""Bugs of the calls to WeChat: what a lost answer means, connections, and what a request carries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.simulation.planted_bugs.bug import Bug, Patch
from wechat_notify.core import outcomes
from wechat_notify.core.messages import parser
from wechat_notify.core.outcomes import Status
from wechat_notify.wechat import client, connections, session
from wechat_notify.wechat.connections import Connection
from wechat_notify.wechat.outcomes import outcome_of_no_answer


def _retry_on_read_timeout() -> Sequence[Patch]:
    before = outcome_of_no_answer

    def no_answer(problem: Any) -> Any:
        return before(problem._replace(may_have_arrived=False))

    return [(client, "outcome_of_no_answer", no_answer)]


def _lost_is_failed() -> Sequence[Patch]:
    before = outcome_of_no_answer

    def no_answer(problem: Any) -> Any:
        outcome = before(problem)
        if outcome.status is Status.UNKNOWN:
            return outcome._replace(status=Status.FAILED, error_class=outcomes.ErrorClass.OTHER)
        return outcome

    return [(client, "outcome_of_no_answer", no_answer)]


def _idle_by_monotonic() -> Sequence[Patch]:
    def mark_used(self: Connection, max_idle: float = connections.MAX_IDLE) -> None:
        self._used_at, self._max_idle = vars(connections)["time"].monotonic(), max_idle

    def is_connected(self: Connection) -> bool:
        idle = vars(connections)["time"].monotonic() - self._used_at
        return self.sock is not None and 0 <= idle <= self._max_idle

    return [(Connection, "mark_used", mark_used), (Connection, "is_connected", property(is_connected))]


def _url_in_errors() -> Sequence[Patch]:
    before = session._no_answer

    def no_answer(error: BaseException) -> session.NoAnswer:
        return before(error)._replace(reason=str(error))

    return [(session, "_no_answer", no_answer)]


def _other_client_msg_id() -> Sequence[Patch]:
    number = count()
    return [(parser, "_client_msg_id", lambda message_id: f"{next(number)}-{message_id}"[:32])]


def _no_client_msg_id() -> Sequence[Patch]:
    return [(parser, "_client_msg_id", lambda _message_id: None)]


BUGS = (
    Bug(
        "retry_on_read_timeout",
        "a lost answer counts as a failure that can be repeated",
        "twice only where an answer was lost and the sender agreed",
        _retry_on_read_timeout,
    ),
    Bug(
        "lost_is_failed",
        "a lost answer counts as a failure, and is not repeated",
        "what was accepted is sent or unknown",
        _lost_is_failed,
    ),
    Bug(
        "idle_by_monotonic",
        "the age of idle connections is told by a clock that stands still in a frozen process",
        "no request goes over a connection that a gateway has dropped",
        _idle_by_monotonic,
    ),
    Bug(
        "url_in_errors",
        "an error on the way is told with its URL",
        "no secret leaves the service",
        _url_in_errors,
    ),
    Bug(
        "other_client_msg_id",
        "each attempt has a client_msg_id of its own",
        "a template message carries its id",
        _other_client_msg_id,
    ),
    Bug(
        "no_client_msg_id",
        "a template message goes out without an id",
        "a template message carries its id",
        _no_client_msg_id,
    ),
)
