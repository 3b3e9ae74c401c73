"""A third-party platform: a merchant authorizes it, gets a message through it, and leaves."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from local.client import call_api, get_json, http
from local.examples import addressed, examples
from tests.e2e.conftest import CommandLine, Service, eventually

PLATFORM = "platform"
GRANTED = [7, 18, 89]


@pytest.fixture(scope="module")
def component(service: Service) -> str:
    return service.add_component(PLATFORM, release_test=True, aliases={"wxaliased": "aliased"})


@pytest.fixture
def merchant() -> str:
    return f"wx{uuid.uuid4().hex[:16]}"


def authorize(
    service: Service, component: str, merchant: str, *, platform: str = PLATFORM, **options: Any
) -> str:
    """As an administrator does on the page to which the link leads; the authorization code."""
    path = f"/v1/accounts/{platform}/authorization-link?redirect_uri=https%3A%2F%2Fexample.com%2Fback"
    link = call_api(service.state, "GET", path)
    assert link.status_code == 200, link.text
    query = dict(parse_qsl(urlsplit(link.json()["desktop"]).query))
    assert (query["component_appid"], query["redirect_uri"]) == (component, "https://example.com/back")
    fields = {"func_info": GRANTED, "pre_auth_code": query["pre_auth_code"], **options}
    told = ask(service, "authorize", component=component, app_id=merchant, **fields)
    return str(told["authorization_code"])


def ask(service: Service, order: str, **fields: object) -> dict[str, Any]:
    """Give the simulator an order about a platform, and return what it says."""
    url = f"{service.state.simulator_url}/_sim/components/{order}"
    answer = http("POST", url, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def become_account(service: Service, component: str, merchant: str, **options: Any) -> None:
    authorize(service, component, merchant, **options)
    assert eventually(lambda: service.parameter(f"{merchant}/access-token"))


def send(service: Service, account: str, touser: str) -> Any:
    return service.post(addressed(examples()[0], touser), account=account)


def stored(service: Service, account: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service.parameter(f"{account}/credentials") or "null")
    return found


def test_merchant_comes_and_goes(
    service: Service, wxn: CommandLine, component: str, merchant: str, touser: str
) -> None:
    """By events that end as WeChat's own example does, and come twice."""
    become_account(service, component, merchant, malformed=True, events=2)
    credentials = stored(service, merchant)
    assert credentials.pop("authorized_at")
    assert credentials == {
        "type": "authorizer",
        "component": PLATFORM,
        "app_id": merchant,
        "func_info": GRANTED,
    }
    assert send(service, merchant, touser).status_code == 200
    assert [(m["app_id"], m["accepted"]) for m in service.arrived(touser)] == [(merchant, True)]
    service.tell("components/unauthorize", component=component, app_id=merchant)
    assert eventually(lambda: "revoked_at" in stored(service, merchant))
    refused = send(service, merchant, f"{touser}-late").json()
    assert refused["class"] == "permission"
    assert "ended the authorization" in refused["detail"]
    assert [m["accepted"] for m in service.arrived(f"{touser}-late")] in ([], [False])  # by a token of before

    def tokens() -> list[str | None]:
        return [service.parameter(f"{merchant}/{name}") for name in ("access-token", "refresh-token")]

    assert eventually(lambda: tokens() == [None, None])
    listed = {each["name"]: each for each in json.loads(wxn("account", "list", "--json").stdout)["accounts"]}
    assert (listed[PLATFORM]["type"], listed[PLATFORM]["token_age"] < 600) == ("component", True)
    told = [listed[merchant][name] for name in ("type", "component", "revoked", "token_age")]
    assert told == ["authorizer", PLATFORM, True, None]


def test_tokens_are_rotated(service: Service, component: str, merchant: str, touser: str) -> None:
    """And a refresh token that got lost is found in WeChat's list."""
    become_account(service, component, merchant)
    seen = {service.parameter(f"{merchant}/refresh-token")}
    for order in ("tokens/expire", "components/lose"):
        if order == "components/lose":
            service.tell(order, component=component, app_id=merchant)
        service.tell("tokens/expire", app_id=merchant, seconds=400)
        service.put_parameter(
            f"{merchant}/access-token",
            {**json.loads(service.parameter(f"{merchant}/access-token") or ""), "expires_at": 0},
        )
        assert service.refresh(merchant)["refreshed"] == [merchant]
        seen.add(service.parameter(f"{merchant}/refresh-token"))
        assert send(service, merchant, f"{touser}-{len(seen)}").status_code == 200
    assert len(seen) == 3
    calls = get_json(f"{service.state.simulator_url}/_sim/components")["components"][component]["calls"]
    assert calls["api_get_authorizer_list"] == 1
    assert calls["api_component_token"] == 1


def test_kind_that_was_not_granted(service: Service, component: str, touser: str) -> None:
    authorize(service, component, "wxaliased", func_info=[7])
    assert eventually(lambda: service.parameter("aliased/access-token"))
    refused = send(service, "aliased", touser).json()
    assert (refused["class"], refused["errcode"]) == ("permission", None)
    assert service.arrived(touser) == []


def test_release_test(service: Service, component: str, merchant: str, touser: str) -> None:
    def write(content: str) -> dict[str, Any]:
        return ask(service, "message", component=component, app_id=merchant, openid=touser, content=content)

    answer = write("TESTCOMPONENT_MSG_TYPE_TEXT")
    assert (answer["status"], "<Encrypt>" in answer["body"]) == (200, True)
    code = authorize(service, component, merchant, events=0)
    assert write(f"QUERY_AUTH_CODE:{code}") == {"status": 200, "body": ""}

    def texts() -> list[str]:
        told = get_json(f"{service.state.simulator_url}/_sim/components")["texts"]
        return [text["text"]["content"] for text in told if text["touser"] == touser]

    assert eventually(texts) == [f"{code}_from_api"]


def test_platform_by_command(wxn: CommandLine, service: Service, merchant: str) -> None:
    """WeChat does not know it; and a merchant has no secret that could be stored."""
    name = f"platform-{merchant[-6:]}"
    added = wxn("account", "add", name, "--component", "--app-id", merchant, "--secret-stdin", text="a" * 32)
    assert (added.exit_code, "(61011)" in added.stderr) == (1, True)
    assert stored(service, name)["type"] == "component"
    wxn("account", "add", name, "--replace", "--secret-stdin", text="b" * 32)
    assert stored(service, name) == {"type": "component", "app_id": merchant, "app_secret": "b" * 32}
    service.put_parameter(
        f"{merchant}/credentials", {"type": "authorizer", "component": name, "app_id": merchant}
    )
    refused = wxn("account", "add", merchant, "--replace", "--secret-stdin", text="b" * 32)
    assert (refused.exit_code, "has no secret" in refused.stderr) == (1, True)
    for each in (name, merchant):
        assert wxn("account", "remove", each, "--yes").exit_code == 0
        assert stored(service, each) is None
