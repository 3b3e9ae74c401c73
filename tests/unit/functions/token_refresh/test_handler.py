from __future__ import annotations

import json
from typing import Any

import pytest

from functions.token_refresh.handler import lambda_handler
from tests.fakes import FakeContext, Service, answer, load_event, metrics, unreachable
from wechat_notify import bootstrap
from wechat_notify.core.outcomes import outcome_from_dict
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.telemetry import InvocationError

Capture = pytest.CaptureFixture[str]
ONE_ACCOUNT = load_event("token_refresh/one_account")
REJECTED = load_event("token_refresh/rejected_token")
SCHEDULE = load_event("token_refresh/schedule")
NOTHING: dict[str, Any] = {"refreshed": [], "unchanged": [], "not_stored": [], "failed": []}
HOW = '; send {} or {"account": "<name>"}'


def refresh(event: Any, *, seconds_left: float = 60.0) -> dict[str, Any]:
    """The answer as the invoker gets it: through JSON."""
    answered: dict[str, Any] = json.loads(json.dumps(lambda_handler(event, FakeContext(seconds_left))))
    return answered


# ---------------------------------------------------------------- every account


@pytest.mark.parametrize("event", [{}, SCHEDULE, {**SCHEDULE, "replay-name": "archive"}])
def test_every_account(service: Service, capsys: Capture, event: dict[str, Any]) -> None:
    """A scheduled event's account is a number of AWS's."""
    service.add_account("bank", stored=False)
    service.clock.advance(600)
    assert refresh(event) == {**NOTHING, "refreshed": ["bank"], "unchanged": ["shop"]}
    assert service.store.tokens["bank"].value == "token-1-of-wx-bank"
    (line,) = service.lines("invocation finished")
    assert (line["refreshed"], line["unchanged"], line.get("correlation_id")) == (1, 1, None)
    assert line["function_request_id"] == FakeContext.aws_request_id
    ages = [m for m in metrics(capsys.readouterr().out) if m.name == "TokenAge" and m.dimensions]
    assert {age.dimensions["account"]: age.value for age in ages} == {"shop": 600, "bank": 0}
    assert service.bus.events == []


def test_failures(service: Service) -> None:
    """They are in the answer, the log and the events."""
    for account in ("bank", "cafe"):
        service.add_account(account, stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40164, "invalid ip 198.51.100.7, not in whitelist"))
    service.wechat.refuse_tokens("wx-cafe", unreachable())
    service.store.broken["typo"] = Bilingual("wrong: app_id", "有误：app_id")
    service.wechat.renew("wx-shop")
    report = refresh(SCHEDULE)
    bank = {
        "account": "bank",
        "class": "config",
        "errcode": 40164,
        "errmsg": "invalid ip 198.51.100.7, not in whitelist",
        "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
        "hint": {"en": "What to do about 40164.", "zh": "如何处理 40164。"},
    }
    assert (report["refreshed"], report["unchanged"], report["failed"][0]) == (["shop"], [], bank)
    failed = [(each["account"], each["class"], each["errcode"]) for each in report["failed"][1:]]
    assert failed == [("cafe", "transient", None), ("typo", "config", None)]
    assert "wrong: app_id" in report["failed"][2]["hint"]["en"]
    lines = service.lines("token refresh failed")
    assert [line["account"] for line in lines] == ["bank", "cafe", "typo"]
    (line,) = service.lines("invocation finished")
    assert (line["refreshed"], line["failed"]) == (1, 3)
    assert [event.detail_type for event in service.bus.events] == ["token.failed"] * 3
    assert service.bus.events[0].detail == bank
    assert service.bus.events[1].detail.keys() == {"account", "class", "hint"}


@pytest.mark.parametrize(("seconds_left", "fetches"), [(58.0, 1), (57.9, 0)])
def test_time_for_a_refresh(service: Service, seconds_left: float, fetches: int) -> None:
    refresh({}, seconds_left=seconds_left)
    assert len(service.wechat.fetches) == fetches


