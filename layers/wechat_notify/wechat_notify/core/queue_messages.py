"""Messages to put on an SQS queue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class DelayedMessage(NamedTuple):
    """A message for a queue that shows it after so many seconds, 900 (SQS's limit) at most.

    ``group`` is whose it is: nobody's backlog stands before another group's messages.
    """

    body: str
    delay_seconds: int
    group: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})
