from __future__ import annotations

import json
from typing import Any

import pytest

from functions.token_refresh.handler import lambda_handler
from tests.fakes import FakeContext, Service, answer, break_down, load_event, metrics, unreachable
from wechat_notify import bootstrap
from wechat_notify.core.outcomes import Bilingual, ErrorClass, outcome_from_dict
from wechat_notify.core.tokens.access_tokens import AccessToken
from wechat_notify.telemetry import InvocationError, Telemetry

Capture = pytest.CaptureFixture[str]
ONE_ACCOUNT = load_event("token_refresh/one_account")
NOTHING: dict[str, Any] = {"refreshed": [], "unchanged": [], "not_stored": [], "failed": []}


def refresh(event: dict[str, Any], *, seconds_left: float = 60.0) -> dict[str, Any]:
    """The answer as the invoker gets it: through JSON."""
    answered: dict[str, Any] = json.loads(json.dumps(lambda_handler(event, FakeContext(seconds_left))))
    return answered


@pytest.mark.parametrize("event", [{}, load_event("token_refresh/schedule")], ids=["by hand", "schedule"])
def test_every_account_is_refreshed(service: Service, event: dict[str, Any]) -> None:
    service.add_account("bank", stored=False)
    assert refresh(event) == {**NOTHING, "refreshed": ["bank"], "unchanged": ["shop"]}
    assert service.store.tokens["bank"].value == "token-1-of-wx-bank"


def test_the_invocation_reports_which_accounts_failed(service: Service, capsys: Capture) -> None:
    for account in ("bank", "cafe", "dead"):
        service.add_account(account, stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40164, "invalid ip 198.51.100.7, not in whitelist"))
    service.store.sources["cafe"] = service.wechat.app("wx-cafe", "another secret")
    service.wechat.refuse_tokens("wx-dead", answer(40243, "AppSecret is frozen"))
    service.wechat.renew("wx-shop")
    report = refresh(load_event("token_refresh/schedule"))
    assert (report["refreshed"], report["unchanged"]) == (["shop"], [])
    assert [(failed["account"], failed["errcode"]) for failed in report["failed"]] == [
        ("bank", 40164),
        ("cafe", 40125),
        ("dead", 40243),
    ]
    assert "198.51.100.7" in report["failed"][0]["errmsg"]
    assert set(report["failed"][0]) == {"account", "errcode", "errmsg", "rid", "class", "hint"}
    assert set(report["failed"][0]["hint"]) == {"en", "zh"}
    assert [line["account"] for line in service.lines("token refresh failed")] == ["bank", "cafe", "dead"]
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "TokenRefreshFailed"]
    assert [metric.dimensions for metric in found if metric.dimensions] == [
        {"account": "bank", "errcode": "40164"},
        {"account": "cafe", "errcode": "40125"},
        {"account": "dead", "errcode": "40243"},
    ]
    (line,) = service.lines("invocation finished")
    assert (line["refreshed"], line["failed"]) == (1, 3)


def test_the_teams_automation_hears_of_each_account_that_failed(service: Service) -> None:
    service.add_account("bank", stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40164, "invalid ip 198.51.100.7, not in whitelist"))
    refresh({})
    (domain_event,) = service.bus.events
    assert (domain_event.detail_type, domain_event.detail) == (
        "token.failed",
        {
            "account": "bank",
            "class": "config",
            "errcode": 40164,
            "errmsg": "invalid ip 198.51.100.7, not in whitelist",
            "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
            "hint": {"en": "What to do about 40164.", "zh": "如何处理 40164。"},
        },
    )
    refresh(ONE_ACCOUNT)  # which is well
    assert len(service.bus.events) == 1


def test_what_is_not_known_of_a_failure_is_left_out_of_its_event(service: Service) -> None:
    service.wechat.refuse_tokens("wx-shop", unreachable())
    assert refresh({})["failed"][0]["errcode"] is None
    (domain_event,) = service.bus.events
    assert domain_event.detail.keys() == {"account", "class", "hint"}


def test_where_all_is_well_no_event_is_published(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "event_bus", break_down)
    assert refresh({})["unchanged"] == ["shop"]
    assert service.lines("not reported") == []