def test_store_that_does_not_answer(service: Service) -> None:
    service.store.failing = {"load_all": "AccessDeniedException"}
    with pytest.raises(InvocationError, match=r"^StorageError$"):
        refresh({})
    (line,) = service.lines()
    assert (line["message"], line["error"]) == ("invocation failed", "StorageError")


# ---------------------------------------------------------------- one account, and a sender


def test_one_account(service: Service) -> None:
    service.add_account("bank", stored=False)
    assert refresh(ONE_ACCOUNT) == {**NOTHING, "unchanged": ["shop"]}
    assert service.wechat.fetches == [("wx-shop", False)]
    assert "bank" not in service.store.tokens


def test_rejected_sender(service: Service) -> None:
    assert REJECTED["rejected"] == service.store.tokens["shop"].digest
    service.wechat.reject("wx-shop")
    answered = refresh(REJECTED)
    assert answered.keys() == {"result", "token"}
    assert answered["result"] == "token"
    assert AccessToken(**answered["token"]) == service.store.tokens["shop"]
    assert answered["token"]["value"] == "token-2-of-wx-shop"
    assert service.wechat.fetches == [("wx-shop", False), ("wx-shop", True)]


def test_sender_without_a_token(service: Service) -> None:
    refused = answer(40164, "invalid ip 198.51.100.7")
    service.wechat.refuse_tokens("wx-shop", refused)
    answered = refresh(REJECTED)
    assert (answered["result"], outcome_from_dict(answered["failure"])) == ("failed", refused)
    assert len(service.lines("token refresh failed")) == 1


def test_token_that_could_not_be_stored(service: Service) -> None:
    service.wechat.renew("wx-shop")
    service.store.failing = {"save": "ThrottlingException"}
    assert refresh(REJECTED)["token"]["value"] == "token-2-of-wx-shop"
    assert refresh(ONE_ACCOUNT) == {**NOTHING, "refreshed": ["shop"], "not_stored": ["shop"]}
    assert len(service.lines("token not stored")) == 2


# ---------------------------------------------------------------- refused


DETAIL = {"detail": "account must be 1 to 64 characters of a-z, 0-9 and -"}


@pytest.mark.parametrize(
    ("account", "answered"),
    [
        ("", {"result": "account_name"} | DETAIL),
        ("Shop", {"result": "account_name"} | DETAIL),
        ("nobody", {"result": "unknown_account"}),
    ],
)
def test_account_of_nobody(service: Service, account: str, answered: dict[str, str]) -> None:
    for event in ({"account": account}, {"account": account, "rejected": None}):
        assert refresh(event) == answered
    assert service.wechat.fetches == []
    assert [line["result"] for line in service.lines("invocation finished")] == [answered["result"]] * 2


@pytest.mark.parametrize(
    ("problem", "events"),
    [
        ("no JSON object", [None, []]),
        ("account must be text", [{"account": 5}, {"account": None}, {"rejected": "x"}, {"rejected": None}]),
        ("rejected must be text or null", [{"account": "shop", "rejected": 5}]),
        ("no event as EventBridge sends it", [{"detail-type": "Scheduled Event", "account": "shop"}]),
        ("no event as EventBridge sends it", [{**SCHEDULE, "acount": "shop"}]),
        ("unknown field", [{"everybody": True}]),
        ("unknown field, did you mean account?", [{"acount": "demo"}, {"Account": "demo"}]),
        ("unknown field, did you mean rejected?", [{"account": "shop", "reject": "x"}]),
    ],
)
def test_bad_events(service: Service, problem: str, events: list[Any]) -> None:
    expected = {"result": "bad_request", "detail": problem + HOW}
    assert [refresh(event) for event in events] == [expected] * len(events)
    assert service.wechat.fetches == []
    assert [line["result"] for line in service.lines("invocation finished")] == ["bad_request"] * len(events)


