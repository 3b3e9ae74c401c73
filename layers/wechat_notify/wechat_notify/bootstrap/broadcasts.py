"""The parts of broadcasts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.broadcast_queues import RowQueue, StepQueue
from wechat_notify.aws.broadcast_table import BroadcastTable
from wechat_notify.aws.callback_keys import CallbackAccounts
from wechat_notify.aws.objects import Bucket
from wechat_notify.aws.queue import Queue
from wechat_notify.bootstrap import teams
from wechat_notify.core.broadcasts.creating import NewBroadcasts
from wechat_notify.core.broadcasts.engine import Engine
from wechat_notify.core.broadcasts.operations import Broadcasts
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.outcomes import DomainEvent


class _Announcements:
    """The event bus; what could not be published is logged and counted."""

    def publish(self, events: Sequence[DomainEvent]) -> int:
        return bootstrap.telemetry().publish(events, bootstrap.event_bus)


@cache
def step_queue() -> Queue:
    """The queue of steps."""
    return Queue(bootstrap.aws(), bootstrap.settings().broadcast_step_queue_url)


@cache
def _callback_accounts() -> CallbackAccounts:
    path = bootstrap.settings().parameter_path
    return CallbackAccounts(bootstrap.aws(), path, clock=time.monotonic, merchants=True)


def _has_receipts(account: str) -> bool:
    return bootstrap.settings().receipts and _callback_accounts().has_keys(account)


@cache
def services() -> Services:
    """All that broadcasts stand on."""
    aws, settings = bootstrap.aws(), bootstrap.settings()
    return Services(
        store=BroadcastTable(aws, settings.ledger_table, bootstrap.retention_seconds(), teams.cursors()),
        objects=Bucket(aws, settings.broadcast_bucket),
        rows=RowQueue(Queue(aws, settings.broadcast_queue_url)),
        steps=StepQueue(step_queue()),
        entries=bootstrap.ledger_table(),
        holds=teams.open_holds(),
        events=_Announcements(),
        templates=bootstrap.template_registry().of,
        cancel_message=bootstrap.ledger().cancel,
        has_receipts=_has_receipts,
        now=time.time,
        new_id=bootstrap.id_factory(),
        ceiling=settings.broadcast_rate_limit,
    )


@cache
def engine() -> Engine:
    """Does the steps of broadcasts."""
    return Engine(services())


@cache
def broadcasts() -> Broadcasts:
    """The operations on broadcasts that exist."""
    return Broadcasts(services())


@cache
def new_broadcasts() -> NewBroadcasts:
    """Creates broadcasts."""
    return NewBroadcasts(services())
