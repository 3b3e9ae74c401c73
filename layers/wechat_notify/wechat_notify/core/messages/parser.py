"""The message in a decoded JSON body: its kind, checked by that kind's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.messages.field_types import REQUIRED
from wechat_notify.core.messages.keywords import Notes
from wechat_notify.core.messages.kinds import (
    CLOUD_CALL_FIELDS,
    KINDS,
    MAX_CLIENT_MSG_ID,
    MODELS,
    Message,
    MiniProgramTemplate,
    Template,
)
from wechat_notify.core.messages.validation import (
    MAX_VIOLATIONS,
    NOT_AN_OBJECT,
    broken_rule,
    one_of,
    shape,
    violations,
)
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation


def parse_message(body: object, message_id: str | None = None) -> tuple[Message, list[Violation]]:
    """The message that a decoded JSON body is, with the warnings that its fields deserve.

    Parameters
    ----------
    body : object
        The body.
    message_id : str, optional
        The message's id, by which WeChat knows a second copy where the kind has a field for it and the body
        leaves that empty. None where nothing is to be sent.

    Raises
    ------
    InvalidMessageError
        WeChat would refuse it; the error lists every violation.
    """
    if not isinstance(body, dict):
        raise InvalidMessageError([broken_rule(NOT_AN_OBJECT, "", body)])
    kind = body.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidMessageError([broken_rule(one_of(KINDS) if "kind" in body else REQUIRED, "kind", kind)])
    notes = Notes()
    body = _present(body, model, notes.warnings)
    if message_id and model is Template and body.get("client_msg_id") is None:
        body = {**body, "client_msg_id": _client_msg_id(message_id)}
    broken: Sequence[Violation]
    try:
        message = model.model_validate(body, context=notes)
    except ValidationError as error:
        broken = violations(error, model)
    else:
        if isinstance(message, MiniProgramTemplate):
            message._cloud_call = not CLOUD_CALL_FIELDS.isdisjoint(body)  # noqa: SLF001 - same package
        if message_id and len(message.touser) >= _SHORTEST_OPENID and message.touser in message_id:
            notes.warnings.append(_ID_NAMES_RECEIVER)
        return message, notes.warnings[:MAX_VIOLATIONS]
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise InvalidMessageError(broken)


_SHORTEST_OPENID = 20
"""Characters; WeChat's have 28. What tests take for one may be part of an id by chance."""
_ID_NAMES_RECEIVER = Violation(
    "id",
    "names_receiver",
    Bilingual(
        "holds the receiver's openid: ids stand in log lines and events, which cannot be erased",
        "含有收件人的 openid：ID 会写入日志和事件，无法删除",
    ),
)
_GIVEN_EMPTY = Bilingual("was given empty and counts as absent", "为空，按未填写处理")


def _present(
    body: dict[str, Any], model: type[BaseModel], warnings: list[Violation], path: str = ""
) -> dict[str, Any]:
    """The body without the optional fields that are given empty.

    WeChat takes them for absent, and many SDKs send them so: ``""``, and where an object is wanted ``{}``,
    which PHP writes as ``[]``, or one whose fields are empty (``{"appid": "", "pagepath": ""}``).
    """
    optional, nested = shape(model)
    result = body
    for name, value in body.items():
        inner = nested.get(name) if type(value) is dict else None
        if inner:
            blank = all(each in _BLANK for each in value.values())
        else:
            blank = value == "" or (value == [] and name in nested)
        if blank and name in optional:
            warnings.append(Violation(f"{path}{name}", "empty", _GIVEN_EMPTY))
            result = {key: value for key, value in result.items() if key != name}
        elif inner:
            kept = _present(value, inner, warnings, f"{path}{name}.")
            result = result if kept is value else {**result, name: kept}
    return result


_BLANK: tuple[object, ...] = ("", None)


def _client_msg_id(message_id: str) -> str:
    """The id, or a digest of it: 32 ASCII bytes at most."""
    if len(message_id) <= MAX_CLIENT_MSG_ID:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()[:MAX_CLIENT_MSG_ID]
