from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_DEDUPLICATED = 600  # seconds in which client_msg_id holds a repeat back
_REMEMBERED = 200_000


class ClientMsgId(NamedTuple):
    """The key under which a repeat is held back."""

    app_id: str
    touser: str
    value: str


class ClientMsgIds:
    """The messages of the last 10 minutes that came with a ``client_msg_id``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sent: OrderedDict[ClientMsgId, tuple[float, int]] = OrderedDict()

    def msgid_of(self, key: ClientMsgId) -> int | None:
        """The msgid of the message that was sent under this key, if there was one."""
        while self._sent:
            oldest, (at, _) = next(iter(self._sent.items()))
            if self._clock() - at < _DEDUPLICATED and len(self._sent) < _REMEMBERED:
                break
            del self._sent[oldest]
        return self._sent[key][1] if key in self._sent else None

    def remember(self, key: ClientMsgId, msgid: int) -> None:
        """Keep the msgid of a message that was sent."""
        self._sent[key] = (self._clock(), msgid)
