"""Foresee the result of sending a message now: everything is read, nothing is written or sent."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.outcomes import Outcome, Status


class Would(StrEnum):
    """Results that a message would have."""

    SEND = "send"
    """It would be sent."""
    HOLD = "hold"
    """It would wait: its account, kind or template is held."""
    REPLAY = "replay"
    """Its id has a result, which would be the answer again."""
    IN_FLIGHT = "in_flight"
    """Another request with its id is being worked on."""
    CONFLICT = "conflict"
    """Its id belongs to another message."""
    EXPIRE = "expire"
    """Its time has passed."""
    REFUSE = "refuse"
    """It would be refused before WeChat is called: a consent or a permission set is missing."""


class Foreseen(NamedTuple):
    """The result that a message would have.

    ``status`` is its id's, ``hold`` is what it would wait for, ``refusal`` says why it would be refused.
    ``lacks_consent``: no unused consent of its receiver is known, where the account's policy asks for one.
    """

    would: Would
    status: Status | None = None
    hold: Circuit | None = None
    refusal: Outcome | None = None
    lacks_consent: bool = False
