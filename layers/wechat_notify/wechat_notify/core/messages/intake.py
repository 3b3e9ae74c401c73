"""From bytes to a checked request: the same steps for an HTTP body and for a body of the queue.

::

    bytes ─► strict JSON ─► send request ─► the kind's rules ─► checked request
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wechat_notify.core.messages.envelope import SendRequest, with_options
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.violations import Violation

MAX_BODY_BYTES = 64 * 1024
"""The largest request body. A message is a few hundred bytes; escaped to ASCII the queue's copy may
be three times as long, and must stay below the 256 KiB that SQS took for most of its life."""


class CheckedRequest(NamedTuple):
    """A request whose message keeps the rules of its kind, with the warnings that it deserves."""

    request: SendRequest
    message: Message
    warnings: Sequence[Violation] = ()


def read_http_body(body: bytes, *, account: str, message_id: str) -> SendRequest:
    """Return the request of an HTTP body, which is the message alone; raises ``MalformedBodyError``."""
    return SendRequest(message_id, account, parse_json(body))


def check(request: SendRequest) -> CheckedRequest:
    """Check a request's message, and take over what the message itself asks of this service.

    Raises
    ------
    InvalidMessageError
        WeChat would refuse the message; the error lists every violation.
    """
    message, warnings = parse_message(request.message, request.id)
    return CheckedRequest(with_options(request, message), message, warnings)
