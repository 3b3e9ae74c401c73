"""The progress of a command on standard error: a spinner and a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from wxn.output import Output, printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.spinner import Spinner

_LINE_SECONDS: Final = 60.0
"""Seconds between two lines where nothing but the numbers has changed."""
_BAR_WIDTH: Final = 60
_PERCENT_WIDTH: Final = 5


class Progress(NamedTuple):
    """A moment: what is done, how much of it, and more lines below the bar.

    ``total`` is 0 where it is not known: then there is no bar.
    """

    title: str
    done: int = 0
    total: int = 0
    details: Sequence[str] = ()

    @property
    def percent(self) -> int | None:
        """Rounded down, so that 100 means all; None where the total is not known."""
        return self.done * 100 // self.total if self.total else None


class ProgressView:
    """Shows the newest progress that it is given, for the time of its ``with`` block; nothing with ``--json``.

    Parameters
    ----------
    output
        The output of the command.
    now
        A clock, in seconds.
    """

    def __init__(self, output: Output, *, now: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._now = now
        self._progress: Progress | None = None
        self._live: Live | None = None
        self._title_told = ""
        self._told_at = 0.0

    @cached_property
    def _spinner(self) -> Spinner:
        from rich.spinner import Spinner  # noqa: PLC0415 - --help starts without it

        return Spinner("line")

    def __enter__(self) -> Self:
        errors = None if self._output.as_json else self._output.errors
        if errors is not None and errors.is_terminal and not errors.is_dumb_terminal:
            from rich.live import Live  # noqa: PLC0415 - --help starts without it

            self._live = Live(console=errors, get_renderable=self._screen, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._live is not None:
            # What follows tells the same in more words, unless this is interrupted.
            self._live.transient = error is None
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Take the newest progress."""
        self._progress = progress
        if self._live is None:
            self._tell(progress)

    def _tell(self, progress: Progress) -> None:
        """Print a line where something has changed."""
        now = self._now()
        if progress.title == self._title_told and now - self._told_at < _LINE_SECONDS:
            return
        self._title_told, self._told_at = progress.title, now
        share = [] if progress.percent is None else [f"{progress.percent}%"]
        self._output.note(" · ".join([progress.title, *share, *progress.details]))

    def _screen(self) -> Group:
        from rich.console import Group  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        progress = self._progress
        if progress is None:
            return Group()
        # Numbers stand still for a minute: something has to move.
        self._spinner.update(text=Text(printable(progress.title), style="bold"))
        rows: list[Text | Table | Spinner] = [self._spinner]
        if progress.total:
            room = self._output.errors.width - _PERCENT_WIDTH
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                ProgressBar(progress.total, progress.done, width=max(1, min(_BAR_WIDTH, room))),
                Text(f"{progress.percent}%"),
            )
            rows.append(bar)
        rows += [Text(printable(line)) for line in progress.details]
        return Group(*rows)
