"""Lambda: synchronous invocations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.aws import Refusal


class LambdaApi:
    """Synchronous invocations of the token refresher.

    ``begin`` starts one, and has None where too many run. ``wait`` has what it came to, which is whether it
    failed and what it returned, and None where that took longer than so many seconds.
    """

    def __init__(
        self,
        begin: Callable[[dict[str, Any]], object | None],
        wait: Callable[[Any, float], tuple[bool, Any] | None],
    ) -> None:
        self.wait = wait
        self._begin = begin

    def invoke(self, **event: Any) -> object:
        """Start an invocation."""
        running = self._begin(event)
        if running is None:
            raise Refusal("TooManyRequestsException")
        return running