@pytest.mark.parametrize("trouble", ["refused", "made"])
def test_a_bus_in_trouble_costs_the_sender_nothing(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "made":
        monkeypatch.setattr(bootstrap, "event_bus", break_down)
    service.bus.failing = "ServiceUnavailable"
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    assert refresh(load_event("token_refresh/rejected_token"))["result"] == "failed"
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "EventsNotPublished"]
    assert [(metric.dimensions, metric.value) for metric in found] == [({}, 1)]


def test_accounts_that_there_is_no_time_for_are_reported_as_failed(service: Service, capsys: Capture) -> None:
    report = refresh({}, seconds_left=29)
    assert (report["refreshed"], report["unchanged"]) == ([], [])
    (failed,) = report["failed"]
    assert (failed["account"], failed["errcode"], failed["class"]) == ("shop", None, "transient")
    assert service.wechat.fetches == []
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "TokenRefreshFailed"]
    assert {"account": "shop", "errcode": "none"} in [metric.dimensions for metric in found]


def test_the_invocation_has_no_correlation_id_of_its_own(service: Service) -> None:
    refresh({})
    (line,) = service.lines("invocation finished")
    assert line.get("correlation_id") is None
    assert line["function_request_id"] == FakeContext.aws_request_id


def test_a_report_that_cannot_be_flushed_does_not_cost_the_sender_its_token(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telemetry, "_flush", break_down)
    assert refresh(load_event("token_refresh/rejected_token"))["result"] == "token"
    assert [line["error"] for line in service.lines("not reported")] == ["RuntimeError"]


def test_one_account_is_refreshed_on_demand(service: Service) -> None:
    service.add_account("bank", stored=False)
    assert refresh(ONE_ACCOUNT) == {**NOTHING, "unchanged": ["shop"]}
    assert service.wechat.fetches == [("wx-shop", False)]
    assert "bank" not in service.store.tokens


def test_the_account_number_of_a_scheduled_event_is_not_taken_for_an_account(service: Service) -> None:
    assert "account" in load_event("token_refresh/schedule")
    assert refresh(load_event("token_refresh/schedule"))["unchanged"] == ["shop"]
    assert service.lines("invocation finished")[0]["unchanged"] == 1


@pytest.mark.parametrize("account", ["", "Shop", "../shop", "x" * 65])
def test_an_impossible_account_is_told_how_names_are(service: Service, account: str) -> None:
    for event in ({"account": account}, {"account": account, "rejected": None}):
        assert refresh(event) == {
            "result": "account_name",
            "detail": "account must be 1 to 64 characters of a-z, 0-9 and -",
        }
    assert service.wechat.fetches == []


def test_an_unknown_account_is_answered_as_such(service: Service) -> None:
    assert refresh({"account": "nobody"}) == {"result": "unknown_account"}
    assert refresh({"account": "nobody", "rejected": None}) == {"result": "unknown_account"}
    assert service.wechat.fetches == []
    assert [line["result"] for line in service.lines("invocation finished")] == ["unknown_account"] * 2


def test_a_sender_that_was_rejected_gets_another_token(service: Service) -> None:
    event = load_event("token_refresh/rejected_token")
    assert event["rejected"] == service.store.tokens["shop"].digest
    service.wechat.reject("wx-shop")
    answered = refresh(event)
    assert answered["result"] == "token"
    assert AccessToken(**answered["token"]) == service.store.tokens["shop"]
    assert answered["token"]["value"] == "token-2-of-wx-shop"
    assert service.wechat.fetches == [("wx-shop", False), ("wx-shop", True)]


def test_a_sender_that_was_rejected_late_gets_the_stored_token(service: Service, capsys: Capture) -> None:
    event = load_event("token_refresh/rejected_token")
    service.wechat.renew("wx-shop")
    refresh({})
    service.forget()
    assert refresh(event)["token"]["value"] == "token-2-of-wx-shop"
    assert service.wechat.fetches == []
    calls = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "TokenRefreshes"]
    assert [metric.value for metric in calls] == [1, 1, 0, 0]


