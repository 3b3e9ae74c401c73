"""Read headers, path, query and body of a request in API Gateway's payload format 2.0."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from wechat_notify.core.errors import (
    AccountNameError,
    BodyTooLargeError,
    InvalidFieldsError,
    MediaTypeError,
)
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

HttpEvent = Mapping[str, Any]


def headers(event: HttpEvent) -> dict[str, str]:
    """The headers, by their names in lower case."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def account(event: HttpEvent) -> str:
    """The account in the path; raises ``AccountNameError``."""
    name: str = event["pathParameters"]["account"]
    if not is_account_name(name):
        raise AccountNameError
    return name


def flag(event: HttpEvent, name: str) -> bool:
    """A parameter of the query that is ``true`` or ``false``; false where it is absent.

    Raises
    ------
    InvalidFieldsError
        It is something else, or was given twice: API Gateway joins the two with a comma.
    """
    given = (event.get("queryStringParameters") or {}).get(name, "false")
    if given not in ("true", "false"):
        text = Bilingual("must be true or false, once", "只能是 true 或 false，且只能出现一次")
        raise InvalidFieldsError([Violation(name, "choice", text, "true, false", len(given))])
    return bool(given == "true")


def json_body(event: HttpEvent, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body, still to be read as JSON.

    Raises
    ------
    MediaTypeError
        It is said to be something else.
    BodyTooLargeError
        It is larger than ``max_bytes``.
    """
    if not _is_json(headers(event).get("content-type", "application/json")):
        raise MediaTypeError
    content = raw_body(event)
    if len(content) > max_bytes:
        raise BodyTooLargeError(max_bytes)
    return content


def raw_body(event: HttpEvent) -> bytes:
    """The body as it came; what is no UTF-8 is refused where it is read."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")


def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    charsets = [value.strip(' "') for key, _, value in pairs if key.strip() == "charset"]
    is_utf8 = all(charset in {"utf-8", "utf8"} for charset in charsets)
    return is_utf8 and (media_type.strip() == "application/json" or media_type.strip().endswith("+json"))
