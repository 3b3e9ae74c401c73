import io
import json
from typing import Any

import pytest
import typer

from tests.unit.wxn.fakes import FakeRun
from wxn.commands.templates import list_templates, show, sync
from wxn.errors import CommandError, ExitCode
from wxn.stacks import Stack

MESSAGE = {"kind": "subscription", "touser": "OPENID", "template_id": "T", "data": {"thing1": {"value": "a"}}}
TEMPLATE = {
    "id": "T",
    "family": "subscription",
    "title": "到货",
    "keywords": [
        {"key": "thing1", "rule": {"en": "up to 20 characters", "zh": "最多 20 字"}, "max_length": 20},
        {"key": "enum_string2", "rule": {"en": "a value", "zh": "可选值"}, "values": ["客厅", "餐厅"]},
    ],
    "content": "物品:{{thing1.DATA}}\n",
    "example": "",
    "messages": [MESSAGE],
}
SYNCED = {"subscription": "2026-03-01T06:00:02.000Z", "template": None}


class FakeStack(Stack):
    """A stack whose function answers this; ``invoked`` is what it was sent."""

    def __init__(self, answer: object, **more: str) -> None:
        super().__init__("fake")
        self._answer = answer
        self._more = more
        self.invoked: list[tuple[str, Any]] = []
        self.outputs = {"TemplateSyncFunctionName": "sync"}

    def client(self, service: str, *, read_timeout: int = 20, attempts: int = 5) -> Any:  # noqa: ARG002
        assert (service, read_timeout) == ("lambda", 620)
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS's names
        self.invoked.append((FunctionName, json.loads(Payload)))
        return {"Payload": io.BytesIO(json.dumps(self._answer).encode()), **self._more}


def run_with(stack: Stack) -> FakeRun:
    run = FakeRun({})
    run.stack = stack
    return run


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    list_templates(FakeRun({"GET templates": {"synced_at": SYNCED, "templates": [TEMPLATE]}}))

    printed = capsys.readouterr()
    assert printed.out.splitlines()[2].split() == ["T", "subscription", "到货", "thing1,", "enum_string2"]
    assert "template: was never read" in printed.out
    assert "wxn templates sync" in printed.err


def test_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    list_templates(FakeRun({"GET templates": {"synced_at": {}, "templates": []}}))

    assert capsys.readouterr().out == "No templates are known.\n"


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    show(FakeRun({"GET templates/T": TEMPLATE}), "T")

    out = capsys.readouterr().out
    assert "up to 20 characters" in out
    assert "客厅, 餐厅" in out
    assert json.loads(out[out.index('{\n  "kind"') :]) == MESSAGE


def test_sync_of_account(capsys: pytest.CaptureFixture[str]) -> None:
    stack = FakeStack({"synced": {"shop": 6}, "failed": []})

    sync(run_with(stack))

    assert stack.invoked == [("sync", {"account": "shop"})]
    assert capsys.readouterr().out == "shop: 6 templates\n"


def test_sync_of_all_accounts() -> None:
    stack = FakeStack({"synced": {}, "failed": []})

    sync(run_with(stack), every_account=True)

    assert stack.invoked == [("sync", {})]


def test_sync_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    failure = {"account": "shop", "family": "template", "errcode": 48001, "hint": {"en": "Apply for it."}}

    with pytest.raises(typer.Exit) as caught:
        sync(run_with(FakeStack({"synced": {}, "failed": [failure]})))

    assert caught.value.exit_code == ExitCode.FAILED
    assert capsys.readouterr().out == "failed: shop, template, errcode 48001, Apply for it.\n"


def test_sync_that_broke() -> None:
    stack = FakeStack({"errorType": "StorageError", "errorMessage": "…"}, FunctionError="Unhandled")

    with pytest.raises(CommandError) as caught:
        sync(run_with(stack))

    assert caught.value.message == "template_sync ended with an error: StorageError."


def test_sync_of_impossible_account() -> None:
    with pytest.raises(CommandError, match="No account can be called shop") as caught:
        sync(run_with(FakeStack({"result": "bad_request"})))

    assert caught.value.exit_code == ExitCode.USAGE
