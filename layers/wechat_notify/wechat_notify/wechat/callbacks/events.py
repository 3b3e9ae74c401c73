"""The events that the fields of a callback tell.

In JSON a list with one item is that item, and numbers are texts or numbers, by the age of the event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wechat_notify.core.callbacks.events import (
    AuthorizationChange,
    CallbackBodyError,
    CallbackEvent,
    ConsentChange,
    OtherEvent,
    PersonLeft,
    Receipt,
    Ticket,
)

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MSGID: Final = re.compile(r"[0-9]{1,20}")
_OPENID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_REASON: Final = 64


def events_of(fields: Mapping[str, Any]) -> Sequence[CallbackEvent]:
    """The events that fields tell: one for each item of a list.

    Raises
    ------
    CallbackBodyError
        If a known event lacks what it must have. An unknown one is an `OtherEvent`.
    """
    if "InfoType" in fields:
        return [_of_component(fields)]
    if _text(fields, "MsgType") != "event":
        return [OtherEvent(f"message_{_safe(_text(fields, 'MsgType'))}")]
    name = _text(fields, "Event")
    if read_item := _OF_LISTS.get(name):
        openid, at = _openid(fields, "FromUserName"), _time(fields)
        return [read_item(item, openid, at) for item in _items(fields)]
    read = _EVENTS.get(name)
    return [read(fields) if read else OtherEvent(_safe(name))]


def _template_receipt(fields: Mapping[str, Any]) -> Receipt:
    status = " ".join(_required(fields, "Status").replace(":", ": ").split())
    delivered = status == "success"
    return Receipt(
        msgid=_msgid(fields),
        openid=_openid(fields, "FromUserName"),
        delivered=delivered,
        reason=None if delivered else _reason(status.removeprefix("failed:").strip()),
        at=_time(fields),
    )


def _subscription_receipt(item: Mapping[str, Any], openid: str, at: int) -> Receipt:
    code = _required(item, "ErrorCode")
    delivered = code == "0"
    return Receipt(
        msgid=_msgid(item),
        openid=openid,
        delivered=delivered,
        reason=None if delivered else _reason(_text(item, "ErrorStatus") or code),
        at=at,
        template_id=_text(item, "TemplateId") or None,
    )


def _answer(item: Mapping[str, Any], openid: str, at: int) -> CallbackEvent:
    return _consent(item, openid, at, asked=True)


def _setting(item: Mapping[str, Any], openid: str, at: int) -> CallbackEvent:
    return _consent(item, openid, at, asked=False)


def _consent(item: Mapping[str, Any], openid: str, at: int, *, asked: bool) -> CallbackEvent:
    decision, template_id = _text(item, "SubscribeStatusString"), _text(item, "TemplateId")
    if not decision or not template_id:
        raise CallbackBodyError("a subscription event lacks its template or its decision")
    if decision not in {"accept", "reject"}:  # the other templates of the popup are to be heard
        return OtherEvent(f"decision_{_safe(decision)}")
    return ConsentChange(openid, template_id, accepted=decision == "accept", asked=asked, at=at)


def _unsubscription(fields: Mapping[str, Any]) -> PersonLeft:
    return PersonLeft(_openid(fields, "FromUserName"), erase=False, at=_time(fields))


def _revocation(fields: Mapping[str, Any]) -> PersonLeft:
    return PersonLeft(_openid(fields, "OpenID"), erase=True, at=_time(fields))


_EVENTS: Final[Mapping[str, Callable[[Mapping[str, Any]], CallbackEvent]]] = {
    "TEMPLATESENDJOBFINISH": _template_receipt,
    "unsubscribe": _unsubscription,
    "user_authorization_revoke": _revocation,
    "user_authorization_cancellation": _revocation,
}
_OF_LISTS: Final[Mapping[str, Callable[[Mapping[str, Any], str, int], CallbackEvent]]] = {
    "subscribe_msg_popup_event": _answer,
    "subscribe_msg_change_event": _setting,
    "subscribe_msg_sent_event": _subscription_receipt,
}


def _items(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of the list, at the top or in a wrapper of any name: change events come in a popup's too."""
    holders = [fields, *(value for value in fields.values() if isinstance(value, dict))]
    found = next((holder["List"] for holder in holders if "List" in holder), None)
    listed = found if isinstance(found, list) else [found]
    items = [item for item in listed if isinstance(item, dict)]
    if not items or len(items) < len(listed):
        raise CallbackBodyError("a subscription event lacks its list")
    return items


def _of_component(fields: Mapping[str, Any]) -> CallbackEvent:
    name, appid = _text(fields, "InfoType"), _text(fields, "AppId")
    if name == "component_verify_ticket":
        return Ticket(appid, _required(fields, "ComponentVerifyTicket"), _time(fields))
    if name in {"authorized", "updateauthorized", "unauthorized"}:
        authorized = name != "unauthorized"
        return AuthorizationChange(
            appid,
            _required(fields, "AuthorizerAppid"),
            authorized=authorized,
            code=_required(fields, "AuthorizationCode") if authorized else None,
            at=_time(fields),
        )
    return OtherEvent(_safe(name))


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise CallbackBodyError(f"{name} is no text")
    return str(value).strip()


def _required(fields: Mapping[str, Any], name: str) -> str:
    if not (value := _text(fields, name)):
        raise CallbackBodyError(f"{name} is missing")
    return value


def _openid(fields: Mapping[str, Any], name: str) -> str:
    if not _OPENID.fullmatch(value := _text(fields, name)):
        raise CallbackBodyError(f"{name} is no openid")
    return value


def _msgid(fields: Mapping[str, Any]) -> str:
    if not _MSGID.fullmatch(value := _text(fields, "MsgID")):
        raise CallbackBodyError("MsgID is no number")
    return str(int(value))


def _time(fields: Mapping[str, Any]) -> int:
    if not re.fullmatch(r"[0-9]{1,11}", value := _text(fields, "CreateTime")):
        raise CallbackBodyError("CreateTime is no time")
    return int(value)


def _reason(text: str) -> str:
    """WeChat's text, such as ``user block``: cut, and without what a log or a table would obey."""
    return "".join(c for c in text if c.isprintable())[:_MAX_REASON] or "failed"


def _safe(name: str) -> str:
    """A name that can be logged: a made-up one is not."""
    return name.lower() if _NAME.fullmatch(name) else "unknown"
