from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """End the block on the first SIGINT, SIGTERM or SIGHUP; later ones do not disturb its tidying up."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    # The terminal's window was closed; under nohup that means nothing.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, end)
    with contextlib.suppress(KeyboardInterrupt):
        yield
