"""A rotation of the openid hash key by ``wxn hash-key``: the service and ``wxn erase`` know both keys."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import Clock
from tests.unit.wxn import command_line
from tests.unit.wxn.fakes import FakeApi
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.hash_keys import FRESH_FOR, SETTLES_AFTER, StoredHashKeys
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.receipt_index import ReceiptIndex
from wechat_notify.core.callbacks.events import Receipt
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.receipts import Match, Receipts
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.openid_hashes import OpenidHashes
from wechat_notify.core.outcomes import Status
from wxn import questions, stacks
from wxn.commands import hash_key
from wxn.erasing.entries import Entries
from wxn.erasing.person import Person
from wxn.hash_keys import SECONDS_UNTIL_USED
from wxn.stacks import Stack
from wxn.times import local_time

Aws = Callable[[str], Any]
Run = Callable[..., command_line.Ran]
OPENID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
FIRST = "k" * 64


class KeyStack(Stack):
    """A stack whose secret is as CloudFormation generated it."""

    def __init__(self, aws: Aws) -> None:
        super().__init__("stack", region="eu-central-1")
        self._aws = aws
        arn = aws("secretsmanager").create_secret(Name="generated", SecretString=FIRST)["ARN"]
        self.resources = {"OpenidHashKey": arn}
        self.parameters = {"LedgerRetentionDays": "30"}
        self.outputs = {"LedgerTableName": "ledger"}

    def client(self, service: str, **_: Any) -> Any:
        return self._aws(service)

    def _version(self) -> dict[str, Any]:
        read: dict[str, Any] = self._aws("secretsmanager").get_secret_value(
            SecretId=self.resources["OpenidHashKey"]
        )
        return read

    @property
    def secret(self) -> str:
        return str(self._version()["SecretString"])

    @property
    def written_at(self) -> float:
        return float(self._version()["CreatedDate"].timestamp())


@pytest.fixture
def stack(aws: Aws) -> KeyStack:
    aws("secretsmanager").meta.events.register(
        "before-call.secretsmanager.PutSecretValue", refuse_taken_ids(aws)
    )
    return KeyStack(aws)


def refuse_taken_ids(aws: Aws) -> Callable[..., Any]:
    """Other content under the id of a version is refused, which moto does for UpdateSecret alone.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """

    def look(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
        asked = json.loads(params["body"])
        versions = aws("secretsmanager").list_secret_version_ids(SecretId=asked["SecretId"])["Versions"]
        if asked["ClientRequestToken"] not in {each["VersionId"] for each in versions}:
            return None
        return SimpleNamespace(status_code=400), {"Error": {"Code": "ResourceExistsException"}}

    return look


@pytest.fixture
def run(stack: KeyStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(stacks, "find", lambda *_: stack)

    def main(*arguments: str, typed: str = "", terminal: bool = False) -> command_line.Ran:
        monkeypatch.setattr(questions, "can_ask", lambda: terminal)
        ran = command_line.run(monkeypatch, capsys, "hash-key", *arguments, typed=typed)
        kept = [stack.secret] if stack.secret == FIRST else re.findall(r"[0-9a-f]{64}", stack.secret)
        assert not [key for key in (FIRST, *kept) if key in ran.out + ran.err]
        return ran

    return main


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for the command."""
    clock = Clock(time.time())
    monkeypatch.setattr(hash_key, "time", SimpleNamespace(time=clock.now))
    return clock.advance


class Process:
    """A warm process of the service, which has read the keys."""

    def __init__(self, clients: Clients, stack: KeyStack) -> None:
        self.clock = Clock(time.time())
        keys = StoredHashKeys(clients, lambda: stack.resources["OpenidHashKey"], now=self.clock.now)
        self.hashes = OpenidHashes(keys)
        self.hashes.load()
        table = LedgerTable(clients, "ledger", 86_400.0, match_receipts=True)
        self.ledger = Ledger(table, now=self.clock.now, writer=lambda: "writer", keyed_hash=self.hashes)
        self.receipts = Receipts(self.ledger, ReceiptIndex(clients, "ledger", table), self.hashes)

    def send_and_lose_the_answer(self, message_id: str) -> str:
        """A message whose answer is lost; the hash of its receiver in the ledger."""
        content = {
            "kind": "template",
            "touser": OPENID,
            "template_id": "T",
            "data": {"thing1": {"value": "深圳"}},
        }
        message = parse_message(content)[0]
        request = SendRequest(message_id, "shop", content)
        claimed = self.ledger.claim(request, message, 60.0, takes_queued=True).entry
        assert claimed is not None
        self.ledger.finish(claimed, Status.UNKNOWN, lost_at=self.clock.now())
        assert claimed.openid_hash is not None
        return claimed.openid_hash

    def settle(self, msgid: str) -> Match:
        receipt = Receipt(msgid, OPENID, delivered=True, reason=None, at=int(self.clock.now()))
        return self.receipts.settle("shop", receipt, is_last=True, callback=msgid).match


