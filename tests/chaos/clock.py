"""The time by which the service and WeChat live: faster than the real one, the same in two processes."""

from __future__ import annotations

import mmap
import struct
import time

_SHARED = struct.Struct("dd")
SIZE = _SHARED.size


class Clock:
    """Seconds since the epoch, in memory that two processes share.

    Parameters
    ----------
    descriptor
        A file of ``SIZE`` bytes.
    """

    def __init__(self, descriptor: int) -> None:
        self._shared = mmap.mmap(descriptor, SIZE)

    def start(self, now: float, speed: float) -> None:
        """Begin at a time; ``speed`` is how many seconds pass in a real one."""
        _SHARED.pack_into(self._shared, 0, now - time.monotonic() * speed, speed)

    @property
    def speed(self) -> float:
        """How many of its seconds pass in a real one."""
        return float(_SHARED.unpack_from(self._shared)[1])

    def now(self) -> float:
        """The monotonic clock is the machine's: every process reads the same."""
        offset, speed = _SHARED.unpack_from(self._shared)
        return float(offset + time.monotonic() * speed)

    def sleep(self, seconds: float) -> None:
        """Wait for so many of its seconds."""
        time.sleep(seconds / self.speed)

    def leap(self, seconds: float) -> None:
        """Let time go by in which nothing happens."""
        offset, speed = _SHARED.unpack_from(self._shared)
        _SHARED.pack_into(self._shared, 0, offset + max(0.0, seconds), speed)

    def close(self) -> None:
        """Let go of the memory."""
        self._shared.close()
