"""The keys of an account's callbacks, which an operator stores beside its credentials.

``<path>/<account>/callback``
    SecureString, JSON ``{"app_id", "mode", "keys": [{"token", "encoding_aes_key"}, …]}``: the newest keys
    first. While keys are changed at WeChat, the old ones stand behind them. A third-party platform may have
    ``"aliases": {"wx…": "shop"}``, the names of merchants' accounts, and ``"release_test": true`` while
    WeChat examines it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import COMPONENT_TOKEN, AccountNames
from wechat_notify.core.errors import StorageError, UnusableKeysError
from wechat_notify.core.messages.identifiers import AccountName

RETRY_FOR: Final = 1.0
_KEPT_FOR: Final = 300.0
"""Seconds for which keys are used before they are read again."""
_ASKED_AGAIN_AFTER: Final = 10.0
"""Seconds before a signature under other keys makes them be read again: anybody can send one."""
_LISTED_AGAIN_AFTER: Final = 1.0
"""Seconds before the names are listed again for an account that is not among them. WeChat asks for an
account's address as soon as somebody has entered it, and that is soon after its keys were stored."""
_CALLBACK: Final = "callback"
_MERCHANT: Final = "refresh-token"

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


class CallbackAccounts:
    """Tells which accounts have callback keys, without their values.

    Parameters
    ----------
    clock
        Monotonic seconds.
    merchants
        True takes in merchants, whose events come under the keys of their platform. It has some: without its
        callbacks no ticket comes, and without a ticket no merchant has a refresh token.
    """

    def __init__(
        self, aws: Clients, path: str, *, clock: Callable[[], float], merchants: bool = False
    ) -> None:
        self._names = AccountNames(aws, path)
        self._with_keys = (_CALLBACK, _MERCHANT) if merchants else (_CALLBACK,)
        self._clock = clock
        self._listed_at = float("-inf")
        self._parameters: frozenset[tuple[str, str]] = frozenset()

    def has_keys(self, account: str, *, kept_for: float = _KEPT_FOR) -> bool:
        """Return whether an account had keys at most so many seconds ago; raises ``StorageError``."""
        return self._has(account, self._with_keys, kept_for)

    def is_platform(self, account: str) -> bool:
        """Return whether an account has had the token of a third-party platform; raises ``StorageError``.

        Only token_refresh stores one, and no platform has a merchant before.
        """
        return any(self._has(account, (COMPONENT_TOKEN,), age) for age in (_KEPT_FOR, _LISTED_AGAIN_AFTER))

    def _has(self, account: str, names: Iterable[str], kept_for: float) -> bool:
        now = self._clock()
        if now - self._listed_at >= kept_for:
            wanted = (*self._with_keys, COMPONENT_TOKEN)
            self._parameters = frozenset(self._names.parameters(*wanted, retry_for=RETRY_FOR))
            self._listed_at = now
        return any((account, name) in self._parameters for name in names)


class _Known(NamedTuple):
    """An account's keys: when SSM was asked for them last, and when it answered."""

    asked_at: float = float("-inf")
    read_at: float = float("-inf")
    keys: CallbackKeys | None = None
    is_unusable: bool = False

    def usable(self) -> CallbackKeys | None:
        """The keys; raises ``UnusableKeysError``."""
        if self.is_unusable:
            raise UnusableKeysError
        return self.keys


class StoredCallbackKeys:
    """Reads accounts' callback keys, and keeps them for some minutes.

    An account whose keys are not known is looked for among the names of those that have some. Strangers can
    name as many as they like, and the AWS account has 40 ``GetParameter`` a second for all its programs: the
    senders, which read tokens, would go without.
    https://docs.aws.amazon.com/general/latest/gr/ssm.html
    """

    def __init__(self, aws: Clients, path: str, *, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._path = path
        self._clock = clock
        self._accounts = CallbackAccounts(aws, path, clock=clock)
        self._known: dict[str, _Known] = {}
        self._platforms: set[str] = set()

    def is_platform(self, account: str) -> bool:
        """Return whether an account is a platform that has had a token; raises ``StorageError``."""
        if account not in self._platforms and self._accounts.is_platform(account):
            self._platforms.add(account)
        return account in self._platforms

    def read(self, account: str, *, newer: bool = False) -> CallbackKeys | None:
        """The keys of an account; None where it has none.

        ``newer`` asks for keys that were stored a moment ago, because those that are known did not fit.
        Those that are known stay in use while SSM does not answer. Raises ``StorageError``, and
        ``UnusableKeysError`` where the parameter cannot be used.
        """
        now = self._clock()
        known = self._known.get(account, _Known())
        is_fresh = known.keys is not None and not newer and now - known.read_at < _KEPT_FOR
        if is_fresh or now - known.asked_at < _ASKED_AGAIN_AFTER:
            return known.usable()
        if known.keys is None and not self._accounts.has_keys(account, kept_for=_LISTED_AGAIN_AFTER):
            return None
        try:
            known = _Known(now, now, self._read(account))
        except UnusableKeysError:
            known = _Known(now, now, is_unusable=True)
        except StorageError:
            if known.keys is None:
                raise
            known = known._replace(asked_at=now)
        self._known[account] = known
        return known.usable()

    def _read(self, account: str) -> CallbackKeys | None:
        name = f"{self._path}/{account}/{_CALLBACK}"
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
            raise UnusableKeysError from None
