"""The same message again, and what is held."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes import Service, answer, body, lost, unreachable
from tests.unit.functions.send_api.calls import MSGID, RESET, Response, counts, keyed, look, post
from tests.unit.standings import KEY, STANDINGS, bring_about
from wechat_notify import bootstrap
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.telemetry import Telemetry

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
WHILE_HELD = {standing: expected for standing, expected in OVER_HTTP.items() if expected != SENT_NOW}


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


def test_refused_by_queue_and_held(service: Service) -> None:
    bring_about(service, "refused")
    service.wechat.plan.append(answer(45009))
    keyed(key="first")
    assert keyed().status == 429


def test_order_of_fields_and_options(service: Service) -> None:
    """They make no other message."""
    assert keyed().status == 200
    options = {"expires_at": "2026-03-02T00:00:00Z", "delivery": "at_least_once"}
    response = keyed(dict(reversed(body().items())) | options)
    assert observed(service, response) == (200, "sent", True, 1)


def test_same_key_of_another_account(service: Service) -> None:
    service.add_account("bank")
    assert keyed().status == 200
    response = keyed(account="bank")
    assert observed(service, response) == (200, "sent", False, 2)
    assert response.content["account"] == "bank"


def test_tried_again(service: Service) -> None:
    service.wechat.plan.extend([answer(-1), answer(45011), answer(0, msgid=MSGID)])
    assert [keyed().status for _ in range(2)] == [503, 429]
    service.clock.advance(60)
    assert observed(service, keyed()) == (200, "sent", False, 3)
    assert keyed().replayed
    assert look().content["attempts"] == 3


def test_tried_again_for_half_an_hour(service: Service) -> None:
    service.wechat.plan.extend([answer(-1)] * 30)
    waits: list[str | None] = []
    for _ in range(20):
        response = keyed()
        assert (response.status, response.content["retryable"]) == (503, len(waits) < 19)
        waits.append(response.retry_after)
        service.clock.advance(int(response.retry_after or 0))
    assert waits == [*map(str, (2, 4, 8, 16, 32, 64, 128, 256, *[300] * 11)), None]
    assert look().content["reason"] == "retries_exhausted"
    assert keyed().replayed
    assert keyed().content["retryable"] is False


def test_unreachable_for_days(service: Service) -> None:
    for _ in range(100):
        service.wechat.plan.append(unreachable())
        assert keyed().content["retryable"]
        service.clock.advance(600)
    assert keyed().status == 200


def test_lost_answer_is_told_again(service: Service) -> None:
    service.wechat.plan.append(lost())
    for again in (False, True):
        response = keyed()
        assert observed(service, response) == (504, "outcome-unknown", again, 1)
        assert (response.content["class"], response.content["retryable"]) == ("unknown", False)


def test_lost_answer_that_wechat_deduplicates(service: Service) -> None:
    service.wechat.plan.append(lost())
    assert keyed(body("template")).status == 504
    assert observed(service, keyed(body("template"))) == (200, "sent", False, 2)


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
    assert (response.status, response.says, response.content["class"]) == (504, "outcome-unknown", "unknown")
    assert len(service.wechat.attempts) == 2


def test_claim_that_was_given_up(service: Service) -> None:
    """Two clocks that differ by more than they may: the caller hears of its own attempt."""

    def take_over(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        service.clock.advance(600)
        look()

    service.wechat.while_in_flight = take_over
    service.wechat.plan.append(answer(47003, "argument invalid"))
    response = keyed()
    assert (response.status, response.content["errcode"], response.replayed) == (422, 47003, False)


def test_while_the_first_is_in_flight(service: Service) -> None:
    meanwhile: list[Response] = []
    service.wechat.while_in_flight = lambda _message: meanwhile.append(keyed())
    assert keyed().status == 200
    (response,) = meanwhile
    assert (response.status, response.says, response.retry_after) == (409, "in-flight", "2")
    assert response.content["retryable"]
    assert len(service.wechat.attempts) == 1
    service.wechat.while_in_flight = lambda _message: None
    assert keyed().replayed


def test_eight_at_the_same_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is sent. Each execution environment has a log and metrics of its own."""
    own = threading.local()

    def telemetry() -> Telemetry:
        if not hasattr(own, "telemetry"):
            own.telemetry = Service().telemetry
        mine: Telemetry = own.telemetry
        return mine

    monkeypatch.setattr(bootstrap, "telemetry", telemetry)
    together = threading.Barrier(8)

    def request(_number: int) -> tuple[int, bool]:
        together.wait(10)
        response = keyed()
        return response.status, response.replayed

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(request, range(8)))
    assert len(service.wechat.attempts) == answers.pop((200, False)) == 1
    assert answers.keys() <= {(409, False), (200, True)}


