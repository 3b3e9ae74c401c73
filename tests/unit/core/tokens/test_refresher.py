from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import START, Service, access_tokens, answer, unreachable
from tests.unit.core.tokens.shared import token
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.tokens.token import AccessToken, Grant

BEIJING = timezone(timedelta(hours=8))
NORMAL, FORCED = ("wx-shop", False), ("wx-shop", True)


def plenty() -> float:
    """Seconds left."""
    return 60.0


def rejected_again(service: Service) -> Refreshed:
    """A sender is rejected with the stored token, which WeChat still hands out in normal mode."""
    stored = service.store.tokens["shop"]
    service.wechat.reject("wx-shop")
    return service.token_refresher.replace("shop", stored.digest)


def unavailable(error_class: ErrorClass, en: str, zh: str, retry_after: float | None = None) -> Outcome:
    hint = Bilingual(en, zh)
    return Outcome(Status.FAILED, error_class, hint, retryable=True, retry_after=retry_after)


NOT_A_TIME = unavailable(
    ErrorClass.TRANSIENT,
    "The refresh of all accounts ran out of time before this one; the next run comes in 5 minutes.",
    "刷新全部账号时超时，未轮到该账号，下次刷新在 5 分钟后。",
)
UNUSABLE = unavailable(
    ErrorClass.CONFIG,
    "The account's credentials parameter cannot be used: wrong: app_id.",
    "该账号的凭证参数无法使用：有误：app_id。",
)._replace(retryable=False, holds=HoldScope.ACCOUNT)
UNFORESEEN = unavailable(
    ErrorClass.OTHER,
    "The refresh failed with an unexpected error (RuntimeError).",
    "刷新时发生未预料的错误（RuntimeError）。",
)
TOO_SOON = unavailable(
    ErrorClass.TOKEN,
    "WeChat rejects the account's token and it was replaced less than 30 s ago.",
    "微信拒绝了该账号的 access_token，而距上次强制刷新不足 30 秒。",
    20.0,
)
NOT_REPLACED = unavailable(
    ErrorClass.TOKEN,
    "WeChat hands out the token that it rejects, even after a forced refresh.",
    "强制刷新后微信仍返回被拒绝的 access_token。",
    30.0,
)._replace(holds=HoldScope.ACCOUNT)
USED_UP = unavailable(
    ErrorClass.TOKEN,
    "WeChat rejects the account's token and today's 20 forced refreshes are used up.",
    "微信拒绝了该账号的 access_token，且今天的 20 次强制刷新已用完。",
    600.0,
)._replace(holds=HoldScope.ACCOUNT)
NOT_COUNTED = unavailable(
    ErrorClass.TRANSIENT,
    "WeChat rejects the account's token; it is not replaced while the store cannot count that.",
    "微信拒绝了该账号的 access_token；存储不可用、无法计数时不强制刷新。",
    2.0,
)

# ---------------------------------------------------------------- one account


def test_first_token(service: Service) -> None:
    service.add_account("new", stored=False)
    expected = AccessToken("token-1-of-wx-new", START + 7200, START)
    assert service.token_refresher.refresh("new") == Refreshed("new", expected, calls=1, changed=True)
    assert service.store.saves == [("new", expected)]


def test_same_token_is_not_written(service: Service) -> None:
    service.clock.advance(300.7)
    result = service.token_refresher.refresh("shop")
    assert (result.calls, result.changed, result.failure) == (1, False, None)
    assert result.token is not None
    assert (result.token.obtained_at, service.store.saves) == (START, [])


def test_renewed_token_is_written(service: Service) -> None:
    service.clock.advance(6950)
    assert service.token_refresher.refresh("shop").changed
    assert service.store.tokens["shop"] == AccessToken("token-2-of-wx-shop", START + 14150, START + 6950)


