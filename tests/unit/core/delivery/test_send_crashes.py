"""A process that ends in the middle of a message."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.fakes import Service, body
from tests.unit.core.delivery.doors import (
    AT_LEAST_ONCE,
    LEASE,
    Door,
    again_in,
    events,
)
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import (
    InFlight,
    Replayed,
    Sent,
    Unknown,
)
from wechat_notify.core.outcomes import Outcome, Status


class CrashError(BaseException):
    """The process is gone: no handler of ours runs any more."""


def crash(service: Service, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let the process die at one point of its next message."""
    put, send = service.ledger_store.put, service.wechat.send
    puts = itertools.count(1)

    def die_at_put(entry: Entry, *, patient: bool = False) -> Entry | None:
        number = next(puts)
        if (number, where) in {(1, "claiming"), (2, "finishing")}:
            raise CrashError
        existing = put(entry, patient=patient)
        if (number, where) in {(1, "after the claim"), (2, "after the finish")}:
            raise CrashError
        return existing

    def die_at_post(*given: Any) -> Outcome:
        send(*given)
        raise CrashError

    monkeypatch.setattr(service.ledger_store, "put", die_at_put)
    if where == "posting":
        monkeypatch.setattr(service.wechat, "send", die_at_post)


@pytest.mark.parametrize(
    "content", [body(), body("template"), AT_LEAST_ONCE], ids=["once", "template", "at_least_once"]
)
@pytest.mark.parametrize("where", ["claiming", "after the claim", "posting", "finishing", "after the finish"])
def test_crash_is_judged_later(
    queue: Door, monkeypatch: pytest.MonkeyPatch, where: str, content: dict[str, Any]
) -> None:
    with monkeypatch.context() as patched:
        crash(queue.service, patched, where)
        with pytest.raises(CrashError):
            queue(content)
    if where == "claiming":
        assert queue(content).status is Status.SENT
        return
    if where == "after the finish":
        again = queue(content)
        assert (type(again), again.status, queue.posts) == (Replayed, Status.SENT, 1)
        return
    soon = queue(content, receive_count=2)
    assert (type(soon), again_in(soon)) == (InFlight, LEASE)
    queue.advance(LEASE)
    judged = queue(content, receive_count=3)
    posts = 0 if where == "after the claim" else 1
    if content == body():
        assert (type(judged), judged.attempted, events(judged)) == (Unknown, False, ["message.unknown"])
        assert (queue.entry.reason, queue.posts) == ("answer_not_recorded", posts)
    else:
        assert (type(judged), judged.status, queue.posts) == (Sent, Status.SENT, posts + 1)
    assert events(queue(content)) == []


def test_caller_returns_after_a_crash(http: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        crash(http.service, patched, "posting")
        with pytest.raises(CrashError):
            http()
    assert type(http()) is InFlight
    http.advance(LEASE)
    judged = http()
    assert (type(judged), judged.attempted) == (Unknown, False)