def test_a_sender_hears_why_there_is_no_token(service: Service) -> None:
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    answered = refresh(load_event("token_refresh/rejected_token"))
    assert answered["result"] == "failed"
    assert outcome_from_dict(answered["failure"]) == answer(40164, "invalid ip 198.51.100.7")
    assert len(service.lines("token refresh failed")) == 1


def test_a_token_that_could_not_be_stored_reaches_the_sender_and_the_report(
    service: Service, capsys: Capture
) -> None:
    service.wechat.renew("wx-shop")
    service.store.failing = {"save": "ThrottlingException"}
    answered = refresh(load_event("token_refresh/rejected_token"))
    assert answered["token"]["value"] == "token-2-of-wx-shop"
    assert refresh(ONE_ACCOUNT) == {**NOTHING, "refreshed": ["shop"], "not_stored": ["shop"]}
    assert len(service.lines("token not stored")) == 2
    names = [metric.name for metric in metrics(capsys.readouterr().out)]
    assert names.count("TokenNotStored") == 4


def test_unusable_credentials_are_reported_without_their_content(service: Service) -> None:
    service.store.broken["typo"] = Bilingual("wrong: app_id", "有误：app_id")
    (failed,) = refresh({})["failed"]
    assert (failed["account"], failed["errcode"], failed["class"]) == ("typo", None, ErrorClass.CONFIG)
    assert "wrong: app_id" in failed["hint"]["en"]


def test_a_store_that_does_not_answer_fails_the_invocation(service: Service) -> None:
    service.store.failing = {"load_all": "AccessDeniedException"}
    with pytest.raises(InvocationError, match=r"^StorageError$"):
        refresh({})
    (line,) = service.lines()
    assert (line["message"], line["error"]) == ("invocation failed", "StorageError")


def test_the_age_of_the_tokens_is_measured(service: Service, capsys: Capture) -> None:
    service.clock.advance(600)
    refresh({})
    ages = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "TokenAge"]
    assert [(metric.dimensions, metric.value, metric.unit) for metric in ages] == [
        ({}, 600.0, "Seconds"),
        ({"account": "shop"}, 600.0, "Seconds"),
    ]


def test_neither_token_nor_secret_is_seen(service: Service, capsys: Capture) -> None:
    service.wechat.reject("wx-shop")
    refresh(load_event("token_refresh/rejected_token"))
    service.wechat.refuse_tokens("wx-shop", unreachable())
    reports = [refresh({}), refresh(ONE_ACCOUNT)]
    events = json.dumps(
        [[domain_event.detail_type, domain_event.detail] for domain_event in service.bus.events]
    )
    seen = json.dumps(reports) + events + service.log.getvalue() + capsys.readouterr().out
    assert (len(service.lines()) >= 5, len(service.bus.events)) == (True, 2)
    for hidden in ("token-1-of", "token-2-of", "s" * 32):
        assert hidden not in seen


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        ({"acount": "demo"}, "account"),
        ({"Account": "demo"}, "account"),
        ({"account": "shop", "reject": "x"}, "rejected"),
    ],
)
def test_a_misspelt_field_refreshes_nobody(service: Service, event: Any, meant: str) -> None:
    answered = refresh(event)
    assert (answered["result"], service.wechat.fetches) == ("bad_request", [])
    assert f"did you mean {meant}?" in answered["detail"]


BAD_EVENTS: list[Any] = [
    None,
    [],
    "shop",
    5,
    {"account": 5},
    {"account": None},
    {"account": ["shop"]},
    {"rejected": "x"},
    {"rejected": None},
    {"detail-type": "Scheduled Event", "account": "shop"},
    {**load_event("token_refresh/schedule"), "rejected": None},
    {**load_event("token_refresh/schedule"), "acount": "shop"},
    {"account": "shop", "rejected": 5},
    {"everybody": True},
]


@pytest.mark.parametrize("event", BAD_EVENTS)
def test_an_event_of_another_shape_is_answered_with_what_to_send(service: Service, event: Any) -> None:
    answered = refresh(event)
    assert answered["result"] == "bad_request"
    assert '{"account": "<name>"}' in answered["detail"]
    assert service.wechat.fetches == []
