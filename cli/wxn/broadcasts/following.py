"""A broadcast is looked at again and again, also over a time without network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wxn.aws_errors import MAX_SILENCE, reason_to_wait
from wxn.errors import CommandError, ExitCode
from wxn.language import text

Broadcast = dict[str, Any]

ENDED: Final = frozenset({"refused", "finished", "cancelled", "failed"})
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.5, 10.0, 1.4
"""Seconds between two looks: few while much happens, more later. Counts are a minute old anyway."""


@dataclass(frozen=True)
class Silence:
    """The service does not answer, for so many seconds."""

    seconds: float
    reason: str


def looks(
    look: Callable[[], Broadcast],
    broadcast_id: str,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Broadcast | Silence]:
    """A broadcast as it is now, and again after each pause, without an end.

    Raises
    ------
    CommandError
        If the service refuses, or has not answered for ten minutes.
    """
    pause, answered_at = _FIRST_PAUSE, now()
    before: tuple[object, object] | None = None
    while True:
        try:
            found = look()
        except Exception as error:  # noqa: BLE001 - what is none of the network's is raised again
            reason = reason_to_wait(error)
            silence = now() - answered_at
            if silence > MAX_SILENCE:
                raise CommandError(
                    text("No answer for ten minutes.", "已经十分钟没有响应。"),
                    text(
                        f"The broadcast goes on by itself: wxn broadcast --follow {broadcast_id}",
                        f"群发会自行继续：wxn broadcast --follow {broadcast_id}",
                    ),
                    ExitCode.UNAVAILABLE,
                ) from None
            yield Silence(silence, reason)
        else:
            answered_at = now()
            state = found["state"], found.get("waits_for")
            if before not in {None, state}:
                pause = _FIRST_PAUSE
            before = state
            yield found
        sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
