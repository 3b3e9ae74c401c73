"""Bugs of the calls to WeChat: what a lost answer means, connections, and what a request carries."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from wechat_notify.core import outcomes
from wechat_notify.core.messages import parser
from wechat_notify.core.outcomes import Status
from wechat_notify.wechat import client, connections, session
from wechat_notify.wechat.connections import Connection


@in_place_of(
    client, "outcome_of_no_answer", breaks="twice only where an answer was lost and the sender agreed"
)
def retry_on_read_timeout(right: Any, problem: Any) -> Any:
    """A lost answer counts as a failure that can be repeated."""
    return right(problem._replace(may_have_arrived=False))


@in_place_of(client, "outcome_of_no_answer", breaks="what was accepted is sent or unknown")
def lost_is_failed(right: Any, problem: Any) -> Any:
    """A lost answer counts as a failure, and is not repeated."""
    outcome = right(problem)
    if outcome.status is Status.UNKNOWN:
        return outcome._replace(status=Status.FAILED, error_class=outcomes.ErrorClass.OTHER)
    return outcome


@bug(breaks="no request goes over a connection that a gateway has dropped")
def idle_by_monotonic() -> Patches:
    """The age of idle connections is told by a clock that stands still in a frozen process."""

    def mark_used(self: Connection, max_idle: float = connections.MAX_IDLE) -> None:
        self._used_at, self._max_idle = vars(connections)["time"].monotonic(), max_idle

    def is_connected(self: Connection) -> bool:
        idle = vars(connections)["time"].monotonic() - self._used_at
        return self.sock is not None and 0 <= idle <= self._max_idle

    return [(Connection, "mark_used", mark_used), (Connection, "is_connected", property(is_connected))]


@in_place_of(session, "_no_answer", breaks="no secret leaves the service")
def url_in_errors(right: Any, error: BaseException) -> Any:
    """An error on the way is told with its URL."""
    return right(error)._replace(reason=str(error))


@bug(breaks="a template message carries its id")
def other_client_msg_id() -> Patches:
    """Each attempt has a client_msg_id of its own."""
    number = count()
    return [(parser, "_client_msg_id", lambda message_id: f"{next(number)}-{message_id}"[:32])]


@bug(breaks="a template message carries its id")
def no_client_msg_id() -> Patches:
    """A template message goes out without an id."""
    return [(parser, "_client_msg_id", lambda _message_id: None)]
