"""Links, confirmations, and what is left of a person's consents."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.team_api.consents import WITH_SLASH
from functions.team_api.handler import lambda_handler
from tests.fakes import OPENID, OTHER_OPENID, FakeContext, Service, answer, load_event, metrics
from tests.unit.functions import contract
from tests.unit.functions.team_api.calls import Json, Response, call
from wechat_notify.bootstrap import teams
from wechat_notify.core.callbacks.events import ConsentChange, PersonLeft
from wechat_notify.core.consents.links import LIFETIME
from wechat_notify.core.errors import StorageError
from wechat_notify.core.templates.template import AccountTemplates, Family, Template
from wechat_notify.settings import Settings

LINK, CONSENTS = "GET consents/links", "GET consents"
QUERY: Json = {"scene": "1000", "template_id": "t-1", "redirect_url": "https://shop.example/ok?a=1"}
HTML = '"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def app_id(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.store.app_ids["shop"] = "wx1234"
    service.token_refresher.refresh("shop")
    settings = Settings({"WECHAT_PAGES_BASE": "https://mp.weixin.qq.com"})
    monkeypatch.setattr("wechat_notify.bootstrap.settings", lambda: settings)


def link(**changes: Any) -> Json:
    """Make a link; the parameters with which WeChat leads back from it."""
    response = call(LINK, query={**QUERY, **changes})
    assert response.status == 200, response.content
    query = parse_qs(urlsplit(response.content["url"]).query)
    assert query["reserved"] == [response.content["reserved"]]
    given = {name: query[name][0] for name in ("template_id", "scene", "reserved")}
    return {"openid": OPENID, **given, "action": "confirm"}


def confirm(query: Json, *, documented: bool = True) -> Response:
    """Hand the parameters over as a program does; ``documented`` is False where others are among them."""
    event = load_event("team_api/request")
    event |= {"routeKey": "GET /v1/consents/confirm", "queryStringParameters": query}
    event["headers"]["accept"] = "application/json"
    event["pathParameters"] = {}
    del event["requestContext"]["authorizer"]
    response = lambda_handler(event, FakeContext())
    if documented:
        contract.check(event, response)
    return Response(response["statusCode"], json.loads(response["body"]), response["headers"])


def visit(query: Json, accept: str | None = "text/html,*/*") -> tuple[int, str]:
    """Open the page as WeChat's browser does."""
    event = load_event("team_api/request")
    event |= {"routeKey": "GET /v1/consents/confirm", "queryStringParameters": query}
    event["headers"] = {"accept": accept} if accept else {}
    del event["pathParameters"]
    response = lambda_handler(event, FakeContext())
    headers = response["headers"]
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    return response["statusCode"], response["body"]


def unused(openid: str = OPENID, scene: str = "1000") -> int:
    found = call(CONSENTS, query={"openid": openid}).content["templates"]
    return sum(each["unused"] for each in found if each.get("scene") == scene)


