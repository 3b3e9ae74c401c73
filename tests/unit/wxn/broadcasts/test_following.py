from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tests.unit.wxn.broadcasts.answers import broadcast
from wxn.broadcasts.following import Silence, looks
from wxn.errors import CommandError, ExitCode

NO_ANSWER = CommandError("No answer.", "", ExitCode.UNAVAILABLE)


class Watch:
    """Answers one after another, the last one again and again, and the pauses between them in seconds."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.pauses: list[float] = []

    def look(self) -> dict[str, Any]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def see(self, number: int) -> list[dict[str, Any] | Silence]:
        found = looks(self.look, "spring", now=lambda: sum(self.pauses), sleep=self.pauses.append)
        return list(islice(found, number))


def test_pauses_grow_to_ten_seconds() -> None:
    watch = Watch(broadcast("running"))
    watch.see(20)

    assert watch.pauses == sorted(watch.pauses)
    assert (watch.pauses[0], watch.pauses[-1]) == (0.5, 10.0)


def test_change_shortens_the_pause() -> None:
    watch = Watch(*[broadcast("running")] * 9, broadcast("finishing"))
    watch.see(11)

    assert watch.pauses[8] > watch.pauses[9] == 0.5


def test_lost_answers_are_told() -> None:
    watch = Watch(broadcast("running"), NO_ANSWER, NO_ANSWER, broadcast("finished"))
    first, silent, longer, last = watch.see(4)

    assert isinstance(silent, Silence)
    assert isinstance(longer, Silence)
    assert 0 < silent.seconds < longer.seconds
    assert [each["state"] for each in (first, last) if isinstance(each, dict)] == ["running", "finished"]


def test_ten_silent_minutes_end_it() -> None:
    watch = Watch(broadcast("running"), NO_ANSWER)
    with pytest.raises(CommandError) as error:
        watch.see(200)

    assert error.value.exit_code is ExitCode.UNAVAILABLE
    assert "wxn broadcast --follow spring" in error.value.next_step
    assert 600 < sum(watch.pauses) < 620


def test_refusal_ends_it_at_once() -> None:
    refusal = CommandError("Denied.", "", ExitCode.NO_ACCESS)
    watch = Watch(broadcast("running"), refusal)
    with pytest.raises(CommandError, match="Denied"):
        watch.see(2)
