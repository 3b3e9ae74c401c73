"""The page on which a merchant authorizes a platform."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.fakes import Service, answer, unreachable
from tests.unit.functions.team_api.calls import Json, call
from wechat_notify.core.errors import NotAPlatformError, TokenUnavailableError, UnknownAccountError

LINK = "GET authorization-link"
QUERY: Json = {"redirect_uri": "https://example.com/back?to=1"}


def test_link_has_the_code(service: Service) -> None:
    response = call(LINK, query={**QUERY, "auth_type": "1", "biz_appid": "wx1234"})
    assert response.status == 200
    desktop, mobile = urlsplit(response.content["desktop"]), urlsplit(response.content["mobile"])
    common = {
        "component_appid": "wxp",
        "pre_auth_code": "pre@1",
        "redirect_uri": "https://example.com/back?to=1",
        "auth_type": "1",
        "biz_appid": "wx1234",
    }
    assert (desktop.netloc, desktop.path) == ("mp.weixin.qq.com", "/cgi-bin/componentloginpage")
    assert dict(parse_qsl(desktop.query)) == common
    assert (mobile.path, mobile.fragment) == ("/safe/bindcomponent", "wechat_redirect")
    assert dict(parse_qsl(mobile.query)) == {"action": "bindcomponent", "no_scan": "1", **common}
    assert service.platform_function.asked == [{"component": "shop", "request": "pre_auth_code"}]


def test_both_kinds_without_a_choice(service: Service) -> None:
    service.platform_function.busy = 3
    query = dict(parse_qsl(urlsplit(call(LINK, query=QUERY).content["desktop"]).query))
    assert query["auth_type"] == "3"
    assert "biz_appid" not in query
    assert len(service.clock.slept) == 3


def test_refresher_stays_busy(service: Service) -> None:
    """The function ends before its caller gives up."""
    service.platform_function.busy = 1000
    assert call(LINK, query=QUERY).problem == "platform-refused"
    assert sum(service.clock.slept) == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (UnknownAccountError("shop"), 404, "unknown-account"),
        (NotAPlatformError("shop"), 409, "not-a-platform"),
        (TokenUnavailableError(answer(40164, "invalid ip")), 502, "platform-refused"),
        (TokenUnavailableError(unreachable()), 503, "platform-refused"),
    ],
)
def test_refused(service: Service, error: Exception, status: int, problem: str) -> None:
    service.platform_function.error = error
    response = call(LINK, query=QUERY)
    assert (response.status, response.problem) == (status, problem)
    assert ("Retry-After" in response.headers) is (status == 503)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("redirect_uri", "example.com"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "https://"),
        ("redirect_uri", "https://example.com/" + "a" * 1024),
        ("redirect_uri", "https://例子.com"),
        ("auth_type", "0"),
        ("biz_appid", "wx&x=1"),
    ],
)
def test_wrong_query(service: Service, field: str, value: str) -> None:
    response = call(LINK, query={**QUERY, field: value})
    assert (response.status, response.content["errors"][0]["path"]) == (422, field)
    assert service.platform_function.asked == []
