"""An event source mapping, which hands a queue's messages over to a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.aws.sqs import FakeSqs, Stored, records, succeeded
from tests.simulation.world.functions import Function
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.setting import BATCH_SIZE, MAX_CHAIN

if TYPE_CHECKING:
    from tests.simulation.world.world import World

_POLL = 0.02


class Mapping:
    """An event source mapping: batches of a queue for a function, while there is room.

    ``loops_allowed`` is whether the function may put messages on its own queue for as long as it takes.
    """

    def __init__(
        self,
        world: World,
        function: Function,
        queue: FakeSqs,
        *,
        loops_allowed: bool,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self._world = world
        self._function = function
        self._queue = queue
        self._loops_allowed = loops_allowed
        self._batch_size = batch_size
        self._next: float | None = None

    def kick(self) -> None:
        """Look at the queue soon."""
        self._poll_at(self._world.scheduler.now + _POLL)

    def _poll_at(self, when: float) -> None:
        if self._next is None or when < self._next:
            self._next = when
            self._world.scheduler.at(when, lambda: self._poll(when))

    def _poll(self, when: float) -> None:
        if self._next != when:
            return
        self._next = None
        world = self._world
        while self._function.room:
            batch = self._queue.receive(self._batch_size, world.chance, world.mix.copies)
            if not batch:
                break
            self._hand_over(batch)
        due = self._queue.next_visible_at()
        if due is not None and self._function.room:
            self._poll_at(max(due, world.scheduler.now + _POLL))

    def _hand_over(self, handed_out: Sequence[Stored]) -> None:
        # What Lambda takes for a loop is not handed over; its visibility timeout goes by for nothing.
        # https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
        batch = [stored for stored in handed_out if self._loops_allowed or stored.chain < MAX_CHAIN]
        if not batch:
            return
        receipts = [stored.receipt or "" for stored in batch]

        def ended(_: Invocation, answer: Any) -> None:
            if answer is DEAD:  # what it parked, or finished, comes again
                self._world.doubled += [stored.body for stored in batch]
            else:
                for receipt in succeeded(batch, receipts, answer):
                    self._queue.delete(receipt)
            self.kick()

        begun = self._function.invoke({"Records": records(batch)}, ended, [stored.id for stored in batch])
        assert begun
        begun.chain = 1 + max(stored.chain for stored in batch)
        begun.batch = [(stored.number, stored.body) for stored in batch]
