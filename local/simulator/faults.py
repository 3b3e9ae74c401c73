"""Faults that are planted to see how a client takes them."""

import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

Effect = Literal["errcode", "status", "timeout", "reset", "truncated", "html", "redirect", "drip"]
When = Literal["before", "after"]

EFFECTS: tuple[Effect, ...] = (
    "errcode",
    "status",
    "timeout",
    "reset",
    "truncated",
    "html",
    "redirect",
    "drip",
)


@dataclass(slots=True)
class Fault:
    """Something that goes wrong with an answer.

    Attributes
    ----------
    effect
        ``errcode`` answers with ``errcode`` and ``errmsg``; ``status`` with an HTTP error page; ``html``
        with a page and status 200; ``redirect`` with ``status`` and ``location``; ``truncated`` sends half
        of the announced body; ``drip`` sends the answer byte by byte over ``seconds``; ``timeout`` closes
        the connection after ``seconds`` of silence; ``reset`` resets it.
    when
        ``before``: WeChat never looked at the call. ``after``: the call had its full effect (a message
        was accepted, if it could be) and only the answer suffers.
    path
        The endpoint, or a prefix that ends in ``*``.
    count
        How many more times it strikes, ``None`` for no end.
    probability
        How likely it strikes a call that it could strike.
    """

    effect: Effect
    when: When = "before"
    path: str = "*"
    count: int | None = None
    probability: float = 1.0
    errcode: int = -1
    errmsg: str | None = None
    status: int = 500
    seconds: float = 30.0
    location: str = "/_sim/redirected"

    @property
    def label(self) -> str:
        """Its short name in the list of messages."""
        return f"{self.effect} {self.when}"

    def concerns(self, path: str) -> bool:
        """Whether it is meant for an endpoint."""
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


class Faults:
    """The planted faults, the oldest first. Not thread-safe: its owner holds a lock."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._planted: list[Fault] = []

    def plant(self, fault: Fault) -> None:
        """Add a fault behind those already there."""
        self._planted.append(fault)

    def clear(self) -> int:
        """Remove all; returns how many there were."""
        count = len(self._planted)
        self._planted.clear()
        return count

    def listed(self) -> list[dict[str, Any]]:
        """Those that can still strike."""
        return [asdict(fault) for fault in self._planted]

    def strike(self, path: str) -> Fault | None:
        """The first fault that strikes a call to an endpoint."""
        for fault in self._planted:
            if not fault.concerns(path) or self._rng.random() >= fault.probability:
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._planted.remove(fault)
            return fault
        return None


# A receiver of this name brings the fault about by hand; "-after" behind it lets the message be accepted.
_BY_NAME: dict[str, Effect] = {
    "fault-timeout": "timeout",
    "fault-reset": "reset",
    "fault-html": "html",
    "fault-truncated": "truncated",
    "fault-redirect": "redirect",
    "fault-drip": "drip",
}


def named(touser: str, seconds: float) -> Fault | None:
    """The fault that a receiver's openid asks for, such as ``fault-timeout`` or ``fault-503-after``."""
    name = touser.removesuffix("-after")
    when: When = "before" if name == touser else "after"
    if name in _BY_NAME:
        effect = _BY_NAME[name]
        return Fault(effect, when, status=302 if effect == "redirect" else 500, seconds=seconds)
    status = name.removeprefix("fault-")
    if status != name and status.isascii() and status.isdigit() and 400 <= int(status) <= 599:  # noqa: PLR2004 - HTTP's error range
        return Fault("status", when, status=int(status))
    return None
