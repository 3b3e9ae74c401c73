"""The checks that a callback passes before its fields are believed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from wechat_notify.core.callbacks.events import CallbackBodyError
from wechat_notify.core.errors import UnusableKeysError
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.wechat.callbacks import replies
from wechat_notify.wechat.callbacks.bodies import parse_fields
from wechat_notify.wechat.callbacks.cipher import CallbackCipher, CipherError
from wechat_notify.wechat.callbacks.signature import is_signed, signature

T = TypeVar("T")

MAX_AGE: Final = 300.0
"""Seconds by which a callback's time may differ from ours."""
_REMEMBERED: Final = 20_000
"""Callbacks that are known again. One that another process has seen is put on the queue a second time, and
changes nothing there."""


class Key(Protocol):
    """One pair of keys."""

    @property
    def token(self) -> str:
        """The token that signs."""

    @property
    def encoding_aes_key(self) -> str | None:
        """The key that encrypts; None in plain mode."""


class Keys(Protocol):
    """The keys of an account, the newest first."""

    @property
    def app_id(self) -> str:
        """The appid that stands in what is encrypted."""

    @property
    def mode(self) -> str:
        """``plain``, ``compatible`` or ``secure``."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The pairs that are accepted."""

    @property
    def release_test(self) -> bool:
        """WeChat examines the platform: its test messages are answered."""

    def merchant(self, app_id: str) -> str:
        """The name of a merchant's account."""


class KeyStore(Protocol):
    """Reads keys; raises ``StorageError``, ``UnusableKeysError``."""

    def read(self, account: str, *, newer: bool = False) -> Keys | None:
        """The keys of an account; ``newer`` asks for what was stored a moment ago."""


class Refused(Exception):  # noqa: N818 - the answer to a stranger, no failure
    """The request is not WeChat's, as far as can be told; ``reason`` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallbackRequest(NamedTuple):
    """One request: the parameters of its query, and its body."""

    query: Mapping[str, str]
    body: bytes = b""

    def parameter(self, name: str) -> str:
        """A parameter; empty where it is absent."""
        return self.query.get(name, "")


class CallbackDoor:
    """Lets WeChat's callbacks in.

    Parameters
    ----------
    store
        The accounts' keys.
    now
        Seconds since 1970.
    """

    def __init__(self, store: KeyStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._seen: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def check(self, account: str, request: CallbackRequest) -> str:
        """The answer to WeChat's question whether the address is ours; raises `Refused`, ``StorageError``."""
        self._first_that_fits(account, lambda keys: self._check_signature(keys, request, "signature", None))
        return request.parameter("echostr")

    def open(
        self, account: str, request: CallbackRequest, *, for_platform: bool = False
    ) -> dict[str, Any] | None:
        """The fields of a callback; None of one that was remembered.

        What comes for a third-party platform speaks for other accounts. WeChat encrypts it, and in plain
        mode, where nothing signs the body, it is not believed.

        Raises
        ------
        Refused
            If it is not signed by one of the account's keys, is too old, or is encrypted for somebody else.
        CallbackBodyError
            If it is WeChat's, and no event can be read from it.
        StorageError
            If the keys cannot be read.
        """
        fields = self._first_that_fits(
            account, lambda keys: self._fields(keys, request, for_platform=for_platform)
        )
        return None if _mark(account, request) in self._seen else fields

    def remember(self, account: str, request: CallbackRequest) -> None:
        """Know a callback again, now that its events are safe."""
        self._seen[_mark(account, request)] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def seal(self, account: str, message: bytes, timestamp: str, nonce: str) -> bytes:
        """An answer, encrypted and signed by the newest key (XML)."""
        keys = self.keys(account)
        key = keys.keys[0]
        assert key.encoding_aes_key is not None  # noqa: S101 # nosec B101 # as below
        encrypted = CallbackCipher(key.encoding_aes_key, keys.app_id).encrypt(message)
        return replies.sealed(encrypted, signature(key.token, timestamp, nonce, encrypted), timestamp, nonce)

    def _fields(self, keys: Keys, request: CallbackRequest, *, for_platform: bool) -> dict[str, Any]:
        if keys.mode != "plain":
            return self._decrypted(keys, request)
        self._check_signature(keys, request, "signature", None)
        fields = parse_fields(request.body)
        if "Encrypt" in fields and not {"MsgType", "InfoType"} & fields.keys():
            raise Refused("encrypted")
        if for_platform or "InfoType" in fields:
            raise Refused("not_encrypted")
        return fields

    def _decrypted(self, keys: Keys, request: CallbackRequest) -> dict[str, Any]:
        # In compatible mode the plain fields stand beside the encrypted part, and nothing signs them.
        try:
            encrypted = parse_fields(request.body).get("Encrypt")
        except CallbackBodyError:
            raise Refused("body") from None
        if not isinstance(encrypted, str) or not encrypted:
            raise Refused("not_encrypted")
        self._check_signature(keys, request, "msg_signature", encrypted)
        # Of any pair: while they are changed, the token may be the new one, and the EncodingAESKey the old.
        for key in keys.keys:
            assert key.encoding_aes_key is not None  # noqa: S101 # nosec B101 # the parameter's model holds it
            with suppress(CipherError):
                return parse_fields(CallbackCipher(key.encoding_aes_key, keys.app_id).decrypt(encrypted))
        raise Refused("cipher")

    def _check_signature(
        self, keys: Keys, request: CallbackRequest, name: str, encrypted: str | None
    ) -> None:
        """Raise `Refused` where the request is too old, or none of the tokens has signed it."""
        timestamp, nonce, given = (request.parameter(each) for each in ("timestamp", "nonce", name))
        if not (
            timestamp.isascii() and timestamp.isdigit() and abs(int(timestamp[:15]) - self._now()) <= MAX_AGE
        ):
            raise Refused("timestamp")
        if not any(is_signed(given, key.token, timestamp, nonce, encrypted) for key in keys.keys):
            raise Refused("signature")

    def _first_that_fits(self, account: str, read: Callable[[Keys], T]) -> T:
        """The value read under the account's keys, or else under those that were stored since.

        Raises `Refused` where neither fits.
        """
        keys = self.keys(account)
        try:
            return read(keys)
        except Refused:
            newer = self._read(account, newer=True)
            if newer is None or newer == keys:
                raise
        return read(newer)

    def keys(self, account: str) -> Keys:
        """The keys of an account; raises `Refused`, ``StorageError``."""
        keys = self._read(account) if is_account_name(account) else None
        if keys is None:
            raise Refused("unknown_account")
        return keys

    def _read(self, account: str, *, newer: bool = False) -> Keys | None:
        try:
            return self._store.read(account, newer=newer)
        except UnusableKeysError as error:
            raise Refused(error.reason) from None


def _mark(account: str, request: CallbackRequest) -> tuple[str, ...]:
    # Not both signatures: beside the one of the body, the other is not looked at.
    signature = request.parameter("msg_signature") or request.parameter("signature")
    return (account, request.parameter("timestamp"), request.parameter("nonce"), signature)
