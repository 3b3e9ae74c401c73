"""The steps of a broadcast: each message of the steps' queue is one step, which sends the next one.

A step reads the record, does what is due, stores it, and sends the next step. A function may end anywhere,
and SQS may deliver a step twice:

* before the record is stored: the step is delivered again and repeats the same rows under the same ids;
* after it, before the next step is sent: the repeated step has the number before the record's, and sends
  the next one when it is overdue (``_watch``);
* two functions do one step: the loser of a conditional write reads the record again (``SupersededError``).
"""

from __future__ import annotations

import math

from wechat_notify.core.broadcasts import pace
from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.checking import Checker
from wechat_notify.core.broadcasts.examining import Examiner, counts_of
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.finishing import Finisher
from wechat_notify.core.broadcasts.overview import broadcast_event
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.records import Records, SupersededError
from wechat_notify.core.broadcasts.releasing import UPLOAD_CHANGED, Releaser, leaves_rows
from wechat_notify.core.errors import ObjectChangedError, StorageError

OVERDUE = 30.0
"""Seconds after its time that a step which did not come is sent again."""
_MAX_TRIES = 8
_UNSETTLED = frozenset({State.FINISHING, State.CANCELLED, State.FAILED})


class Engine:
    """Does the steps of broadcasts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        files, self._records = Files(services), Records(services)
        self._checker = Checker(services, files, self._records)
        self._releaser = Releaser(services, files, self._records)
        self._examiner = Examiner(services, files, self._records)
        self._finisher = Finisher(services, files, self._records)

    def run(self, account: str, broadcast_id: str, step: int) -> None:
        """Do a step, and hand over to the next one; nothing where the step is not due any more.

        Raises
        ------
        StorageError
            The step has to be repeated.
        """
        for _ in range(_MAX_TRIES):
            broadcast = self._services.store.read(account, broadcast_id)
            if broadcast is None or broadcast.next_step_at is None:
                return
            try:
                if step == broadcast.step:
                    self._run(broadcast)
                elif step == broadcast.step - 1:
                    self._watch(broadcast)
            except SupersededError:
                continue
            return
        raise StorageError("do the broadcast's step", "Contended")

    def _watch(self, broadcast: Broadcast) -> None:
        """Send the next step again where it is overdue: its sender may have ended before it was sent."""
        wait = math.ceil((broadcast.next_step_at or 0.0) + OVERDUE - self._services.now())
        if wait <= 0:
            wake(self._services, broadcast)
        else:
            self._services.steps.send(
                broadcast.account, broadcast.id, broadcast.step - 1, min(wait, pace.MAX_DELAY)
            )

    def _run(self, broadcast: Broadcast) -> None:
        if (broadcast.next_step_at or 0.0) - self._services.now() > pace.EARLY:
            wake(self._services, broadcast)  # SQS delays a message for 15 minutes at most
            return
        look_at: float | None = None
        if broadcast.state is State.CHECKING:
            broadcast = self._check(broadcast)
        else:
            broadcast = self._releaser.step(broadcast)
            broadcast, look_at = self._examiner.step(broadcast)
            broadcast = self._finisher.step(broadcast)
        self._announce(broadcast)
        broadcast = self._records.write(
            broadcast,
            step=broadcast.step + 1,
            next_step_at=self._next_step_at(broadcast, look_at),
            announcement=None,
        )
        wake(self._services, broadcast)

    def _check(self, broadcast: Broadcast) -> Broadcast:
        try:
            return self._checker.step(broadcast)
        except ObjectChangedError:
            return self._releaser.fail(broadcast, UPLOAD_CHANGED)

    def _announce(self, broadcast: Broadcast) -> None:
        """Publish the event that is due: at least once, since it is noted in the record until then."""
        if broadcast.announcement:
            counts = counts_of(self._services.store, broadcast)
            self._services.events.publish([broadcast_event(broadcast.announcement, broadcast, counts)])

    def _next_step_at(self, broadcast: Broadcast, look_at: float | None) -> float | None:
        now = self._services.now()
        match broadcast.state:
            case State.CHECKING:
                return now
            case State.RUNNING:
                due = broadcast.next_release_at or now
                return pace.due_first([due - pace.lead(broadcast.rate), look_at])
            case State.PAUSED:
                return look_at
        if broadcast.state not in _UNSETTLED or broadcast.has_ended:
            return None
        return now if leaves_rows(broadcast) or look_at is None else look_at


def wake(services: Services, broadcast: Broadcast) -> None:
    """Send the next step of a broadcast, where there is one; sent twice, it is done once."""
    if broadcast.next_step_at is not None:
        wait = pace.delay(broadcast.next_step_at, services.now())
        services.steps.send(broadcast.account, broadcast.id, broadcast.step, wait)
