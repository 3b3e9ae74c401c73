"""A short run in which every rule is kept, and shorter ones that show that a broken one is noticed."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as command
from tests.chaos import service
from tests.chaos.aws import Queue
from tests.chaos.run import Run, wechat_for
from tests.chaos.verdict import Verdict, judge
from tests.chaos.wechat import WeChatProcess
from tests.chaos.workload import Mix
from tests.fakes import FakeLedgerStore
from wechat_notify.core.delivery import transitions
from wechat_notify.core.delivery.circuit import Admission
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer

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


def test_nothing_is_lost_and_nothing_is_sent_twice_whatever_goes_wrong(go: Go) -> None:
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


# It bites


@dataclass(frozen=True)
class Bug:
    """Something that somebody could get wrong, where it is noticed, and what brings it to light soon."""

    broken: str
    plant: Callable[[pytest.MonkeyPatch], None]
    mix: Mix
    count: int = 300


def _replaced(owner: object, name: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _put_without_condition(store: FakeLedgerStore, entry: Entry, *, patient: bool = False) -> None:
    del patient
    store.entries[entry.account, entry.id] = entry


def _acknowledged_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    poll = Run._poll

    def too_early(self: Run, batch: list[dict[str, Any]]) -> None:
        self._queue.delete(record["receiptHandle"] for record in batch)
        poll(self, batch)

    patch.setattr(Run, "_poll", too_early)


def _no_failures_reported(patch: pytest.MonkeyPatch) -> None:
    handler, seconds = service._FUNCTIONS["send_queue"]

    def careless(event: dict[str, Any], context: Any) -> dict[str, Any]:
        handler(event, context)
        return {"batchItemFailures": []}

    patch.setitem(service._FUNCTIONS, "send_queue", (careless, seconds))


def _no_answer_counts_as_not_sent(patch: pytest.MonkeyPatch) -> None:
    post = HttpSession.post

    def hopeful(self: HttpSession, path: str, body: bytes) -> HttpResponse | NoAnswer:
        answer = post(self, path, body)
        return answer._replace(may_have_arrived=False) if isinstance(answer, NoAnswer) else answer

    patch.setattr(HttpSession, "post", hopeful)


def _address_in_the_log(patch: pytest.MonkeyPatch) -> None:
    post = WeChatClient._post

    def talkative(self: WeChatClient, path: str, body: bytes) -> Any:
        sys.stdout.write(f"{path}\n")
        return post(self, path, body)

    patch.setattr(WeChatClient, "_post", talkative)


def _never(*_: object, **__: object) -> None:
    return None


def _nothing(*_: object, **__: object) -> dict[str, object]:
    return {}


CALM = Mix(
    timeout_before=0, timeout_after=0, reset=0, status=0, busy=0, template=0, odd=0, token=0, quota=False
)
LOSSY = Mix(timeout_after=0.05, silent=0.5, quota=False)
DEADLY = Mix(killed=0.3, silent=0, quota=False)
BUGS = {
    "a read timeout counts as not sent": Bug(
        "duplicated beyond the agreement", _no_answer_counts_as_not_sent, LOSSY
    ),
    "a claim has no condition": Bug(
        "duplicated beyond the agreement",
        _replaced(FakeLedgerStore, "put", _put_without_condition),
        Mix(delivered_twice=0.5, silent=0, quota=False),
    ),
    "a claim whose holder died counts as not sent": Bug(
        "duplicated beyond the agreement", _replaced(transitions, "doubt_of", _nothing), DEADLY
    ),
    "what is held is not parked": Bug(
        "left open", _replaced(Returns, "park", lambda _self, handled: list(handled)), Mix(silent=0), 600
    ),
    "a batch is acknowledged before it is sent": Bug("lost", _acknowledged_before_it_is_sent, DEADLY),
    "what is to be repeated is not reported": Bug(
        "left open", _no_failures_reported, Mix(busy=0.2, silent=0)
    ),
    "what is accepted for later is not put on the queue": Bug("lost", _replaced(Queue, "send", _never), CALM),
    "nobody heeds a used-up quota": Bug(
        "calls to a used-up quota",
        _replaced(Circuits, "admit", lambda *_: Admission()),
        Mix(storage=0, silent=0),
        600,
    ),
    "no stored token counts as usable": Bug(
        "token calls", _replaced(AccessToken, "usable", lambda *_: False), CALM
    ),
    "an address is written into the log": Bug("secrets", _address_in_the_log, CALM, 50),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_noticed(name: str, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    bug.plant(monkeypatch)
    verdict = go(bug.count, bug.mix)
    assert bug.broken in verdict.broken, verdict.text()


def test_the_command_prints_the_verdict_and_fails_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chaos", "--messages", "50", "--seed", "7"])
    assert command.main() == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("sound: ")
    assert last.endswith("seed 7")
    monkeypatch.setattr(Queue, "send", _never)
    assert command.main() == 1
    out = capsys.readouterr().out
    assert "BROKEN  lost (" in out
    assert out.splitlines()[-1].startswith("broken: lost")