@pytest.mark.usefixtures("ledger_table")
def test_both_keys_find_a_person_after_a_rotation(run: Run, stack: KeyStack, clients: Clients) -> None:
    process = Process(clients, stack)
    before = process.send_and_lose_the_answer("before")
    assert run("rotate", "--yes").code == 0
    process.clock.advance(FRESH_FOR + 1)
    assert process.settle("1") is Match.SETTLED  # under the key before

    process.hashes.load()
    assert process.hashes(OPENID) == before  # another one may not know the new key yet
    process.clock.advance(SETTLES_AFTER)
    after = process.send_and_lose_the_answer("after")
    assert after != before
    assert process.settle("2") is Match.SETTLED

    person = Person.of(OPENID, stack)
    assert person.hashes == (after, before)
    entries = Entries(stack, FakeApi({"GET holds": {"holds": []}}), "shop", person)
    found = {each.name: each for each in entries.find(lambda _done, _total: None)}
    assert sorted(found) == ["after", "before"]
    entries.erase(list(found.values()))
    assert list(entries.find(lambda _done, _total: None)) == []


def test_rotation_keeps_the_keys_before(run: Run, stack: KeyStack, advance: Callable[[float], None]) -> None:
    for count in (2, 3):
        ran = run("rotate", "--yes", "--json")
        assert (ran.code, json.loads(ran.out)) == (0, {"keys": count})
        advance(SECONDS_UNTIL_USED + 1)
    kept = json.loads(stack.secret)
    assert kept["earlier"][-1] == FIRST
    assert len({kept["current"], *kept["earlier"]}) == 3
    assert len(kept["current"]) == 64
    assert SECONDS_UNTIL_USED == SETTLES_AFTER

    ran = run("forget", "--yes")
    assert ran.code == 1
    # The last entry under an earlier key is written when the current one comes into use.
    assert local_time(stack.written_at + SECONDS_UNTIL_USED + 30 * 86_400) in ran.err
    assert json.loads(stack.secret) == kept
    stack.parameters = {"LedgerRetentionDays": "0"}  # the entries under the earlier keys have expired
    ran = run("forget", "--yes", "--json")
    assert (ran.code, json.loads(ran.out)) == (0, {"keys": 1})
    assert json.loads(stack.secret) == {"current": kept["current"], "earlier": []}


def test_a_key_comes_into_use_before_the_next(
    run: Run, stack: KeyStack, clients: Clients, advance: Callable[[float], None]
) -> None:
    """A function that starts now would use a key that one that runs has not read yet."""
    running = Process(clients, stack)
    assert run("rotate", "--yes").code == 0
    kept = stack.secret
    ran = run("rotate", "--yes")
    assert ran.code == 1
    assert local_time(stack.written_at + SECONDS_UNTIL_USED) in ran.err
    assert stack.secret == kept
    assert Process(clients, stack).hashes(OPENID) == running.hashes(OPENID)
    advance(SECONDS_UNTIL_USED + 1)
    assert run("rotate", "--yes").code == 0


def test_rotations_at_once_lose_no_key(
    run: Run, stack: KeyStack, advance: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody rotates while another is asked: entries have the hash under that key already."""

    def rotate_too(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(hash_key, "confirm", lambda *_, **__: None)
        assert run("rotate", "--yes").code == 0

    monkeypatch.setattr(hash_key, "confirm", rotate_too)
    ran = run("rotate", "--yes")
    assert ran.code == 1
    kept = json.loads(stack.secret)
    assert kept["earlier"] == [FIRST]
    advance(SECONDS_UNTIL_USED + 1)
    assert run("rotate", "--yes").code == 0
    assert json.loads(stack.secret)["earlier"] == [kept["current"], FIRST]


@pytest.mark.parametrize("command", ["rotate", "forget"])
def test_declined_changes_nothing(
    run: Run, stack: KeyStack, advance: Callable[[float], None], command: str
) -> None:
    assert run("rotate", "--yes").code == 0
    advance(31 * 86_400)
    before = stack.secret
    ran = run(command, typed="n\n", terminal=True)
    assert (ran.code, "The key" in ran.err) == (1, True)
    assert run(command).code != 0  # nobody can be asked
    assert stack.secret == before


def test_secret_that_cannot_be_read(
    stack: KeyStack, aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stacks, "find", lambda *_: stack)
    broken = '{"current": "SECRET", "earlier": [""]}'
    aws("secretsmanager").put_secret_value(SecretId=stack.resources["OpenidHashKey"], SecretString=broken)
    ran = command_line.run(monkeypatch, capsys, "hash-key", "rotate", "--yes")
    assert ran.code == 1
    assert "SECRET" not in ran.out + ran.err
    assert stack.secret == broken