@pytest.mark.parametrize(("drift", "changed"), [(60, False), (61, True), (-60, False), (-61, True)])
def test_moved_expiry(service: Service, drift: float, *, changed: bool) -> None:
    stored = service.store.tokens["shop"]
    service.store.tokens["shop"] = replace(stored, expires_at=stored.expires_at + drift)
    assert service.token_refresher.refresh("shop").changed is changed
    assert (service.store.tokens["shop"] == stored) is changed


def test_token_that_could_not_be_stored(service: Service) -> None:
    """It is used, and reported."""
    service.wechat.renew("wx-shop")
    service.store.failing = {"save": "ThrottlingException"}
    result = service.token_refresher.refresh("shop")
    assert (result.stored, result.changed, result.failure) == (False, True, None)
    assert result.token is not None
    assert result.token.value == "token-2-of-wx-shop"
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.replace("shop", service.store.tokens["shop"], 12.0).value == "token-2-of-wx-shop"


# ---------------------------------------------------------------- all accounts


def test_failing_accounts_stop_no_other(service: Service) -> None:
    class Broken:
        def fetch(self, *, force: bool) -> Grant:
            raise RuntimeError(f"force={force}, 57_secret")

    for account in ("zoo", "bank", "cafe", "odd"):
        service.add_account(account, stored=False)
    refused = answer(40164, "invalid ip 198.51.100.7, not in whitelist")
    service.wechat.refuse_tokens("wx-bank", refused)
    service.store.sources["cafe"] = service.wechat.app("wx-cafe", "another secret")
    service.store.sources["odd"] = Broken()
    service.store.broken["typo"] = Bilingual("wrong: app_id", "有误：app_id")
    results = service.token_refresher.refresh_all(plenty)
    assert [(result.account, result.failure) for result in results] == [
        ("bank", refused),
        ("cafe", answer(40125, "invalid appsecret")),
        ("odd", UNFORESEEN),
        ("shop", None),
        ("typo", UNUSABLE),
        ("zoo", None),
    ]
    assert [account for account, _ in service.store.saves] == ["zoo"]


def test_accounts_are_refreshed_concurrently(service: Service) -> None:
    for index in range(16):
        service.add_account(f"team-{index}", stored=False)
    del service.store.sources["shop"]
    together = threading.Barrier(16, timeout=5)  # breaks unless all sixteen are under way

    def wait_for_all(_app_id: str) -> None:
        together.wait()

    service.wechat.while_fetching = wait_for_all
    assert all(result.changed for result in service.token_refresher.refresh_all(plenty))


@pytest.mark.parametrize(("seconds_left", "failure"), [(58.0, None), (57.9, NOT_A_TIME)])
def test_no_time_for_an_account(service: Service, seconds_left: float, failure: Outcome | None) -> None:
    """That is no failure of one whose token lasts until the next run has ended."""
    service.add_account("bank", stored=False)
    service.add_account("cafe")
    service.store.tokens["cafe"] = replace(service.store.tokens["cafe"], expires_at=START + 420)
    results = service.token_refresher.refresh_all(lambda: seconds_left)
    assert [(r.account, r.failure, r.stored) for r in results] == [
        ("bank", failure, True),
        ("cafe", failure, True),
        ("shop", None, True),
    ]
    assert len(service.wechat.fetches) == sum(result.calls for result in results) == (0 if failure else 3)


