"""What is done around a snapshot (Lambda SnapStart), with a stand-in for the module of Lambda's runtime."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from functions.send_api import handler as send_api
from functions.send_queue import handler as send_queue
from functions.token_refresh import handler as token_refresh
from tests.fakes import break_down
from tests.unit.test_settings import environment
from wechat_notify import bootstrap
from wechat_notify.settings import starts_from_snapshot
from wechat_notify.wechat import session

__all__ = ["environment"]

Hooks = list[tuple[str, Callable[[], None]]]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    registered: Hooks = []
    runtime = SimpleNamespace(
        register_before_snapshot=lambda hook: registered.append(("before", hook)),
    )
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    return registered


@pytest.mark.parametrize(
    ("how", "expected"),
    [("snap-start", True), ("on-demand", False), ("provisioned-concurrency", False), (None, False)],
)
def test_how_a_snapshot_is_recognised(how: str | None, *, expected: bool) -> None:
    assert starts_from_snapshot({} if how is None else {"AWS_LAMBDA_INITIALIZATION_TYPE": how}) is expected


def test_without_snapshots_nothing_is_registered(hooks: Hooks) -> None:
    bootstrap.register_for_snapshots()
    assert hooks == []


@pytest.mark.parametrize(
    ("handler", "registers"), [(send_api, True), (send_queue, True), (token_refresh, False)]
)
def test_only_senders_register_on_import(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch, *, handler: object, registers: bool
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    name = handler.__name__  # type: ignore[attr-defined] # a module
    monkeypatch.delitem(sys.modules, name)
    # Before the import, which replaces it: afterwards the package has its handler again.
    monkeypatch.setattr(sys.modules[name.rpartition(".")[0]], "handler", handler)
    importlib.import_module(name)
    names = ["before"] if registers else []
    assert [when for when, _ in hooks] == names


@pytest.mark.usefixtures("environment")
def test_parts_made_before_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients, the TLS context and the dispatcher, but no connection."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(socket.socket, "connect", break_down)
    session.tls_context.cache_clear()
    bootstrap.before_snapshot()
    assert bootstrap.aws()._made.keys() == {"dynamodb", "ssm", "secretsmanager", "sqs", "lambda", "events"}
    assert session.tls_context.cache_info().currsize == 1
    assert bootstrap.dispatcher.cache_info().currsize == 1
    bootstrap.aws().close()