def test_a_link_leads_to_wechats_page(service: Service) -> None:
    answer = call(LINK, query=QUERY).content
    parts = urlsplit(answer["url"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "mp.weixin.qq.com", "/mp/subscribemsg")
    assert parts.fragment == "wechat_redirect"
    assert parse_qs(parts.query) == {
        "action": ["get_confirm"],
        "appid": ["wx1234"],
        **{name: [value] for name, value in QUERY.items()},
        "reserved": [answer["reserved"]],
    }
    assert answer["expires_at"] == "2026-03-02T07:04:05.000Z"
    assert service.consent_store.calls["put_link"] == 1


@pytest.mark.parametrize("scene", ["0", "10000"])
def test_a_confirmation_is_one_message(capsys: pytest.CaptureFixture[str], scene: str) -> None:
    query = link(scene=scene)
    capsys.readouterr()
    assert confirm(query).content == {
        "action": "confirm",
        "template_id": "t-1",
        "scene": scene,
        "is_new": True,
    }
    counted = [(each.name, each.value) for each in metrics(capsys.readouterr().out) if not each.dimensions]
    assert counted == [("ConsentsGranted", 1)]
    assert confirm(query).content["is_new"] is False
    assert unused(scene=scene) == 1


def test_a_person_gets_a_page(service: Service) -> None:
    status, page = visit(link())
    assert (status, "订阅成功" in page, "Thank you" in page) == (200, True, True)
    assert visit(link(), accept=None)[0] == 200
    status, page = visit({**link(), "action": "cancel", "openid": ""} | {"openid": OPENID})
    assert (status, "已取消" in page) == (200, True)
    service.clock.advance(LIFETIME)
    status, page = visit(link() | {"reserved": "0" * 64})
    assert (status, "reserved 不是本服务生成的" in page) == (422, True)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyError(OPENID), 500, {"error": "KeyError"}),
        (StorageError("read the link", "Throttled"), 503, {"reason": "storage", "status_code": 503}),
    ],
)
def test_a_failed_confirmation_is_a_page_too(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: Json
) -> None:
    """A person is told what to do, and not of documents and headers; the log says why it failed."""

    def fail() -> None:
        raise error

    query = link()
    monkeypatch.setattr(teams, "consent_links", fail)
    assert confirm(query).status == status
    shown = visit(query)
    assert (shown[0], "请稍后重试" in shown[1], "try again" in shown[1]) == (status, True, True)
    assert not re.search(r"request_id|Idempotency|errors|\{\"", shown[1])
    lines = [line for line in service.lines() if line["message"].startswith("invocation f")]
    assert all(line.items() >= said.items() for line in lines[-2:])


def test_no_cache_answers_for_a_link() -> None:
    """Its address is public, and has the openid in it."""
    query = link()
    for _ in range(2):
        assert confirm(query).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("rest", [{}, {"rest": ""}])
def test_a_slash_before_the_parameters_changes_nothing(rest: Json) -> None:
    """As WeChat documents its redirect."""
    event = load_event("team_api/request")
    event |= {"routeKey": WITH_SLASH, "queryStringParameters": link(), "pathParameters": rest}
    event["headers"] = {"accept": "text/html"}
    assert lambda_handler(event, FakeContext())["statusCode"] == 200
    assert unused() == 1


@pytest.mark.parametrize("openid", [{}, {"openid": ""}])
def test_cancel_names_nobody(service: Service, openid: Json) -> None:
    query = {**link(), "action": "cancel"}
    del query["openid"]
    query |= openid
    assert confirm(query).content["is_new"] is True
    assert confirm(query).content["is_new"] is False
    assert service.consent_store.people == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reserved": "a"}, "forged"),
        ({"reserved": "0" * 64}, "forged"),
        ({"scene": "1001"}, "mismatch"),
        ({"template_id": "t-2"}, "mismatch"),
    ],
)
def test_confirmations_that_are_refused(changes: Json, reason: str) -> None:
    query = link()
    refused = confirm({**query, **changes})
    assert (refused.status, refused.problem, refused.content["reason"]) == (422, "consent-link", reason)
    assert unused() == 0
    assert confirm(query).status == 200


def test_a_link_is_used_by_one_person(service: Service) -> None:
    query = link()
    confirm(query)
    assert confirm({**query, "openid": OTHER_OPENID}).content["reason"] == "used"
    assert (unused(), unused(OTHER_OPENID)) == (1, 0)
    service.clock.advance(LIFETIME)
    assert confirm(query).content["reason"] == "expired"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("openid", None),
        ("openid", ""),
        ("openid", f"{OPENID},{OTHER_OPENID}"),  # given twice: API Gateway joins the two
        ("reserved", "a,b"),
        ("reserved", "a" * 129),
        ("reserved", None),
        ("scene", "10001"),
        ("scene", "-1"),
        ("scene", "1000,1000"),
        ("scene", ""),
        ("template_id", None),
        ("action", "get_confirm"),
        ("action", "confirm,cancel"),
        *((name, HTML) for name in ("openid", "reserved", "scene", "template_id", "action")),
    ],
)
def test_wrong_parameters(service: Service, field: str, value: str | None) -> None:
    query = {**link(), field: value}
    if value is None:
        del query[field]
    refused = confirm(query)
    assert (refused.status, refused.problem) == (422, "invalid-fields")
    assert [each["path"] for each in refused.content["errors"]] == [field]
    status, page = visit(query)
    assert status == 422
    assert not value or value not in page
    assert "<script" not in page
    assert (service.consent_store.people, unused()) == ({}, 0)


