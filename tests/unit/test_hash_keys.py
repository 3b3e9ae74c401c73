"""The keys of openids' hashes, read from a secret and read again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import Clock, lowest
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.hash_keys import FRESH_FOR, SETTLES_AFTER, StoredHashKeys, parse_keys
from wechat_notify.core.errors import StorageError
from wechat_notify.core.openid_hashes import HashKeys

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys"


class Secret:
    """A secret, and how often it was read; ``value`` may be an error."""

    def __init__(self, value: str | Exception) -> None:
        self.value = value
        self.reads = 0
        self.clock = Clock()
        self.before_read: Callable[[], None] = lambda: None
        self.stored_at = self.clock.now() - SETTLES_AFTER
        clients = Clients(
            lambda _service: SimpleNamespace(get_secret_value=self._get, close=lambda: None),
            clock=self.clock.now,
            sleep=self.clock.sleep,
            jitter=lowest,
            now=self.clock.now,
        )
        self.clients = clients
        self.keys = self.process()

    def process(self) -> StoredHashKeys:
        """The keys as another process has them."""
        return StoredHashKeys(self.clients, lambda: ARN, now=self.clock.now)

    def store(self, value: str) -> None:
        """Store another version, now."""
        self.value, self.stored_at = value, self.clock.now()

    def _get(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert SecretId == ARN
        self.before_read()
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return {"SecretString": self.value, "CreatedDate": datetime.fromtimestamp(self.stored_at, UTC)}


def test_one_read_for_minutes() -> None:
    secret = Secret("first")
    assert secret.reads == 0
    assert secret.keys.loaded() == secret.keys.load() == HashKeys(b"first")
    secret.value = '{"current": "second", "earlier": ["first"]}'
    secret.clock.advance(FRESH_FOR - 1)
    assert secret.keys.load() == HashKeys(b"first")
    assert secret.reads == 1
    secret.clock.advance(2)
    assert secret.keys.loaded() == HashKeys(b"first")  # in the middle of a message nothing is read
    assert secret.keys.load() == secret.keys.loaded() == HashKeys(b"second", (b"first",))
    assert secret.reads == 2


def test_a_new_key_is_known_to_all_before_one_uses_it() -> None:
    """The one that read the former keys just before the rotation is the last to hear of it."""
    secret = Secret('{"current": "first", "earlier": ["zeroth"]}')
    secret.keys.load()
    secret.store('{"current": "second", "earlier": ["first", "zeroth"]}')
    begun = secret.process()
    for since in (0.0, FRESH_FOR - 1, FRESH_FOR + 1, SETTLES_AFTER - 1):
        secret.clock.advance(secret.stored_at + since - secret.clock.now())
        assert (secret.keys.load().current, begun.load().current) == (b"first", b"first")
        assert begun.loaded().all == (b"first", b"zeroth", b"second")
    assert secret.keys.loaded() == begun.loaded()
    secret.clock.advance(1)
    settled = HashKeys(b"second", (b"first", b"zeroth"))
    assert secret.keys.loaded() == begun.loaded() == secret.process().load() == settled


def test_a_first_key_is_used_at_once() -> None:
    secret = Secret("")
    secret.store("first")
    assert secret.keys.load() == HashKeys(b"first")


def test_keys_outlast_an_outage() -> None:
    secret = Secret("first")
    secret.keys.load()
    secret.value = ConnectionError()
    secret.clock.advance(FRESH_FOR + 1)
    for _ in range(3):
        assert secret.keys.load() == HashKeys(b"first")
    assert secret.reads == 2  # and is not asked again by each invocation
    secret.value = '{"current": "second", "earlier": ["first"]}'
    secret.clock.advance(61)
    assert secret.keys.load().current == b"second"


def test_without_keys_it_fails_and_recovers() -> None:
    secret = Secret(ConnectionError())
    for read in (secret.keys.load, secret.keys.loaded):
        with pytest.raises(StorageError, match="read the openid hash key"):
            read()
    secret.value = "first"
    assert secret.keys.load() == HashKeys(b"first")


def test_one_thread_reads_for_all() -> None:
    """The first time, and after a process was idle while the key was rotated: nobody has the former ones."""
    secret, started = Secret("first"), threading.Barrier(8)
    current: list[bytes] = []
    secret.before_read = lambda: time.sleep(0.02)

    def load() -> None:
        started.wait(5)
        current.append(secret.keys.load().current)

    for reads in (1, 2):
        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert secret.reads == reads
        secret.store('{"current": "second", "earlier": ["first"]}')
        secret.clock.advance(SETTLES_AFTER)
    assert current == [b"first"] * 8 + [b"second"] * 8


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("plain", HashKeys(b"plain")),
        ('{"current": "密"}', HashKeys("密".encode())),
        ('{"current": "b", "earlier": ["a", "0"]}', HashKeys(b"b", (b"a", b"0"))),
    ],
)
def test_forms_of_the_secret(value: str, keys: HashKeys) -> None:
    assert parse_keys(value) == keys


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{",
        "{}",
        '{"current": ""}',
        '{"current": null}',
        '{"earlier": ["SECRET"]}',
        '{"current": "SECRET", "earlier": [""]}',
        '{"current": "SECRET", "earlier": 1}',
        '{"current": "SECRET", "earlier": [1]}',
    ],
)
def test_malformed_secret_is_refused_without_its_content(value: str) -> None:
    with pytest.raises(StorageError) as raised:
        parse_keys(value)
    assert str(raised.value).endswith("Malformed")
    assert "SECRET" not in repr(raised.value)
    assert raised.value.__cause__ is None
