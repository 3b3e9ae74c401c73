"""Time and chance, as they are handed to the parts that need them."""

from __future__ import annotations

from collections.abc import Callable

Jitter = Callable[[float, float], float]
"""Returns a random number between two others."""
SecondsLeft = Callable[[], float]
"""Returns the seconds until the function is stopped."""
