"""The accounts' callback keys as the door meets them."""

from __future__ import annotations

from wechat_notify.aws.callback_keys import CallbackKey, CallbackKeys
from wechat_notify.core.errors import StorageError, UnusableKeysError


class FakeCallbackKeys:
    """Keys by account, as they were read last and as they are stored; ``failing`` is AWS's error code."""

    def __init__(self) -> None:
        self.read_before: dict[str, CallbackKeys] = {}
        self.stored: dict[str, CallbackKeys] = {}
        self.failing: str | None = None
        self.unusable: set[str] = set()
        self.platforms: set[str] = set()
        self.reads = 0

    def store(self, account: str, app_id: str, *keys: tuple[str, str | None], mode: str = "secure") -> None:
        """Store an account's pairs of token and key, the newest first."""
        given = tuple(CallbackKey(token=token, encoding_aes_key=key) for token, key in keys)
        self.stored[account] = CallbackKeys.model_validate({"app_id": app_id, "mode": mode, "keys": given})

    def is_platform(self, account: str) -> bool:
        return account in self.platforms

    def read(self, account: str, *, newer: bool = False) -> CallbackKeys | None:
        self.reads += 1
        if account in self.unusable:
            raise UnusableKeysError
        if self.failing:
            raise StorageError("read the callback keys", self.failing)
        if newer or account not in self.read_before:
            found = self.stored.get(account)
            if found is not None:
                self.read_before[account] = found
            return found
        return self.read_before[account]
