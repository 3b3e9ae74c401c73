"""A simulated WeChat whose time is a number that the tests move."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from local.simulator.calls import Answer, Call
from local.simulator.control import Control
from local.simulator.paths import STABLE_TOKEN, TOKEN
from local.simulator.pusher import Pusher
from local.simulator.receipts import Push
from local.simulator.wechat import WeChat

MIDNIGHT_BEIJING = 1_760_025_600.0
DAY = 86_400
CREDENTIALS = {"grant_type": "client_credential", "appid": "wxA", "secret": "secretA"}
EMPTY: list[Any] = ["", None, [], {}]
SUBSCRIPTIONS = ["subscribe/bizsend", "subscribe/send"]
_RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")
_OF_AN_APP = {"apps", "callbacks", "consents", "form_ids", "quotas", "templates"}


def printed(kind: str) -> dict[str, Any]:
    """The body that WeChat's own page prints."""
    text = Path(__file__).parents[3].joinpath("bodies", f"{kind}.json").read_text("utf-8")
    return {name: value for name, value in json.loads(text).items() if name != "kind"}


SAMPLES: dict[str, dict[str, Any]] = {
    "subscribe/bizsend": {**printed("subscription"), "template_id": "T"},
    "template/subscribe": printed("one_time_subscription"),
    "wxopen/template/send": printed("mini_program_template"),
    "subscribe/send": {
        "touser": "oA",
        "template_id": "T",
        "page": "index?foo=bar",
        "data": {
            "phrase3": {"value": "审核通过"},
            "name1": {"value": "订阅"},
            "date2": {"value": "2019-12-25 09:42"},
        },
        "miniprogram_state": "formal",
        "lang": "zh_CN",
    },
    "template/send": {"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "巧克力"}}},
}


class World:
    """A WeChat with two apps, a clock to move and shorthands for calls."""

    def __init__(self) -> None:
        self.now = MIDNIGHT_BEIJING
        self.while_waiting: list[Call] = []
        self.answered_meanwhile: list[Answer] = []
        self.wechat = WeChat(
            {"wxA": "secretA", "wxB": "secretB"},
            clock=lambda: self.now,
            wait=self._wait,
            rng=Random(1),  # noqa: S311 - the same ids in every run
            push=self._pushed,
        )
        self.pushed: list[Push] = []
        self.pusher = Pusher(lambda: self.now, Random(1))  # noqa: S311
        self.control = Control(self.wechat, self.pusher)

    def _pushed(self, push: Push) -> None:
        self.pushed.append(push)

    def _wait(self, seconds: float) -> None:
        self.now += seconds
        while self.while_waiting:
            self.answered_meanwhile.append(self.wechat.handle(self.while_waiting.pop()))

    # The control API

    def order(self, order: str, method: str = "POST", /, **body: Any) -> dict[str, Any]:
        """Give an order; where it is about an app and names none, that is wxA."""
        given = {"app_id": "wxA", **body} if order in _OF_AN_APP else body
        return self.control.handle(method, f"/_sim/{order}", {}, json.dumps(given).encode())

    def see(self, what: str, /, **query: Any) -> dict[str, Any]:
        given = {name: str(value) for name, value in query.items()}
        return self.control.handle("GET", f"/_sim/{what}", given, b"")

    def newest(self) -> dict[str, Any]:
        return dict(self.see("messages", limit=1)["messages"][0])

    @property
    def problems(self) -> Any:
        """What is odd about the newest message."""
        return self.newest()["problems"]

    # Tokens

    def stable(self, app_id: str = "wxA", **changes: Any) -> Mapping[str, Any]:
        """Ask ``stable_token``; a field that is ``None`` is left out."""
        body = {**CREDENTIALS, "appid": app_id, "secret": f"secret{app_id[-1]}", **changes}
        given = {name: value for name, value in body.items() if value is not None}
        return self.ask_stable(json.dumps(given).encode())

    def ask_stable(self, body: bytes) -> Mapping[str, Any]:
        return self.wechat.handle(Call("POST", STABLE_TOKEN, body=body)).payload

    def token(self, app_id: str = "wxA", *, forced: bool = False) -> str:
        return str(self.stable(app_id, force_refresh=forced)["access_token"])

    def plain(self, **changes: str) -> Mapping[str, Any]:
        return self.wechat.handle(Call("GET", TOKEN, {**CREDENTIALS, **changes})).payload

    # Messages

    def call(self, endpoint: str, body: Mapping[str, Any] | bytes, token: str | None = None) -> Call:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return Call(
            "POST",
            f"/cgi-bin/message/{endpoint}",
            {"access_token": self.token() if token is None else token},
            raw,
        )

    def send(
        self,
        endpoint: str = "template/send",
        token: str | None = None,
        raw: bytes | None = None,
        **changes: Any,
    ) -> Mapping[str, Any]:
        """Send a sample; a field that is ``None`` is left out."""
        body = {name: value for name, value in {**SAMPLES[endpoint], **changes}.items() if value is not None}
        return self.wechat.handle(self.call(endpoint, body if raw is None else raw, token)).payload

    def post(self, endpoint: str, /, **changes: Any) -> Mapping[str, Any]:
        """Send a sample with ``None`` as it is."""
        return self.wechat.handle(self.call(endpoint, {**SAMPLES[endpoint], **changes})).payload

    def errcode(self, endpoint: str = "template/send", token: str | None = None, **changes: Any) -> int:
        answer = self.send(endpoint, token, **changes)
        assert answer["errcode"] == 0 or has_rid(answer), answer
        return int(answer["errcode"])


def has_rid(answer: Mapping[str, Any]) -> bool:
    return bool(_RID.search(answer["errmsg"]))


@pytest.fixture
def world() -> World:
    return World()
