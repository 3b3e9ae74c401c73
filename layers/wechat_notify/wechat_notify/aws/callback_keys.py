"""The keys of an account's callbacks, which an operator stores beside its credentials.

``<path>/<account>/callback``
    SecureString, JSON ``{"app_id", "mode", "keys": [{"token", "encoding_aes_key"}, …]}``: the newest keys
    first. While keys are changed at WeChat, the old ones stand behind them. A third-party platform may have
    ``"aliases": {"wx…": "shop"}``, the names of merchants' accounts, and ``"release_test": true`` while
    WeChat examines it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.identifiers import AccountName

RETRY_FOR: Final = 1.0
_KEPT_FOR: Final = 300.0
"""Seconds for which keys are used before they are read again."""
_ASKED_AGAIN_AFTER: Final = 10.0
"""Seconds before a signature under other keys makes them be read again: anybody can send one."""
_MAX_ACCOUNTS: Final = 10_000

_Token = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_EncodingKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{43}$")]


class CallbackKey(BaseModel):
    """One pair of keys; a plain mode has no ``encoding_aes_key``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: Annotated[_Token, Field(repr=False)]
    encoding_aes_key: Annotated[_EncodingKey | None, Field(repr=False)] = None


class CallbackKeys(BaseModel):
    """The keys of an account's callbacks, and its mode at WeChat."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    app_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    mode: Literal["plain", "compatible", "secure"] = "secure"
    keys: Annotated[tuple[CallbackKey, ...], Field(min_length=1, max_length=3)]
    aliases: Mapping[str, AccountName] = {}
    release_test: bool = False

    def merchant(self, app_id: str) -> str:
        """The name of a merchant's account: its alias, or its appid."""
        return self.aliases.get(app_id, app_id.lower())

    @model_validator(mode="after")
    def _keys_of_the_mode(self) -> CallbackKeys:
        if self.mode != "plain" and any(key.encoding_aes_key is None for key in self.keys):
            raise ValueError("encoding_aes_key is missing")
        return self


class StoredCallbackKeys:
    """Reads accounts' callback keys, and keeps them for some minutes."""

    def __init__(self, aws: Clients, path: str, *, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._path = path
        self._clock = clock
        self._known: dict[str, tuple[float, CallbackKeys | None]] = {}

    def read(self, account: str, *, newer: bool = False) -> CallbackKeys | None:
        """The keys of an account; None where it has none, or their parameter cannot be used.

        ``newer`` asks for keys that were stored a moment ago, because those that are known did not fit.
        Raises ``StorageError``.
        """
        now = self._clock()
        read_at, keys = self._known.get(account, (float("-inf"), None))
        if now - read_at < (_ASKED_AGAIN_AFTER if newer or keys is None else _KEPT_FOR):
            return keys
        keys = self._read(account)
        if len(self._known) >= _MAX_ACCOUNTS:
            self._known.clear()
        self._known[account] = (now, keys)
        return keys

    def _read(self, account: str) -> CallbackKeys | None:
        name = f"{self._path}/{account}/callback"
        try:
            value = self._aws.call(
                "read the callback keys",
                lambda: self._aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"],
                retry_for=RETRY_FOR,
            )
            return CallbackKeys.model_validate_json(value)
        except StorageError as error:
            if error.code == "ParameterNotFound":
                return None
            raise
        except ValidationError:
            return None


class CallbackAccounts:
    """Tells which accounts have callback keys, without their values."""

    def __init__(self, aws: Clients, path: str, *, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._path = path
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}

    def has_keys(self, account: str) -> bool:
        """Return whether an account had keys some minutes ago; raises ``StorageError``."""
        now = self._clock()
        read_at, has_keys = self._known.get(account, (float("-inf"), False))
        if now - read_at >= _KEPT_FOR:
            name = f"{self._path}/{account}/callback"
            answer: Any = self._aws.call(
                "look for the callback keys",
                lambda: self._aws.ssm.describe_parameters(
                    ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
                ),
                retry_for=RETRY_FOR,
            )
            has_keys = bool(answer["Parameters"])
            self._known[account] = now, has_keys
        return has_keys
