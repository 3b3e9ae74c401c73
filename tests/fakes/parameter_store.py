"""The parameter store as the core meets it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import AccessToken, Account, TokenSource


class FakeParameterStore:
    """Both sides of the parameter store: ``AccountStore`` and ``TokenReader``; and ``AccountNames``.

    ``failing`` maps a method's name to AWS's error code, for as long as it stands there; ``broken``
    an account to why its credentials cannot be used; ``consents`` an account to its policy, ``app_ids``
    to its app id.
    """

    def __init__(self) -> None:
        self.sources: dict[str, TokenSource] = {}
        self.broken: dict[str, Bilingual] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.components: set[str] = set()
        self.consents: dict[str, str] = {}
        self.app_ids: dict[str, str] = {}
        self.component_tokens: dict[str, AccessToken] = {}
        self.failing: dict[str, str] = {}
        self.reads: list[str] = []
        self.saves: list[tuple[str, AccessToken]] = []
        self._lock = threading.Lock()

    def read(self, account: str) -> AccessToken | None:
        """The sender's side."""
        with self._lock:
            self.reads.append(account)
            self._fail("read", "read the access token")
            return self.tokens.get(account)

    def load(self, account: str) -> Account:
        if not is_account_name(account):
            raise UnknownAccountError(account)
        with self._lock:
            self._fail("load", "read the account")
            if account not in self.sources and account not in self.broken:
                raise UnknownAccountError(account)
            return self._account(account)

    def load_all(self) -> Iterator[Account]:
        with self._lock:
            self._fail("load_all", "list the accounts")
            accounts = [self._account(name) for name in (*self.sources, *self.broken)]
        yield from accounts

    def with_token(self) -> list[str]:
        with self._lock:
            self._fail("with_token", "list the accounts")
            return list(self.tokens)

    def save(self, account: str, token: AccessToken, *, sends: bool = True) -> None:
        with self._lock:
            self._fail("save", "store the access token")
            self.saves.append((account, token))
            (self.tokens if sends else self.component_tokens)[account] = token

    def _account(self, name: str) -> Account:
        if name in self.broken:
            return Account(name, None, self.tokens.get(name), self.broken[name])
        if name in self.components:
            return Account(name, self.sources[name], self.component_tokens.get(name), sends=False)
        return Account(
            name,
            self.sources[name],
            self.tokens.get(name),
            app_id=self.app_ids.get(name),
            consents=self.consents.get(name),
        )

    def _fail(self, method: str, action: str) -> None:
        if method in self.failing:
            raise StorageError(action, self.failing[method])
