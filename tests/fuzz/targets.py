"""The parts of the callbacks' door as targets of fuzzed bytes, with what must hold of each."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from local.simulator.receipts import sign, xml
from wechat_notify.core.callbacks.events import CallbackBodyError, CallbackEvent, OtherEvent, Receipt
from wechat_notify.wechat.callbacks.bodies import parse_fields
from wechat_notify.wechat.callbacks.cipher import CallbackCipher, CipherError
from wechat_notify.wechat.callbacks.door import CallbackDoor, CallbackRequest, Refused
from wechat_notify.wechat.callbacks.events import events_of

TOKEN: Final = "token-of-the-callback"
KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID: Final = "wxshop"
_NAMES: Final = (
    *("MsgType", "Event", "FromUserName", "CreateTime", "List", "MsgID", "Status", "TemplateId", "ErrorCode"),
    *("ErrorStatus", "SubscribeStatusString", "SubscribeMsgPopupEvent", "OpenID", "InfoType", "AppId"),
    *("AuthorizerAppid", "AuthorizationCode", "ComponentVerifyTicket", "Encrypt", "x"),
)
_VALUES: Final[Sequence[Any]] = (
    *("event", "TEMPLATESENDJOBFINISH", "subscribe_msg_sent_event", "subscribe_msg_popup_event"),
    *("subscribe_msg_change_event", "unsubscribe", "user_authorization_revoke", "component_verify_ticket"),
    *("authorized", "updateauthorized", "unauthorized", "text", "o-1", "1700000000", "3000000000000000000"),
    *("success", "failed: user block", "0", "1", "accept", "reject", "T", "", 0, 2**63, True, [], {}),
)
_HEAD: Final = bytes(range(16))
_START: Final = len(_HEAD) + 4
"""Bytes before the message."""
_TIMESTAMP: Final = "1700000000"
_NAME: Final = re.compile(r"[a-z0-9_]{1,72}")


class Broken(Exception):  # noqa: N818 - a promise, not a failure of this program
    """A target did what it must not do."""


def fuzz_body(data: bytes) -> None:
    """A body is refused as no callback's, or is at least one event that can be logged and stored."""
    try:
        events = events_of(parse_fields(data))
    except CallbackBodyError:
        return
    if not events:
        raise Broken("a body without an event")
    for event in events:
        _check(event)


def _check(event: CallbackEvent) -> None:
    match event:
        case OtherEvent(name):
            is_sound = bool(_NAME.fullmatch(name))
        case Receipt(msgid, openid, _, reason):
            is_sound = msgid.isdecimal() and openid.isascii() and (reason is None or reason.isprintable())
        case _:
            is_sound = True
    if not is_sound:
        raise Broken(f"an unsound {type(event).__name__}")


def fuzz_shaped(data: bytes) -> None:
    """The same for well-formed bodies: the bytes choose their fields."""
    numbers = iter(data)
    fields = _shape(numbers, depth=0)
    fuzz_body(xml(fields) if next(numbers, 0) % 2 else json.dumps(fields, ensure_ascii=False).encode())