# ---------------------------------------------------------------- held


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
    assert service.ledger_store.entries.keys() == {("shop", "first")}
    assert look().status == 404


def test_held_because_of_its_account(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    for response in (keyed(), keyed()):
        assert (response.status, response.retry_after) == (502, "300")
        assert (response.content["class"], response.content["errcode"]) == ("config", 40164)
        assert response.content["retryable"]
    assert len(service.refresher.asked) == 1


def test_held_for_one_kind_and_account(service: Service) -> None:
    service.add_account("bank")
    service.wechat.plan.append(answer(45009))
    assert keyed().status == 429
    statuses = [post(body("template")).status, post(body(), "bank").status, post(body()).status]
    assert statuses == [200, 200, 429]


def test_held_and_then_sent(service: Service) -> None:
    service.wechat.plan.append(answer(45011))
    assert [keyed().status, keyed().status] == [429, 429]
    service.clock.advance(60)
    assert observed(service, keyed()) == (200, "sent", False, 2)


@pytest.mark.parametrize("trouble", ["held", "no token"])
@pytest.mark.parametrize("standing", WHILE_HELD)
def test_by_its_entry_while_held(service: Service, standing: str, trouble: str) -> None:
    bring_about(service, standing)
    if trouble == "held":
        service.wechat.plan.append(answer(45009))
        keyed(key="first")
    else:
        service.store.tokens.clear()
        service.wechat.refuse_tokens("wx-shop", unreachable())
        service.sender._tokens._cache.clear()
    service.forget()
    assert observed(service, keyed()) == WHILE_HELD[standing]


def test_held_before_it_is_tried_again(service: Service) -> None:
    bring_about(service, "try_again")
    service.wechat.plan.append(answer(45009))
    keyed(key="first")
    assert keyed().status == 429
    assert look().content["reason"] == "try_again"


# ---------------------------------------------------------------- the ledger in trouble


def test_claim_that_cannot_be_written(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.ledger_store.failing = {"put": "ProvisionedThroughputExceededException"}
    response = keyed()
    assert (response.status, response.says, response.retry_after) == (503, "storage", "2")
    assert (response.content["class"], response.content["retryable"]) == ("transient", True)
    assert service.wechat.attempts == []
    (line,) = service.lines("message put off")
    assert line["detail"] == "write the message's entry: ProvisionedThroughputExceededException"
    assert counts(capsys) == {}
    service.ledger_store.failing = {}
    assert (keyed().status, len(service.wechat.attempts)) == (200, 1)


def test_circuits_that_cannot_be_read(service: Service) -> None:
    service.ledger_store.failing = {"read_circuits": "ServiceUnavailable", "put_circuits": "x"}
    assert keyed().status == 200


@pytest.mark.parametrize(
    ("outcome", "status"), [(answer(0, msgid=MSGID), 200), (answer(43101), 422), (lost(), 504)]
)
def test_outcome_that_cannot_be_recorded(
    service: Service, capsys: pytest.CaptureFixture[str], *, outcome: Outcome, status: int
) -> None:
    """Its caller hears it; to everybody else the answer is lost when nobody can be at it any more."""

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
    service.ledger_store.failing = {}
    assert (keyed().status, look().content["status"]) == (409, "sending")
    service.clock.advance(60 + 120)
    assert (look().content["status"], look().content["reason"]) == ("unknown", "answer_not_recorded")
    assert keyed().status == 504
    assert counts(capsys) == {"MessagesReplayed": 1, "MessagesUnknown": 1}
    assert len(service.wechat.attempts) == 1


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
