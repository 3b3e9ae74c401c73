"""The options of ``wxn dlq``, and the question before a redrive."""

import pytest

from tests.integration.wxn.conftest import Sqs, totals
from tests.unit.wxn import command_line
from tests.unit.wxn.command_line import Wxn
from wxn import questions


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--limit", "0"], "--limit is at least 1."),
        (["redrive", "--limit", "100001"], "--limit is at most 100000."),
        (["redrive", "--to", "https://sqs/1/send"], "There is no option --to"),
    ],
)
def test_wrong_usage_calls_nothing(sqs: Sqs, run: Wxn, arguments: list[str], said: str) -> None:
    ran = run(*arguments)

    assert (ran.code, sqs.calls) == (2, [])
    assert said in ran.err


def test_missing_queue_is_told(sqs: Sqs, run: Wxn) -> None:
    sqs.put("a")
    sqs.target += "-none"
    ran = run("redrive")

    assert ran.code == 1
    assert "NonExistentQueue" in ran.err
    assert len(sqs.look(sqs.dlq)) == 1


@pytest.mark.parametrize(
    ("typed", "code", "out", "left"),
    [("y\n", 0, totals(1, 1), (0, 1)), ("\n", 1, "", (1, 0)), ("", 130, "", (1, 0))],
)
@pytest.mark.usefixtures("run")
def test_redrive_asks_first(
    sqs: Sqs,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    typed: str,
    code: int,
    out: str,
    left: tuple[int, int],
) -> None:
    sqs.put("a", reason="not JSON")
    monkeypatch.setattr(questions, "can_ask", lambda: True)
    ran = command_line.run(monkeypatch, capsys, "dlq", "redrive", "--reason", "JSON", typed=typed)

    assert (ran.code, ran.out) == (code, out)
    assert "send those with “JSON” of about 1 dead letters once more?" in ran.err
    assert sqs.counts() == left


@pytest.mark.usefixtures("run")
def test_no_terminal_needs_yes(
    sqs: Sqs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs.put("a")
    ran = command_line.run(monkeypatch, capsys, "dlq", "redrive", typed="y\n")

    assert ran.code == 2
    assert "Repeat it with --yes" in ran.err
    assert sqs.counts() == (1, 0)