def test_no_token_or_secret_is_seen(service: Service, capsys: Capture) -> None:
    service.wechat.reject("wx-shop")
    refresh(REJECTED)
    service.wechat.refuse_tokens("wx-shop", unreachable())
    reports = [refresh({}), refresh(ONE_ACCOUNT)]
    events = json.dumps([[event.detail_type, event.detail] for event in service.bus.events])
    seen = json.dumps(reports) + events + service.log.getvalue() + capsys.readouterr().out
    assert (len(service.lines()) >= 5, len(service.bus.events)) == (True, 2)
    assert [secret for secret in ("token-1-of", "token-2-of", "s" * 32) if secret in seen] == []


# ---------------------------------------------------------------- the address of an account's callbacks

CHECK = load_event("token_refresh/callback_check")


def test_callback_addresses(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "wechat", lambda: service.wechat)
    service.wechat.addresses = ("203.0.113.10",)
    assert refresh(CHECK) == {"result": "callback_check", "addresses": ["203.0.113.10"]}
    service.wechat.addresses = answer(48001, "api unauthorized")
    told = refresh(CHECK)
    assert told["result"] == "refused"
    assert (told["refused"]["errcode"], told["refused"]["errmsg"]) == (48001, "api unauthorized")


def test_no_token_for_the_check(service: Service) -> None:
    service.add_account("bank", stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40125))
    told = refresh({**CHECK, "account": "bank"})
    assert (told["result"], told["failure"]["errcode"]) == ("failed", 40125)
    assert refresh({**CHECK, "account": "nobody"}) == {"result": "unknown_account"}


@pytest.mark.parametrize(
    "event", [{"request": "callback_check"}, {**CHECK, "request": "ping"}, {**CHECK, "rejected": None}]
)
def test_checks_that_make_no_sense(service: Service, event: dict[str, Any]) -> None:
    assert refresh(event)["result"] == "bad_request"
    assert service.wechat.fetches == []


# ---------------------------------------------------------------- what alarms look at


def counts(capsys: Capture) -> dict[str, float]:
    """The counts of accounts in trouble, under ``service`` alone."""
    found = metrics(capsys.readouterr().out)
    return {
        each.name: each.value for each in found if each.name.startswith("Accounts") and not each.dimensions
    }


@pytest.mark.parametrize(
    ("later", "without"),
    [(0, 0), (7200 - 11, 0), (7200 - 10, 1)],  # a token is not used in its last ten seconds
)
def test_accounts_in_trouble_are_counted(service: Service, capsys: Capture, later: int, without: int) -> None:
    """A token that is stored is good until it runs out, though it cannot be refreshed."""
    service.add_account("bank")
    service.wechat.refuse_tokens("wx-bank", answer(40125))
    service.clock.advance(later)
    refresh({})
    assert counts(capsys) == {
        "AccountsFailing": 1,
        "AccountsNotStored": 0,
        "AccountsWithoutToken": without,
    }


def test_token_that_is_not_stored_is_counted(service: Service, capsys: Capture) -> None:
    """And is good all the same."""
    service.store.failing = {"save": "ThrottlingException"}
    service.wechat.renew("wx-shop")
    refresh({})
    assert counts(capsys) == {"AccountsFailing": 0, "AccountsNotStored": 1, "AccountsWithoutToken": 0}


@pytest.mark.parametrize("event", [ONE_ACCOUNT, REJECTED])
@pytest.mark.usefixtures("service")
def test_one_account_is_no_count_of_all(capsys: Capture, event: dict[str, Any]) -> None:
    refresh(event)
    assert counts(capsys) == {}


def test_age_of_a_token_that_is_not_refreshed(service: Service, capsys: Capture) -> None:
    service.wechat.refuse_tokens("wx-shop", answer(40125))
    service.clock.advance(3600)
    refresh({})
    ages = [each.value for each in metrics(capsys.readouterr().out) if each.name == "TokenAge"]
    assert ages == [3600, 3600]
