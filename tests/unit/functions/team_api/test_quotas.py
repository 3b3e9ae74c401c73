from __future__ import annotations

from threading import Barrier

import pytest

from tests.fakes import START, Service, answer
from tests.fakes.clock import BEIJING
from tests.unit.functions.team_api.calls import call
from wechat_notify.core.delivery import quotas
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit, QuotaReset
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.core.messages.kinds import KINDS, Template
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status

QUOTA = "GET quota"
RESET = START - (15 * 3600 + 4 * 60 + 5) + 120
"""Midnight in Beijing, by the slowest clock."""


def sent(service: Service, message_id: str, at: float, status: Status = Status.SENT) -> None:
    service.ledger_store.put(Entry("shop", message_id, status, "f", "w", at, at, kind="template"))


def test_quota_beside_what_was_sent(service: Service) -> None:
    service.wechat.quotas[Template.endpoint] = Quota(100_000, 2_500, 97_500, 3_000, 60)
    for number, at in enumerate((RESET - 1, RESET, START)):
        sent(service, f"m-{number}", at)
    for status in (Status.DELIVERED, Status.UNDELIVERED, Status.FAILED):
        sent(service, status, START, status)
    circuit = Circuit("kind:template", ErrorClass.QUOTA, 45009, START, START + 3600)
    service.ledger_store.circuits["shop"] = AccountCircuits("shop", 1, "w", (circuit,))
    response = call(QUOTA)
    assert response.status == 200
    assert (response.content["since"], response.content["counted_all"]) == ("2026-02-28T16:02:00.000Z", True)
    kinds = {kind["kind"]: kind for kind in response.content["kinds"]}
    assert list(kinds) == list(KINDS)
    assert kinds["template"] == {
        "kind": "template",
        "endpoint": "/cgi-bin/message/template/send",
        "wechat": {
            "daily_limit": 100_000,
            "used": 2_500,
            "remain": 97_500,
            "rate_limit": 3_000,
            "rate_seconds": 60,
        },
        "sent_today": 4,
        "held_until": "2026-03-01T08:04:05.000Z",
    }
    assert kinds["subscription"]["sent_today"] == 0
    assert "held_until" not in kinds["subscription"]


def test_wechat_tells_no_quota(service: Service) -> None:
    """Each kind for itself: an account has the endpoints of its own sort."""
    service.wechat.quotas[Template.endpoint] = answer(48001)
    kinds = {kind["kind"]: kind for kind in call(QUOTA).content["kinds"]}
    assert kinds["template"]["refused"]["errcode"] == 48001
    assert "wechat" not in kinds["template"]
    assert kinds["subscription"]["wechat"]["daily_limit"] == 0


class SlowWeChat:
    """Answers when all kinds' questions are there."""

    def __init__(self) -> None:
        self._all = Barrier(len(KINDS))

    def fetch_quota(self, _endpoint: str, _token: str) -> Quota | Outcome:
        self._all.wait(timeout=5)
        return Quota(100, 1, 99)


def test_kinds_are_asked_for_at_once(service: Service) -> None:
    """Of a WeChat that is slow each answer takes ten seconds, and the route has 29."""
    slow = quotas.Quotas(
        service.tokens,
        SlowWeChat(),
        service.ledger_store,
        service.open_holds,
        now=service.clock.now,
        reset=QuotaReset(BEIJING),
        lists_sent=False,
    )
    found = slow.of("shop")
    assert [(each.kind, each.quota) for each in found.kinds] == [(kind, Quota(100, 1, 99)) for kind in KINDS]


def test_no_token(service: Service) -> None:
    service.add_account("broken", stored=False)
    service.wechat.refuse_tokens("wx-broken", answer(40125))
    kinds = call(QUOTA, account="broken").content["kinds"]
    assert {kind["refused"]["errcode"] for kind in kinds} == {40125}
    assert all("wechat" not in kind for kind in kinds)


@pytest.mark.usefixtures("service")
def test_unknown_account() -> None:
    assert call(QUOTA, account="nobody").problem == "unknown-account"


def test_counts_have_a_limit(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_MAX_COUNTED", 2)
    for number in range(3):
        sent(service, f"m-{number}", START)
    content = call(QUOTA).content
    assert (content["counted_all"], content["kinds"][-1]["sent_today"]) == (False, 2)


def test_ledger_does_not_answer(service: Service) -> None:
    service.ledger_store.failing["count_sent"] = "ThrottlingException"
    assert call(QUOTA).problem == "storage"


@pytest.mark.parametrize(
    ("remain", "daily_limit", "messages", "days"),
    [(100, 100, 100, 1), (100, 100, 101, 2), (0, 100, 200, 3), (100, 100, 0, 1), (0, 0, 5, None)],
)
def test_days_of_a_broadcast(remain: int, daily_limit: int, messages: int, days: int | None) -> None:
    assert Quota(daily_limit, 0, remain).days_for(messages) == days
