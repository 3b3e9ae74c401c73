"""Parsing of request headers; names are in lower case, as API Gateway writes them."""

from __future__ import annotations

from collections.abc import Mapping

from wechat_notify.core.errors import IdempotencyKeyError
from wechat_notify.core.messages.identifiers import is_message_id


def is_json(headers: Mapping[str, str]) -> bool:
    """Return whether the body may be read as JSON; a request that does not say is taken at its word."""
    media_type, *parameters = headers.get("content-type", "application/json").lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    charsets = [value.strip(' "') for key, _, value in pairs if key.strip() == "charset"]
    is_utf8 = all(charset in {"utf-8", "utf8"} for charset in charsets)
    return is_utf8 and (media_type.strip() == "application/json" or media_type.strip().endswith("+json"))


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
