"""One third-party platform, its merchants, WeChat and the store, on a fake clock."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes import Clock
from tests.fakes.platform import APP_ID, FakePlatform, FakePlatformStore, Steps
from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.platform.authorizations import Authorizations
from wechat_notify.core.platform.ports import Component, Merchant
from wechat_notify.core.platform.sources import ComponentCalls, ComponentTokens, MerchantTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, Account

PLATFORM = Component("platform", APP_ID, "secret")
SHOP = "wxshop"


class World:
    """``authorize`` and ``refresh`` are what the events and the schedule cause.

    ``restart`` is another process over the same store.
    """

    def __init__(self, steps: Steps | None = None) -> None:
        self.clock = Clock()
        self.steps = steps or Steps()
        self.wechat = FakePlatform(self.steps)
        self.store = FakePlatformStore(self.steps, components={"platform": PLATFORM})
        self.tokens: dict[str, AccessToken] = {}
        self.saves: list[str] = []
        self.failing: set[str] = set()
        self.policy: str | None = None
        self.platform = PLATFORM
        self.push_ticket()
        self.restart()

    def restart(self) -> None:
        self.refresher = TokenRefresher(self, now=self.clock.now)
        self._calls = ComponentCalls(self.store, self.refresher)
        self.authorizations = Authorizations(self.store, self, self.wechat, self._calls, now=self.clock.now)

    def push_ticket(self) -> None:
        at = int(self.clock.now())
        self.store.tickets["platform"] = Ticket(APP_ID, f"ticket-{at}", at)

    def authorize(self, code: str = "code", at: int = 100, account: str = SHOP, app_id: str = SHOP) -> str:
        return self.authorizations.authorize("platform", account, app_id, code, at).value

    def works(self, account: str = SHOP) -> bool:
        """Return whether the merchant's stored token is the one that WeChat accepts."""
        return self.tokens[account].value == self.wechat.access_tokens[account]

    # The accounts, as the refresher has them.

    def load(self, account: str) -> Account:
        stored = self.tokens.get(account)
        if account == "platform":
            source = ComponentTokens(self.platform, stored, self.store, self.wechat, now=self.clock.now)
            app_id = self.platform.app_id
            return Account(account, source, stored, sends=False, app_id=app_id, consents=self.policy)
        merchant = self.store.merchants.get(account)
        if merchant is None:
            raise UnknownAccountError(account)
        of_merchant = self._source(merchant, stored)
        return Account(account, of_merchant, stored, app_id=merchant.app_id, consents=self.policy)

    def load_all(self) -> Iterator[Account]:
        for account in ("platform", *self.store.merchants):
            yield self.load(account)

    def save(self, account: str, token: AccessToken, *, sends: bool = True) -> None:
        assert sends is (account != "platform")
        if account in self.failing:
            raise StorageError("store the access token", "ThrottlingException")
        self.saves.append(account)
        self.store.writes.append("access token")
        self.steps.step(lambda: self.tokens.update({account: token}))

    def _source(self, merchant: Merchant, stored: AccessToken | None) -> MerchantTokens:
        return MerchantTokens(merchant, stored, self.store, self.wechat, self._calls, now=self.clock.now)
