"""The adapters on signed calls, until they make them by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from botocore import xform_name
from botocore.session import Session

from tests.integration.raw_server import Connection, Script
from wechat_notify.aws import events, ledger, signed, sqs, ssm
from wechat_notify.aws.signed import Caller

_OPERATIONS = {
    xform_name(operation): operation
    for service in ("dynamodb", "events", "sqs", "ssm")
    for operation in Session().get_service_model(service).operation_names
}


def wire(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    """Let the adapters call so."""

    def call(service: Any, method: str, action: str, **request: Any) -> Any:
        return caller.call(service, _OPERATIONS[method], action, **request)

    for module in (events, ledger, sqs, ssm):
        monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(ledger, "put_if", caller.put_if)


def break_down(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let every call be refused."""
    monkeypatch.setattr(Caller, "_attempt", lambda *_: signed._Refusal(code))


def moto_behind() -> Script:
    """Hands every request to moto, which answers those of ``requests`` too."""
    session = requests.Session()

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            host = f"{_host(request.headers)}.eu-central-1.amazonaws.com"
            headers = request.headers | {"host": host}
            said = session.post(f"https://{host}{request.target}", data=request.body, headers=headers)
            kept = {name: value for name, value in said.headers.items() if name.lower().startswith("x-amz")}
            lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
            head = f"HTTP/1.1 {said.status_code} Said\r\n{lines}Content-Length: {len(said.content)}\r\n\r\n"
            connection.write(head.encode() + said.content)

    return script


def _host(headers: dict[str, str]) -> str:
    return headers["authorization"].split("/")[3]
