"""The same message again, what is held, and a ledger in trouble."""

from __future__ import annotations

import pytest

from tests.fakes import Service, answer, body, lost
from tests.unit.functions.send_api.calls import MSGID, RESET, Response, counts, keyed, look
from tests.unit.standings import KEY, STANDINGS, bring_about
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome

# By standing: the status, what the body says of itself, whether it is said again, messages to WeChat.
Expected = tuple[int, str, bool, int]
SENT_NOW = (200, "sent", False, 1)
OVER_HTTP: dict[str, Expected] = {
    "queued": (202, "queued", True, 0),
    "sending": (409, "in-flight", False, 0),
    "abandoned": (504, "outcome-unknown", False, 0),
    "sent": (200, "sent", True, 0),
    "failed": (422, "not-sent", True, 0),
    "try_again": SENT_NOW,
    "unknown": (504, "outcome-unknown", True, 0),
    "expired": (410, "expired", True, 0),
    "cancelled": (410, "cancelled", True, 0),
    "refused": SENT_NOW,
    "other_body": (422, "idempotency-key-reused", False, 0),
}
RESPOND_ASYNC = {**OVER_HTTP, **dict.fromkeys(("try_again", "refused"), (202, "queued", False, 0))}


def observed(service: Service, response: Response) -> Expected:
    return response.status, response.says, response.replayed, len(service.wechat.attempts)


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize(("prefer", "expected"), [("", OVER_HTTP), ("respond-async", RESPOND_ASYNC)])
def test_by_its_entry(service: Service, *, standing: str, prefer: str, expected: dict[str, Expected]) -> None:
    bring_about(service, standing)
    response = keyed(prefer=prefer)
    assert observed(service, response) == expected[standing]
    assert (response.content["id"], response.content["account"]) == (KEY, "shop")
    assert ("Location" in response.headers) == (response.status == 202)
    assert response.retry_after == ("2" if standing == "sending" else None)
    assert response.content.get("retryable", False) is (standing == "sending")


def test_failed_for_good(service: Service) -> None:
    """After twenty attempts nothing is tried under this id any more."""
    service.wechat.plan.extend([answer(-1)] * 30)
    waits: list[str | None] = []
    for _ in range(20):
        response = keyed()
        assert (response.status, response.content["retryable"]) == (503, len(waits) < 19)
        waits.append(response.retry_after)
        service.clock.advance(int(response.retry_after or 0))
    assert (waits[:3], waits[18:]) == (["2", "4", "8"], ["300", None])
    response = keyed()
    assert (response.replayed, response.content["retryable"]) == (True, False)


def test_lost_answer_at_least_once(service: Service) -> None:
    """The copy before may just be late: the repeat waits ten seconds."""
    content = body(delivery="at_least_once")
    service.wechat.plan.append(lost())
    assert keyed(content).status == 504
    service.clock.advance(4)
    response = keyed(content)
    assert observed(service, response) == (504, "outcome-unknown", True, 1)
    assert (response.retry_after, response.content["retryable"]) == ("6", True)
    service.clock.advance(6)
    assert observed(service, keyed(content)) == (200, "sent", False, 2)


def test_refusal_after_a_lost_answer(service: Service) -> None:
    """The first copy stays in doubt."""
    content = body(delivery="at_least_once")
    service.wechat.plan.extend([lost(), answer(43101, "user refuse to accept the msg")])
    keyed(content)
    service.clock.advance(10)
    response = keyed(content)
    assert observed(service, response) == (504, "outcome-unknown", False, 2)
    assert response.content["class"] == "unknown"


@pytest.mark.parametrize(("first", "status"), [([], 422), ([lost()], 504)], ids=["alone", "after a loss"])
def test_claim_that_was_given_up(service: Service, first: list[Outcome], status: int) -> None:
    """Two clocks that differ by more than they may: the caller hears of its own attempt.

    Unless an earlier copy is in doubt.
    """
    content = body(delivery="at_least_once")
    service.wechat.plan.extend([*first, answer(47003, "argument invalid")])
    for _ in first:
        keyed(content)
        service.clock.advance(10)

    def take_over(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        service.clock.advance(600)
        look()

    service.wechat.while_in_flight = take_over
    response = keyed(content)
    errcode = None if first else 47003
    assert (response.status, response.content["errcode"], response.replayed) == (status, errcode, False)


def test_held(service: Service) -> None:
    service.wechat.plan.append(answer(45009, "reach max api daily quota limit"))
    keyed(key="first")
    service.clock.advance(100)
    response = keyed()
    assert (response.status, response.retry_after) == (429, str(RESET - 100))
    content = response.content
    assert (content["class"], content["errcode"], content["retryable"]) == ("quota", 45009, True)
    assert "2026-03-01T16:02:00.000Z" in content["detail"]
    assert content["id"] == KEY
    assert len(service.wechat.attempts) == 1


# ---------------------------------------------------------------- the ledger in trouble


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_storage_in_trouble(service: Service, capsys: pytest.CaptureFixture[str], prefer: str) -> None:
    """The claim cannot be written; the queue takes nothing."""
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    service.queue.failing = "ServiceUnavailable"
    response = keyed(prefer=prefer)
    assert (response.status, response.says, response.retry_after) == (503, "storage", "2")
    assert (response.content["class"], response.content["retryable"]) == ("transient", True)
    assert service.wechat.attempts == []
    put_off, finished = service.lines()
    assert (put_off["message"], put_off["account"]) == ("message put off", "shop")
    assert put_off["detail"].endswith(": ServiceUnavailable")
    assert finished["reason"] == "storage"
    assert counts(capsys) == {}


@pytest.mark.parametrize(
    ("outcome", "status"), [(answer(0, msgid=MSGID), 200), (answer(43101), 422), (lost(), 504)]
)
def test_outcome_that_cannot_be_recorded(
    service: Service, capsys: pytest.CaptureFixture[str], *, outcome: Outcome, status: int
) -> None:
    """Its caller hears it."""

    def fail(_message: Message) -> None:
        service.ledger_store.failing = {"put": "ServiceUnavailable"}

    service.wechat.while_in_flight = fail
    service.wechat.plan.append(outcome)
    response = keyed()
    content = response.content
    assert (response.status, response.replayed) == (status, False)
    assert content.get("errcode", content.get("wechat", {}).get("errcode")) == outcome.errcode
    (line,) = service.lines("message attempted")
    assert (line["level"], line["status"], line.get("errcode")) == ("ERROR", "sending", outcome.errcode)
    assert counts(capsys) == {"AnswersNotRecorded": 1}
    assert service.bus.events == []


@pytest.mark.parametrize(("errcode", "status"), [(45011, 429), (40164, 502), (-1, 503)])
def test_failed_for_good_on_the_queue(service: Service, errcode: int, status: int) -> None:
    """A repeat cannot work any more, whatever the errcode says."""
    bring_about(service, "failed")
    entry = service.ledger_store.entries["shop", KEY]
    given_up = entry._replace(reason="retries_exhausted", outcome=answer(errcode))
    service.ledger_store.entries["shop", KEY] = given_up
    response = keyed()
    assert (response.status, response.replayed, response.content["retryable"]) == (status, True, False)
    assert (response.retry_after, service.wechat.attempts) == (None, [])
