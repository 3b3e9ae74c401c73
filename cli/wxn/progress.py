"""Progress of long commands: a bar on a terminal, otherwise a line for each hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from wxn.language import text
from wxn.output import Output

if TYPE_CHECKING:
    from rich.progress import TaskID

_EVERY: Final = 100


class Progress:
    """Tells how far a command is, on standard error; nothing with ``--json``."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bars: Any = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}

    def __enter__(self) -> Self:
        if not self._output.as_json and self._output.errors.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
            from rich.progress import Progress as Bars  # noqa: PLC0415

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bars = Bars(*columns, console=self._output.errors, transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def at(self, doing: str, done: int, total: int | None = None) -> None:
        """Tell that so many are done of a total, None where that is not known.

        Parameters
        ----------
        doing
            A few words that name the work, such as "read".
        done, total
            Counts.
        """
        before, self._done[doing] = self._done.get(doing, 0), done
        if self._bars is not None:
            if doing not in self._tasks:
                self._tasks[doing] = self._bars.add_task(doing, total=total)
            self._bars.update(self._tasks[doing], completed=done, total=total)
        elif done // _EVERY > before // _EVERY:
            of = "" if total is None else text(f" of {total}", f"/{total}")
            self._output.note(f"{doing}: {done}{of}")