def test_tokens_that_end_first_are_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time does not suffice for all, it is spent on those who need it."""
    monkeypatch.setattr(refresher, "_CONCURRENT_ACCOUNTS", 1)
    service.add_account("zoo")
    service.store.tokens["zoo"] = replace(service.store.tokens["zoo"], expires_at=START + 60)
    service.add_account("tea", stored=False)
    left = iter((100.0, 100.0, 0.0))
    results = service.token_refresher.refresh_all(lambda: next(left))
    assert [(result.account, result.calls) for result in results] == [("shop", 0), ("tea", 1), ("zoo", 1)]


def test_no_accounts(service: Service) -> None:
    service.store.sources.clear()
    assert service.token_refresher.refresh_all(plenty) == []


# ---------------------------------------------------------------- for a sender


@pytest.mark.parametrize("rejected", [None, token("the rejected one").digest])
def test_stored_token_is_handed_out(service: Service, rejected: str | None) -> None:
    result = service.token_refresher.replace("shop", rejected)
    assert result == Refreshed("shop", service.store.tokens["shop"])
    assert service.wechat.fetches == []


def test_expired_token_is_renewed_without_force(service: Service) -> None:
    service.clock.advance(7195)
    result = service.token_refresher.replace("shop", None)
    assert service.wechat.fetches == [NORMAL]
    assert (result.forced, result.changed) == (False, True)


def test_force_where_normal_mode_is_vain(service: Service) -> None:
    """The use is counted in the store before WeChat hears of it."""
    counted: list[int] = []
    service.wechat.while_fetching = lambda _app_id: counted.append(service.store.tokens["shop"].forced_count)
    result = rejected_again(service)
    expected = AccessToken("token-2-of-wx-shop", START + 7200, START, "2026-03-01", 1, START)
    assert result == Refreshed("shop", expected, calls=2, forced=True, changed=True)
    assert (service.wechat.fetches, counted) == ([NORMAL, FORCED], [0, 1])
    assert service.store.tokens["shop"] == expected


def test_force_that_cannot_be_counted(service: Service) -> None:
    service.store.failing = {"save": "ThrottlingException"}
    assert rejected_again(service) == Refreshed("shop", failure=NOT_COUNTED, calls=1)
    assert service.wechat.fetches == [NORMAL]


def test_force_in_vain(service: Service) -> None:
    stored = service.store.tokens["shop"]
    service.wechat._apps["wx-shop"].forced.append(START - 1)  # WeChat remembers one that we do not
    result = service.token_refresher.replace("shop", stored.digest)
    assert result == Refreshed("shop", failure=NOT_REPLACED, calls=2, forced=True)


def test_force_again_after_forty_seconds(service: Service) -> None:
    rejected_again(service)
    service.clock.advance(20)
    assert rejected_again(service) == Refreshed("shop", failure=TOO_SOON, calls=1)
    service.clock.advance(19.5)
    assert rejected_again(service).failure == TOO_SOON._replace(retry_after=0.5)
    service.clock.advance(0.5)
    assert rejected_again(service).failure is None
    assert service.store.tokens["shop"].forced_count == 2


def test_rejected_senders_cost_few_calls(service: Service) -> None:
    """Until force is allowed again: one in five seconds."""
    rejected_again(service)
    service.clock.advance(28)
    service.forget()
    for _ in range(4):
        for _ in range(5):
            assert rejected_again(service).failure is not None
        service.clock.advance(2.5)
    assert service.wechat.fetches == [NORMAL, NORMAL]
    service.clock.advance(2)
    assert rejected_again(service).token is not None


def test_failure_answers_its_own_question(service: Service) -> None:
    """Whoever was rejected with another token is not told of it."""
    rejected_again(service)
    service.clock.advance(20)
    assert [rejected_again(service).calls for _ in range(2)] == [1, 0]
    service.wechat.renew("wx-shop")
    service.token_refresher.refresh("shop")
    assert rejected_again(service).calls == 1


def test_twenty_forced_refreshes_a_day(service: Service) -> None:
    """Of a day in Beijing; then the answer before counts for five seconds."""
    for _ in range(20):
        assert rejected_again(service).forced
        service.clock.advance(40)
    assert rejected_again(service) == Refreshed("shop", failure=USED_UP, calls=1)
    midnight = datetime(2026, 3, 2, tzinfo=BEIJING).timestamp()
    service.clock.advance(midnight - service.clock.now() - 1)
    service.token_refresher.refresh("shop")
    assert rejected_again(service).failure == USED_UP
    service.clock.advance(5)
    assert rejected_again(service).failure is None
    stored = service.store.tokens["shop"]
    assert (stored.forced_day, stored.forced_count) == ("2026-03-02", 1)


@pytest.mark.parametrize("shown", ["older", "none"])
def test_older_version_takes_no_count_back(service: Service, shown: str) -> None:
    older = service.store.tokens["shop"]
    rejected_again(service)
    newest = service.store.tokens["shop"]
    if shown == "older":
        service.store.tokens["shop"] = older
    else:
        del service.store.tokens["shop"]
    assert service.token_refresher.refresh("shop").changed
    assert service.store.tokens["shop"] == newest


def test_older_version_after_a_lost_answer(service: Service) -> None:
    """The answer to a forced refresh is lost: the token stays the rejected one, one use is gone."""
    older = service.store.tokens["shop"]
    calls: list[str] = []

    def lose_the_second(app_id: str) -> None:
        calls.append(app_id)
        if len(calls) == 2:
            service.wechat.refuse_tokens("wx-shop", unreachable())

    service.wechat.while_fetching = lose_the_second
    result = service.token_refresher.replace("shop", older.digest)
    assert result == Refreshed("shop", failure=unreachable(), calls=2, forced=True)
    service.wechat.while_fetching = lambda _app_id: None
    service.wechat.refusals.clear()
    assert service.store.tokens["shop"].forced_count == 1
    service.store.tokens["shop"] = older
    service.clock.advance(20)
    assert service.token_refresher.replace("shop", older.digest).failure == TOO_SOON


@pytest.mark.parametrize("later", [40, 0])
def test_count_of_another_refresher(service: Service, later: float) -> None:
    """The newest counts; at the same moment the stored one."""
    rejected_again(service)
    service.clock.advance(later)
    used = replace(service.store.tokens["shop"], forced_count=5, forced_at=service.clock.now())
    service.store.tokens["shop"] = used
    assert not rejected_again(service).forced
    service.clock.advance(40)
    assert rejected_again(service).forced
    assert service.store.tokens["shop"].forced_count == 6


steps = st.tuples(st.floats(0, 4000, allow_nan=False), st.sampled_from(["reject", "renew", "refresh", "get"]))


@given(st.lists(steps, max_size=60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_force_stays_within_limits(steps: list[tuple[float, str]]) -> None:
    service = Service()
    forced: list[float] = []
    for wait, step in steps:
        service.clock.advance(wait % 45 if step == "reject" else wait)
        service.forget()
        if step == "renew":
            service.wechat.renew("wx-shop")
        elif step == "get":
            service.token_refresher.replace("shop", None)
        else:
            service.token_refresher.refresh("shop")
            if step == "reject":
                rejected_again(service)
        forced += [service.clock.now()] * service.wechat.fetches.count(FORCED)
    assert all(later - earlier >= 30 for earlier, later in pairwise(forced))
    days = [datetime.fromtimestamp(at, BEIJING).date() for at in forced]
    assert all(days.count(day) <= 20 for day in days)


def test_what_belongs_to_the_account_is_stored_with_its_token(service: Service) -> None:
    """Also where the token stays as it was, so that a change is live with the next scheduled run."""
    store = service.store
    before = store.tokens["shop"]
    store.consents["shop"], store.app_ids["shop"] = "enforce", "wx-of-the-shop"
    (refreshed,) = service.token_refresher.refresh_all(lambda: 120.0)
    assert refreshed.changed
    assert store.tokens["shop"] == replace(before, consents="enforce", app_id="wx-of-the-shop")
    (again,) = service.token_refresher.refresh_all(lambda: 120.0)
    assert (again.changed, len(store.saves)) == (False, 1)
    store.consents.clear()
    service.token_refresher.refresh("shop")
    assert store.tokens["shop"].consents is None
    assert "consents" not in store.tokens["shop"].as_dict()
