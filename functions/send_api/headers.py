"""The headers that belong to messages; names are in lower case."""

from __future__ import annotations

from collections.abc import Mapping

from wechat_notify.core.errors import IdempotencyKeyError
from wechat_notify.core.messages.identifiers import is_message_id


def prefers_async(headers: Mapping[str, str]) -> bool:
    """Return whether ``Prefer`` (RFC 7240) asks for ``respond-async``."""
    return any(
        preference.partition(";")[0].strip().lower() == "respond-async"
        for preference in headers.get("prefer", "").split(",")
    )


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The caller's own id for the message, None without one; raises ``IdempotencyKeyError``."""
    given = headers.get("idempotency-key")
    # API Gateway joins a header that was given twice with a comma: which of the two would it be?
    if given is not None and ("," in given or not is_message_id(given)):
        raise IdempotencyKeyError
    return given
