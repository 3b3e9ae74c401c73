"""Requests of WeChat and of strangers, signed and encrypted by the simulator's code, not by the service's."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from functions.callback.handler import lambda_handler
from local.simulator.receipts import encrypt, sign
from tests.fakes import OPENID, START, FakeContext, Service, metrics

APP_ID = "wx-shop"
TOKEN, KEY = "token-of-the-callback", "K" * 43
OTHER_TOKEN, OTHER_KEY = "another-token", "L" * 43
RECEIPT = (
    f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{OPENID}]]></FromUserName>"
    f"<CreateTime>{int(START)}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>3045934662186581610</MsgID>"
    "<Status><![CDATA[failed:user block]]></Status></xml>"
)


@dataclass(frozen=True)
class Request:
    """One request; what is left out is as WeChat has it."""

    text: str = RECEIPT
    account: str = "shop"
    token: str = TOKEN
    key: str = KEY
    app_id: str = APP_ID
    timestamp: str = str(int(START))
    nonce: str = "415670741"
    signature: str | None = None
    body: str | None = None
    """In the place of the encrypted text in its wrapper."""
    shown: str = ""
    """Fields beside the encrypted part."""
    encoded: bool = False

    def event(self) -> dict[str, Any]:
        """The event of API Gateway, with an encrypted body."""
        encrypted = encrypt(self.key, self.text.encode(), self.app_id)
        body = f"<xml>{self.shown}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        given = sign(self.token, self.timestamp, self.nonce, encrypted)
        query = {
            "signature": sign(self.token, self.timestamp, self.nonce),
            "msg_signature": given if self.signature is None else self.signature,
            "encrypt_type": "aes",
            "openid": OPENID,
        }
        return self._event("POST", query, body if self.body is None else self.body)

    def plain_event(self) -> dict[str, Any]:
        """The same in plain mode."""
        given = sign(self.token, self.timestamp, self.nonce)
        query = {"signature": given if self.signature is None else self.signature, "openid": OPENID}
        return self._event("POST", query, self.text if self.body is None else self.body)

    def check_event(self) -> dict[str, Any]:
        """WeChat's question whether the address is ours."""
        given = sign(self.token, self.timestamp, self.nonce)
        query = {"signature": given if self.signature is None else self.signature, "echostr": "4375120948"}
        return self._event("GET", query, None)

    def _event(self, method: str, query: dict[str, str], body: str | None) -> dict[str, Any]:
        if self.encoded and body is not None:
            body = base64.b64encode(body.encode()).decode()
        return {
            "version": "2.0",
            "routeKey": f"{method} /v1/callbacks/{{account}}",
            "pathParameters": {"account": self.account},
            "queryStringParameters": {**query, "timestamp": self.timestamp, "nonce": self.nonce},
            "requestContext": {"requestId": "request-1", "http": {"method": method}},
            "headers": {"content-type": "text/xml"},
            "isBase64Encoded": self.encoded,
            "body": body,
        }


def ask(event: dict[str, Any]) -> tuple[int, str]:
    """The status and the body of the answer."""
    response = lambda_handler(event, FakeContext())
    assert response["headers"] == {"Content-Type": "text/plain; charset=utf-8"}
    return response["statusCode"], response["body"]


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    return {each.name: each.value for each in metrics(capsys.readouterr().out) if not each.dimensions}


def logged(service: Service) -> dict[str, Any]:
    (line,) = service.lines("invocation finished")
    return line
