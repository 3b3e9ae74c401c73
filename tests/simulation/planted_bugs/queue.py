"""Bugs of the way to and from SQS: failed items, visibility, parked copies, dead letters, loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import functions.send_queue.handler as send_queue
from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from tests.simulation.world import setting
from wechat_notify.aws.queue import RETRY_FOR, Queue
from wechat_notify.core.delivery.records import Disposition, Handled
from wechat_notify.core.delivery.results import Held
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage

_COMES_TO_ITS_END = "every message that was taken comes to its end"


@in_place_of(send_queue, "lambda_handler", breaks=_COMES_TO_ITS_END)
def lost_failure_id(right: Any, *args: Any) -> dict[str, Any]:
    """The last of the batch item failures is left out."""
    return {"batchItemFailures": right(*args)["batchItemFailures"][:-1]}


@in_place_of(send_queue, "lambda_handler", breaks=_COMES_TO_ITS_END)
def failure_under_another_name(right: Any, *args: Any) -> dict[str, Any]:
    """The key of the batch item failures is misspelled."""
    return {"batchItemFailure": right(*args)["batchItemFailures"]}


@in_place_of(Queue, "change_visibility", breaks="a repeat waits")
def visible_at_once(right: Any, self: Queue, receipt_handle: str, _seconds: float) -> None:
    """What is to be repeated is handed out at once."""
    right(self, receipt_handle, 0)


@in_place_of(Queue, "send_delayed", breaks=_COMES_TO_ITS_END)
def park_mismatched(right: Any, self: Queue, items: Sequence[DelayedMessage]) -> list[int]:
    """What SQS refused to park is taken for another message."""
    return [(index + 1) % len(items) for index in right(self, items)]


@in_place_of(Queue, "_send_batch", breaks=_COMES_TO_ITS_END)
def failed_is_trusted(_right: Any, self: Queue, entries: list[Any]) -> set[str]:
    """What SQS does not call failed counts as parked."""

    def send_batch() -> set[str]:
        answer = self._aws.sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
        return {entry["Id"] for entry in entries} - {entry["Id"] for entry in answer["Failed"]}

    try:
        return self._aws.call("send", send_batch, retry_for=RETRY_FOR)
    except StorageError:
        return set()


@in_place_of(Returns, "_delayed_copy", breaks=_COMES_TO_ITS_END)
def parked_without_id(right: Any, self: Returns, item: Handled) -> DelayedMessage:
    """A parked copy is another message."""
    copy: DelayedMessage = right(self, item)
    assert item.request
    return copy._replace(body=copy.body.replace(f'"id":"{item.request.id}",', ""))


@in_place_of(Queue, "send_delayed", breaks=_COMES_TO_ITS_END)
def parked_unseen(right: Any, *args: Any) -> list[int]:
    """A copy that SQS refused counts as parked."""
    right(*args)
    return []


@in_place_of(Returns, "park", breaks=_COMES_TO_ITS_END)
def held_is_done(_right: Any, _self: Returns, handled: Sequence[Handled]) -> list[Handled]:
    """A held message is deleted and not parked."""
    return [
        item._replace(disposition=Disposition.FINISHED) if isinstance(item.result, Held) else item
        for item in handled
    ]


@bug(breaks="the dead letters are the bodies that nobody can read")
def unreadable_dropped() -> Patches:
    """A body that nobody can read is dropped."""
    return [(Returns, "to_dead_letters", lambda _self, handled: handled)]


@bug(breaks="it drains in bounded time")
def loops_dropped() -> Patches:
    """Lambda may take a long hold for a loop."""
    lines = setting.template().splitlines(keepends=True)
    text = "".join(line for line in lines if "RecursiveLoop:" not in line)
    return [(setting, "template", lambda: text)]