def _shape(numbers: Iterator[int], depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for _ in range(next(numbers, 0) % 12):
        name = _NAMES[next(numbers, 0) % len(_NAMES)]
        choice = next(numbers, 0)
        match choice % 4:
            case 0:
                fields[name] = _VALUES[next(numbers, 0) % len(_VALUES)]
            case 1:
                fields[name] = bytes(islice(numbers, choice // 8)).decode("latin-1")
            case _ if depth > 8:
                fields[name] = choice
            case 2:
                fields[name] = _shape(numbers, depth + 1)
            case _:
                fields[name] = [_shape(numbers, depth + 1) for _ in range(next(numbers, 0) % 4)]
    return fields


def fuzz_encrypted(data: bytes) -> None:
    """Any text is refused, or was encrypted under the key: there is no third."""
    text = data.decode("latin-1")
    try:
        message = CallbackCipher(KEY, APPID).decrypt(text)
    except CipherError:
        return
    if message != _read(_decrypted(base64.b64decode(text))):
        raise Broken("another message than the one that was encrypted")


def fuzz_plain(data: bytes) -> None:
    """Under the encryption, the padding, the length and the appid are believed where they fit.

    The first three bytes decide how well they do.
    """
    padding, claimed, kept = (*data[:3], 0, 128, 0)[:3]
    appid, end = APPID.encode()[: len(APPID) - kept % 8], bytes([padding]) * padding
    message = bytes(-(len(data[3:]) + len(appid) + len(end) + _START) % 16) + data[3:]
    length = max(0, len(message) + claimed - 128)
    padded = (_HEAD if kept < 128 else b"") + length.to_bytes(4) + message + appid + end
    padded = padded or bytes(16)
    encryptor = _cipher().encryptor()
    encrypted = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
    try:
        found: bytes | None = CallbackCipher(KEY, APPID).decrypt(encrypted)
    except CipherError:
        found = None
    if found != _read(padded):
        raise Broken("the length, the padding or the appid were read otherwise")


def fuzz_signed(data: bytes) -> None:
    """A message that is signed and encrypted comes out as it went in, or is refused for its own form."""
    encrypted = CallbackCipher(KEY, APPID).encrypt(data, _HEAD)
    request = CallbackRequest(_query(sign(TOKEN, _TIMESTAMP, "1", encrypted)), _envelope(encrypted))
    if _outcome(lambda: _door().open("shop", request)) != _outcome(lambda: parse_fields(data)):
        raise Broken("the door read a message otherwise")


def fuzz_stranger(data: bytes) -> None:
    """Nobody without the token gets in, though the body is encrypted and the other signature right."""
    given, _, message = data.partition(b"\0")
    encrypted = CallbackCipher(KEY, APPID).encrypt(message, _HEAD)
    request = CallbackRequest(_query(given.decode("latin-1")), _envelope(encrypted))
    try:
        _door().open("shop", request)
    except Refused:
        return
    raise Broken("a stranger's callback was believed")


def fuzz(data: bytes) -> None:
    """Give the bytes to the target that the first one names."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


TARGETS: Final = (fuzz_body, fuzz_shaped, fuzz_encrypted, fuzz_plain, fuzz_signed, fuzz_stranger)


def _outcome(read: Callable[[], Mapping[str, Any] | None]) -> object:
    try:
        return read()
    except CallbackBodyError as error:
        return str(error)


class _Key(NamedTuple):
    token: str
    encoding_aes_key: str | None


class _Keys(NamedTuple):
    app_id: str
    mode: str
    keys: tuple[_Key, ...]
    release_test: bool

    def merchant(self, app_id: str) -> str:
        return app_id


class _Store:
    def read(self, account: str, *, newer: bool = False) -> _Keys:  # noqa: ARG002 - the protocol's
        return _Keys(APPID, "secure", (_Key(TOKEN, KEY),), release_test=False)


def _door() -> CallbackDoor:
    return CallbackDoor(_Store(), now=lambda: float(_TIMESTAMP))


def _query(msg_signature: str) -> dict[str, str]:
    return {
        "timestamp": _TIMESTAMP,
        "nonce": "1",
        # Of the server check: it is good for any body.
        "signature": sign(TOKEN, _TIMESTAMP, "1"),
        "msg_signature": msg_signature,
    }


def _envelope(encrypted: str) -> bytes:
    return f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()


def _read(padded: bytes) -> bytes | None:
    """The message in a plain text as WeChat describes it; None where it is no such text."""
    count = padded[-1] if padded else 0
    if not 0 < count <= 32 or len(padded) < count or set(padded[-count:]) != {count}:
        return None
    plain = padded[:-count]
    size = int.from_bytes(plain[16:20])
    message, appid = plain[20 : 20 + size], plain[20 + size :]
    fits = len(plain) >= 20 and len(message) == size and appid == APPID.encode()
    return message if fits else None


def _decrypted(data: bytes) -> bytes:
    decryptor = _cipher().decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _cipher() -> Cipher[CBC]:
    key = base64.b64decode(KEY + "=")
    return Cipher(AES(key), CBC(key[:16]))
