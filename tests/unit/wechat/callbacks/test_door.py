"""The door's memory and keys; what it refuses is tested with its function."""

from __future__ import annotations

import pytest

from local.simulator.receipts import sign
from tests.fakes import Clock
from tests.fakes.callback_keys import FakeCallbackKeys
from wechat_notify.wechat.callbacks import door as module
from wechat_notify.wechat.callbacks.door import CallbackDoor, CallbackRequest, Refused

TOKEN = "token-of-the-callback"


@pytest.fixture
def keys() -> FakeCallbackKeys:
    keys = FakeCallbackKeys()
    keys.store("shop", "wxshop", (TOKEN, None), mode="plain")
    return keys


@pytest.fixture
def door(keys: FakeCallbackKeys) -> CallbackDoor:
    return CallbackDoor(keys, now=Clock().now)


def request(nonce: str = "1", token: str = TOKEN) -> CallbackRequest:
    timestamp = str(int(Clock().now()))
    query = {"timestamp": timestamp, "nonce": nonce, "signature": sign(token, timestamp, nonce)}
    return CallbackRequest(query, b'{"MsgType": "event"}')


def test_callback_is_known_when_it_is_safe(door: CallbackDoor) -> None:
    """Not before: a repeat of one that could not be queued is a new one."""
    assert door.open("shop", request()) == {"MsgType": "event"}
    assert door.open("shop", request()) is not None
    door.remember("shop", request())
    assert door.open("shop", request()) is None
    assert door.open("shop", request("2")) is not None


def test_memory_is_bounded(door: CallbackDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    for number in range(5):
        door.remember("shop", request(str(number)))
    known = [number for number in range(5) if door.open("shop", request(str(number))) is None]
    assert known == [2, 3, 4]


def test_memory_is_each_accounts_own(keys: FakeCallbackKeys, door: CallbackDoor) -> None:
    keys.store("bank", "wxbank", (TOKEN, None), mode="plain")
    door.remember("shop", request())
    assert door.open("bank", request()) is not None


def test_good_signature_needs_one_read(keys: FakeCallbackKeys, door: CallbackDoor) -> None:
    assert door.open("shop", request()) is not None
    newer = keys.reads
    with pytest.raises(Refused):
        door.open("shop", request(token="another"))
    assert keys.reads > newer
