"""The consents in the ledger's table as the core meets them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from tests.fakes.ledger_store import other_than
from wechat_notify.core.consents.links import ConsentLink
from wechat_notify.core.consents.record import PersonConsents
from wechat_notify.core.errors import StorageError


class FakeConsentStore:
    """A ``ConsentStore``.

    ``calls`` counts the calls by the method's name, those that fail too. ``failing`` maps a method's name to
    AWS's error code, for as long as it stands there; ``before_put`` is called before each put, outside of the
    lock: another one can come in between.
    """

    def __init__(self) -> None:
        self.people: dict[tuple[str, str], PersonConsents] = {}
        self.links: dict[str, ConsentLink] = {}
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, str] = {}
        self.before_put: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def read(self, account: str, openid_hash: str) -> PersonConsents | None:
        self._called("read")
        return self.people.get((account, openid_hash))

    def put(self, consents: PersonConsents) -> PersonConsents | None:
        self._called("put")
        if self.before_put:
            intruder, self.before_put = self.before_put, None
            intruder()
        with self._lock:
            name = (consents.account, consents.openid_hash)
            existing = self.people.get(name)
            if existing is None and consents.version > 1:
                raise StorageError("write the person's consents", "Contended")
            if existing is not None and existing.version != consents.version - 1:
                return other_than(consents, existing)
            self.people[name] = consents
            return None

    def delete(self, account: str, openid_hash: str) -> None:
        self._called("delete")
        self.people.pop((account, openid_hash), None)

    def read_link(self, nonce: str) -> ConsentLink | None:
        self._called("read_link")
        return self.links.get(nonce)

    def put_link(self, link: ConsentLink) -> ConsentLink | None:
        self._called("put_link")
        with self._lock:
            existing = self.links.get(link.nonce)
            if existing is None and link.version > 1:
                raise StorageError("write the confirmation link", "Contended")
            if existing is not None and existing.version != link.version - 1:
                return other_than(link, existing)
            self.links[link.nonce] = link
            return None

    def _called(self, method: str) -> None:
        self.calls[method] += 1
        if method in self.failing:
            raise StorageError(method, self.failing[method])
