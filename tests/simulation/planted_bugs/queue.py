"""Bugs of the way to and from SQS: failed items, visibility, parked copies, dead letters, loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import functions.send_queue.handler as send_queue
from tests.simulation.planted_bugs.bug import Bug, Patch
from tests.simulation.world import setting
from wechat_notify.aws.queue import RETRY_FOR, Queue
from wechat_notify.core.delivery.records import Disposition, Handled
from wechat_notify.core.delivery.results import Held
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DelayedMessage


def _lost_failure_id() -> Sequence[Patch]:
    before = send_queue.lambda_handler

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        answer = before(event, context)
        return {"batchItemFailures": answer["batchItemFailures"][:-1]}

    return [(send_queue, "lambda_handler", handler)]


def _failure_under_another_name() -> Sequence[Patch]:
    before = send_queue.lambda_handler

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"batchItemFailure": before(event, context)["batchItemFailures"]}

    return [(send_queue, "lambda_handler", handler)]


def _visible_at_once() -> Sequence[Patch]:
    before = Queue.change_visibility

    def change_visibility(self: Queue, receipt_handle: str, seconds: float) -> None:  # noqa: ARG001 - the bug
        before(self, receipt_handle, 0)

    return [(Queue, "change_visibility", change_visibility)]


def _park_mismatched() -> Sequence[Patch]:
    before = Queue.send_delayed

    def send_delayed(self: Queue, items: Sequence[DelayedMessage]) -> list[int]:
        return [(index + 1) % len(items) for index in before(self, items)]

    return [(Queue, "send_delayed", send_delayed)]


def _failed_is_trusted() -> Sequence[Patch]:
    def send_batch(self: Queue, entries: list[Any]) -> set[str]:
        answer = self._aws.sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
        return {entry["Id"] for entry in entries} - {entry["Id"] for entry in answer["Failed"]}

    def patched(self: Queue, entries: list[Any]) -> set[str]:
        try:
            return self._aws.call("send", lambda: send_batch(self, entries), retry_for=RETRY_FOR)
        except StorageError:
            return set()

    return [(Queue, "_send_batch", patched)]


def _parked_without_id() -> Sequence[Patch]:
    before = Returns._delayed_copy

    def later(self: Returns, item: Handled) -> DelayedMessage:
        copy = before(self, item)
        assert item.request
        return copy._replace(body=copy.body.replace(f'"id":"{item.request.id}",', ""))

    return [(Returns, "_delayed_copy", later)]


def _parked_unseen() -> Sequence[Patch]:
    before = Queue.send_delayed

    def send_delayed(self: Queue, items: Sequence[DelayedMessage]) -> list[int]:
        before(self, items)
        return []

    return [(Queue, "send_delayed", send_delayed)]


def _held_is_done() -> Sequence[Patch]:
    def park(self: Returns, handled: Sequence[Handled]) -> list[Handled]:  # noqa: ARG001 - the bug
        return [
            item._replace(disposition=Disposition.FINISHED) if isinstance(item.result, Held) else item
            for item in handled
        ]

    return [(Returns, "park", park)]


def _unreadable_dropped() -> Sequence[Patch]:
    return [(Returns, "to_dead_letters", lambda _self, handled: handled)]


def _loops_dropped() -> Sequence[Patch]:
    lines = setting.template().splitlines(keepends=True)
    text = "".join(line for line in lines if "RecursiveLoop:" not in line)
    return [(setting, "template", lambda: text)]


BUGS = (
    Bug(
        "lost_failure_id",
        "the last of the batch item failures is left out",
        "every message that was taken comes to its end",
        _lost_failure_id,
    ),
    Bug(
        "failure_under_another_name",
        "the key of the batch item failures is misspelled",
        "every message that was taken comes to its end",
        _failure_under_another_name,
    ),
    Bug(
        "visible_at_once", "what is to be repeated is handed out at once", "a repeat waits", _visible_at_once
    ),
    Bug(
        "park_mismatched",
        "what SQS refused to park is taken for another message",
        "every message that was taken comes to its end",
        _park_mismatched,
    ),
    Bug(
        "failed_is_trusted",
        "what SQS does not call failed counts as parked",
        "every message that was taken comes to its end",
        _failed_is_trusted,
    ),
    Bug(
        "parked_without_id",
        "a parked copy is another message",
        "every message that was taken comes to its end",
        _parked_without_id,
    ),
    Bug(
        "parked_unseen",
        "a copy that SQS refused counts as parked",
        "every message that was taken comes to its end",
        _parked_unseen,
    ),
    Bug(
        "held_is_done",
        "a held message is deleted and not parked",
        "every message that was taken comes to its end",
        _held_is_done,
    ),
    Bug(
        "unreadable_dropped",
        "a body that nobody can read is dropped",
        "the dead letters are the bodies that nobody can read",
        _unreadable_dropped,
    ),
    Bug(
        "loops_dropped",
        "Lambda may take a long hold for a loop",
        "it drains in bounded time",
        _loops_dropped,
    ),
)