def test_wechat_may_add_parameters() -> None:
    assert (
        confirm({**link(), "lang": HTML, "redirect_url": "https://evil.example"}, documented=False).status
        == 200
    )
    status, page = visit({**link(), "redirect_url": "https://evil.example"})
    assert (status, "evil" in page) == (200, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("redirect_url", "javascript:alert(1)"),
        ("redirect_url", "shop.example"),
        ("scene", "10001"),
        ("template_id", ""),
        ("template_id", HTML),
        ("appid", "wx1"),
    ],
)
def test_wrong_links(service: Service, field: str, value: str) -> None:
    refused = call(LINK, query={**QUERY, field: value})
    assert (refused.status, refused.content["errors"][0]["path"]) == (422, field)
    assert service.consent_store.links == {}


def test_an_account_without_an_appid_yet(service: Service) -> None:
    service.store.app_ids.clear()
    service.token_refresher.refresh("shop")
    refused = call(LINK, query=QUERY)
    assert (refused.status, refused.problem) == (503, "token-unavailable")
    assert refused.headers["Retry-After"] == "300"


def test_an_account_without_a_token(service: Service) -> None:
    del service.store.tokens["shop"]
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    refused = call(LINK, query=QUERY)
    assert (refused.status, refused.problem, refused.content["errcode"]) == (502, "token-unavailable", 40164)


def test_an_account_that_nobody_stored(service: Service) -> None:
    del service.store.tokens["shop"], service.store.sources["shop"]
    assert call(LINK, query=QUERY).problem == "unknown-account"


def test_what_is_left(service: Service) -> None:
    consents, store = service.consents, service.ledger_store
    asked = [("t-1", True, 10), ("t-1", True, 20), ("t-1", False, 30), ("long", True, 10)]
    consents.record("shop", [ConsentChange(OPENID, t, accepted=a, asked=True, at=at) for t, a, at in asked])
    consents.record("shop", [ConsentChange(OPENID, "t-2", accepted=False, asked=False, at=40)])
    consents.record("shop", [PersonLeft(OPENID, erase=False, at=5)])
    template = Template("long", Family.SUBSCRIPTION, "title", "", long_term=True)
    store.templates["shop"] = AccountTemplates("shop", 1, templates=(template,))
    service.store.consents["shop"] = "warn"
    service.token_refresher.refresh("shop")

    def at(seconds: int) -> str:
        return f"1970-01-01T00:00:{seconds:02}.000Z"

    answer = call(CONSENTS, query={"openid": OPENID})
    assert answer.content == {
        "account": "shop",
        "openid_hash": service.openid_hash(OPENID),
        "policy": "warn",
        "left_at": at(5),
        "templates": [
            {"template_id": "long", "unused": 0, "long_term": True, "granted_at": at(10)},
            {"template_id": "t-1", "unused": 2, "granted_at": at(20), "refused_at": at(30)},
            {"template_id": "t-2", "unused": 0, "ended_at": at(40)},
        ],
    }
    assert call(CONSENTS, query={"openid": OTHER_OPENID}).content["templates"] == []


@pytest.mark.parametrize("query", [{}, {"openid": ""}, {"openid": "a,b"}, {"openid": HTML}])
def test_whose_consents(query: Json) -> None:
    refused = call(CONSENTS, query=query)
    assert (refused.status, refused.content["errors"][0]["path"]) == (422, "openid")


def test_no_log_line_has_the_openid(service: Service) -> None:
    confirm(link())
    confirm({**link(), "reserved": "0"})
    visit(link() | {"scene": HTML})
    call(CONSENTS, query={"openid": OPENID})
    call(CONSENTS, query={"openid": f"{OPENID},{OPENID}"})
    log = service.log.getvalue()
    assert OPENID not in log
    assert "<script" not in log
    assert [line["reason"] for line in service.lines("invocation finished") if "reason" in line] == [
        "consent_link",
        "invalid_fields",
        "invalid_fields",
    ]
