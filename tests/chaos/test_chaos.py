"""A short run in which every rule is kept, and shorter ones that show that a broken one is noticed."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as command
from tests.chaos.aws import Queue
from tests.chaos.run import Run, wechat_for
from tests.chaos.verdict import Verdict, judge
from tests.chaos.wechat import WeChatProcess
from tests.chaos.workload import Mix
from tests.fakes import FakeLedgerStore
from tests.fakes.aws.sqs import Stored
from tests.simulation.planted_bugs import BUGS, Bug
from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from wechat_notify.core.delivery import transitions
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.wechat.client import WeChatClient

HARD = Mix(
    reset=0.02,
    template=0.01,
    messages_an_epoch=300,
    killed=0.02,
    delivered_twice=0.05,
    parameters_throttled=0.05,
    storage=0.003,
    answer_lost=0.01,
)
"""What is rare among 20,000 messages, in a run that is a tenth as long."""
Go = Callable[[int, Mix], Verdict]
_PROCESS = Path("/proc/self")


def _held() -> tuple[set[threading.Thread], int, list[str]]:
    """What this process holds that it could leave behind: threads, open files, children."""
    gc.collect()  # closed connections are among it
    descriptors = len(list(_PROCESS.glob("fd/*")))
    return (
        set(threading.enumerate()),
        descriptors,
        sorted(child for path in _PROCESS.glob("task/*/children") for child in path.read_text().split()),
    )


@pytest.fixture(scope="module")
def wechat() -> Iterator[WeChatProcess]:
    before = _held()
    with wechat_for(seed=1) as process:
        yield process
    threads, descriptors, children = _held()
    assert threads <= before[0]  # those of an earlier test's pool may have ended meanwhile
    assert (descriptors, children) == before[1:]


@pytest.fixture
def go(wechat: WeChatProcess) -> Go:
    """What a run with the same WeChat comes to, which has forgotten those before."""

    def run_anew(count: int, mix: Mix) -> Verdict:
        wechat.reset()
        before = set(threading.enumerate())
        verdict = judge(Run(count, 1, mix, wechat).go())
        assert set(threading.enumerate()) == before
        return verdict

    return run_anew


def test_every_rule_is_kept_under_faults(go: Go) -> None:
    verdict = go(1500, HARD)
    assert verdict.sound, verdict.text()
    assert verdict.total("handed over") == 1500
    assert verdict.total("unknown") < 300
    assert verdict.total("recovered") > 50
    struck = {
        *(f"{fault} {when}" for fault in ("timeout", "reset", "5xx") for when in ("before", "after")),
        *("errcode -1", "errcode 40037", "token epoch", "read timeout", "delivered twice", "killed"),
        *("DynamoDB throttled", "SSM throttled", "AWS answer lost", "storage error", "unreadable body"),
    }
    assert struck <= verdict.struck.keys()
    assert "used up" in verdict.quota[0]


# It bites: some bugs of the simulation's, and some that only this run can have


@in_place_of(FakeLedgerStore, "put", breaks="duplicated beyond the agreement")
def a_claim_has_no_condition(
    _right: Any, store: FakeLedgerStore, entry: Entry, *, patient: bool = False
) -> None:
    del patient
    store.entries[entry.account, entry.id] = entry


@bug(breaks="duplicated beyond the agreement")
def a_claim_whose_holder_died_was_not_sent() -> Patches:
    return [(transitions, "doubt_of", lambda *_, **__: {})]


@in_place_of(Run, "_poll", breaks="lost")
def acknowledged_before_it_is_sent(right: Any, self: Run, batch: list[Stored]) -> None:
    for stored in batch:
        self.aws.queue.delete(stored.receipt or "")
    right(self, batch)


@bug(breaks="lost")
def accepted_and_not_queued() -> Patches:
    return [(Queue, "send", lambda *_, **__: None)]


@bug(breaks="token calls")
def no_stored_token_is_usable() -> Patches:
    return [(AccessToken, "usable", lambda *_: False)]


@in_place_of(WeChatClient, "_post", breaks="secrets")
def an_address_is_logged(right: Any, self: WeChatClient, path: str, body: bytes) -> Any:
    sys.stdout.write(f"{path}\n")
    return right(self, path, body)


NO_FAULTS = Mix(
    timeout_before=0, timeout_after=0, reset=0, status=0, busy=0, template=0, odd=0, token=0, quota=False
)
LOSSY = Mix(timeout_after=0.05, silent=0.5, quota=False)
DEADLY = Mix(killed=0.3, silent=0, quota=False)
TWICE = Mix(delivered_twice=0.5, silent=0, quota=False)
BITES = [
    (replace(BUGS["retry_on_read_timeout"], broken="duplicated beyond the agreement"), LOSSY, 300),
    (a_claim_has_no_condition, TWICE, 300),
    (a_claim_whose_holder_died_was_not_sent, DEADLY, 300),
    (replace(BUGS["held_is_done"], broken="left open"), Mix(silent=0), 600),
    (acknowledged_before_it_is_sent, DEADLY, 300),
    (replace(BUGS["failure_under_another_name"], broken="left open"), Mix(busy=0.2, silent=0), 300),
    (accepted_and_not_queued, NO_FAULTS, 300),
    (
        replace(BUGS["circuits_not_read"], broken="calls to a used-up quota"),
        Mix(storage=0, silent=0),
        600,
    ),
    (no_stored_token_is_usable, NO_FAULTS, 300),
    (an_address_is_logged, NO_FAULTS, 50),
]


@pytest.mark.parametrize(("bug", "mix", "count"), BITES, ids=[bug.name for bug, _, _ in BITES])
def test_a_bug_is_noticed(bug: Bug, mix: Mix, count: int, go: Go) -> None:
    with bug.planted():
        verdict = go(count, mix)
    assert bug.broken in verdict.broken, verdict.text()


def test_command_prints_verdict_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chaos", "--messages", "50", "--seed", "7"])
    assert command.main() == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("sound: ")
    assert last.endswith("seed 7")
    with accepted_and_not_queued.planted():
        assert command.main() == 1
    out = capsys.readouterr().out
    assert "BROKEN  lost (" in out
    assert out.splitlines()[-1].startswith("broken: lost")
