"""Two regions for one account: the stack is the first; in the second the service's parts run here."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger
from botocore.config import Config

from functions.token_refresh.handler import lambda_handler as token_refresh
from local.aws_session import session
from local.client import get_json
from local.examples import addressed, examples
from tests.e2e.conftest import Service
from tests.e2e.test_platform import become_account
from tests.fakes import FakeContext
from wechat_notify import bootstrap
from wechat_notify.aws import clients
from wechat_notify.bootstrap import token_refresh as refreshing
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Status
from wechat_notify.telemetry import Telemetry

SECOND = "eu-west-1"
PLATFORM = "two-regions"


class Region:
    """A region with parameters of its own at the emulator, put together by ``bootstrap``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._path = service.stack.deployment.outputs["ParameterPath"]
        self._boto3: boto3.Session = session()
        self._clients: dict[str, Any] = {}

    def client(self, name: clients.Service) -> Any:
        """boto3's; token_refresh, which senders invoke, runs in this process."""
        if name == "lambda":
            return self
        if name not in self._clients:
            state = self._service.state
            self._clients[name] = self._boto3.client(
                name,
                region_name=SECOND,
                endpoint_url=state.aws_endpoint_url,
                aws_access_key_id=state.access_key_id,
                aws_secret_access_key=state.secret_access_key,
                config=Config(proxies={}),
            )
        return self._clients[name]

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert FunctionName == "token-refresh"
        return {"Payload": io.BytesIO(json.dumps(token_refresh(json.loads(Payload), FakeContext())).encode())}

    def put(self, name: str, value: str) -> None:
        self.client("ssm").put_parameter(
            Name=f"{self._path}/{name}", Value=value, Type="SecureString", Overwrite=True
        )

    def token(self, account: str) -> str:
        found = self.client("ssm").get_parameter(
            Name=f"{self._path}/{account}/access-token", WithDecryption=True
        )
        return str(json.loads(found["Parameter"]["Value"])["value"])

    def refresh(self, account: str) -> dict[str, Any]:
        return token_refresh({"account": account}, FakeContext())

    def send(self, account: str, touser: str) -> Exchange:
        message, _ = parse_message(addressed(examples()[0], touser))
        token = bootstrap.access_tokens().get(account)
        sender = bootstrap.dispatcher()._sender
        return sender.send(account, message, token, lambda: 60.0)

    def close(self) -> None:
        bootstrap.wechat_session().close()
        for each in self._clients.values():
            each.close()


@pytest.fixture
def second(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    parts = [*vars(bootstrap).values(), *vars(refreshing).values()]
    cached = [part for part in parts if hasattr(part, "cache_clear")]
    for part in cached:
        part.cache_clear()
    region = Region(service)
    aws = clients.Clients(region.client)
    telemetry = Telemetry(Logger(service="second-region", stream=io.StringIO()))
    monkeypatch.setattr(bootstrap, "aws", lambda: aws)
    monkeypatch.setattr(bootstrap, "telemetry", lambda: telemetry)
    environment = {
        "PARAMETER_PATH": service.stack.deployment.outputs["ParameterPath"],
        "WECHAT_API_BASE": service.state.wechat_api_base,
        "TOKEN_REFRESH_FUNCTION": "token-refresh",
        "EVENT_BUS_NAME": "default",
        "LEDGER_TABLE": "none",
        "LEDGER_RETENTION_DAYS": "30",
        "LIST_SENT_MESSAGES": "true",
        "RECEIPTS": "false",
        "QUOTA_RESET": "00:00+08:00",
        "OPENID_HASH_SECRET": service.stack.deployment.physical_ids["OpenidHashKey"],
        "SEND_QUEUE_URL": "none",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield region
    region.close()
    for part in cached:
        part.cache_clear()


def first_token(service: Service, account: str) -> str:
    return str(json.loads(service.parameter(f"{account}/access-token") or "")["value"])


def token_calls(service: Service, app_id: str) -> dict[str, int]:
    calls: dict[str, int] = get_json(f"{service.state.simulator_url}/_sim/stats")["by_app"][app_id][
        "token_calls"
    ]
    return {kind: count for kind, count in calls.items() if count}


def test_forced_refresh_in_one_region_costs_the_other_one_call(
    service: Service, second: Region, touser: str
) -> None:
    """Each region refreshes for itself, in normal mode; no message is lost and nothing is copied."""
    account, app_id = "both", "wxboth"
    service.add_account(account)
    second.put(f"{account}/credentials", service.parameter(f"{account}/credentials") or "")
    assert (service.refresh(account)["refreshed"], second.refresh(account)["refreshed"]) == ([account],) * 2
    assert first_token(service, account) == second.token(account)
    assert second.send(account, f"{touser}-1").outcome.status is Status.SENT
    assert token_calls(service, app_id) == {"normal": 2}

    service.tell("tokens/revoke", app_id=app_id, sticky=True)
    assert service.post(addressed(examples()[0], f"{touser}-2"), account=account).status_code == 200
    assert token_calls(service, app_id) == {"normal": 3, "forced": 1}
    assert first_token(service, account) != second.token(account)

    exchange = second.send(account, f"{touser}-3")
    assert (exchange.outcome.status, exchange.posts) == (Status.SENT, 2)
    assert token_calls(service, app_id) == {"normal": 4, "forced": 1}
    assert first_token(service, account) == second.token(account)
    for number in (1, 2, 3):
        assert sum(each["accepted"] for each in service.arrived(f"{touser}-{number}")) == 1


def test_merchants_are_taken_over_from_wechats_list(service: Service, second: Region, touser: str) -> None:
    """By the second region of a platform, which has credentials and ticket, and no refresh token."""
    component = service.add_component(PLATFORM)
    merchant = "wx0000000000twor"
    become_account(service, component, merchant, platform=PLATFORM)
    for name in ("credentials", "ticket"):
        second.put(f"{PLATFORM}/{name}", service.parameter(f"{PLATFORM}/{name}") or "")
    second.put(f"{merchant}/credentials", service.parameter(f"{merchant}/credentials") or "")
    assert second.refresh(PLATFORM)["refreshed"] == [PLATFORM]
    assert second.refresh(merchant)["refreshed"] == [merchant]
    assert second.send(merchant, touser).outcome.status is Status.SENT
