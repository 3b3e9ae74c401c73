"""What people let an account send them: how many messages of a template are left."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple


class Consent(NamedTuple):
    """What a consent is about; ``scene`` is that of a one-time subscription, else ``None``."""

    app_id: str
    openid: str
    template_id: str
    scene: str | None = None


class Consents:
    """The messages that are left of each consent. Not thread-safe: its owner holds a lock.

    Where nothing was set, given or withdrawn, nothing is known, and the account decides whether it may send.
    """

    def __init__(self) -> None:
        self._left: dict[Consent, float] = {}

    def set(self, consent: Consent, count: int | None) -> None:
        """Let so many messages be sent; ``None``: any number."""
        self._left[consent] = math.inf if count is None else count

    def confirm(self, consent: Consent) -> None:
        """A person confirms a one-time subscription: one message, as often as they do."""
        self._left[consent] = max(self._left.get(consent, 0), 1)

    def accept(self, consent: Consent, *, lasting: bool) -> None:
        """A person accepts a template in a popup: one message more, or any where it lasts."""
        self._left[consent] = math.inf if lasting else self._left.get(consent, 0) + 1

    def withdraw(self, app_id: str, openid: str, template_id: str | None = None) -> None:
        """A person refuses a template from now on, or all that they had agreed to."""
        if template_id is not None:
            self._left[Consent(app_id, openid, template_id)] = 0
        for consent in self._left:
            if (consent.app_id, consent.openid) == (app_id, openid) and template_id in (
                None,
                consent.template_id,
            ):
                self._left[consent] = 0

    def left(self, consent: Consent) -> float | None:
        """The messages that are left, infinite for any number; ``None`` where nothing is known."""
        return self._left.get(consent)

    def use(self, consent: Consent) -> None:
        """A message went out."""
        self._left[consent] -= 1

    def listed(self, app_id: str, openid: str | None) -> Iterator[dict[str, Any]]:
        """Those of an account, or of one person there."""
        for consent, left in self._left.items():
            if consent.app_id == app_id and openid in (None, consent.openid):
                yield {
                    "openid": consent.openid,
                    "template_id": consent.template_id,
                    "scene": consent.scene,
                    "credits": None if left == math.inf else int(left),
                }
