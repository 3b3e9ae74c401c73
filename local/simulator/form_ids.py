"""Form ids: the permissions of messages of ``wxopen/template/send``."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from local.simulator import errcodes
from local.simulator.errcodes import Refusal

_LIFE = 7 * 86_400
_PREPAY_ID = re.compile(r"wx[0-9]{14}|prepay")
_PREPAY_USES = 3
_REMEMBERED = 200_000


@dataclass(slots=True)
class FormId:
    """A form id: one message, or three when it is the prepay_id of a payment, to one user, for 7 days."""

    left: int
    openid: str | None = None
    expires_at: float = float("inf")


class FormIds:
    """The form ids of all apps. An app that has registered none takes any."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], FormId] = OrderedDict()
        self._registering: set[str] = set()

    def register(self, app_id: str, value: str, openid: str | None, age: float) -> FormId:
        """Register a form id that a user's form or payment gave ``age`` seconds ago."""
        self._registering.add(app_id)
        return self._remember(app_id, value, openid, age)

    def usable(self, app_id: str, value: object, openid: str) -> FormId:
        """The form id of a message to a user, or the reason why it has none."""
        # The developer tools hand out mock ids, which never work.
        if not isinstance(value, str) or not value or "mock" in value:
            raise Refusal(errcodes.INVALID_FORM_ID)
        form_id = self._known.get((app_id, value))
        if form_id is None:
            if app_id in self._registering:
                raise Refusal(errcodes.INVALID_FORM_ID)
            form_id = self._remember(app_id, value)
        if form_id.left <= 0:
            raise Refusal(errcodes.FORM_ID_USED)
        if self._clock() >= form_id.expires_at or form_id.openid not in (None, openid):
            raise Refusal(errcodes.INVALID_FORM_ID)
        return form_id

    def _remember(self, app_id: str, value: str, openid: str | None = None, age: float = 0) -> FormId:
        uses = _PREPAY_USES if _PREPAY_ID.match(value) else 1
        form_id = self._known[app_id, value] = FormId(uses, openid, self._clock() - age + _LIFE)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return form_id
