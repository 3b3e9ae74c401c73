"""The differences where the receiver of callbacks is a third-party platform.

Its merchants' messages come to an address that ends with the merchant's appid, encrypted with the
platform's keys.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from wechat_notify.bootstrap import callbacks
from wechat_notify.core.callbacks.events import AuthorizationChange, CallbackBodyError, CallbackEvent, Ticket
from wechat_notify.core.messages.identifiers import APP_ID, is_account_name
from wechat_notify.wechat.callbacks.door import CallbackRequest
from wechat_notify.wechat.callbacks.replies import text_reply

_TEXT: Final = "TESTCOMPONENT_MSG_TYPE_TEXT"
_QUERY: Final = "QUERY_AUTH_CODE:"


def queued(
    account: str, app_id: str | None, fields: Mapping[str, Any], event: CallbackEvent
) -> dict[str, Any]:
    """The body for the queue.

    Parameters
    ----------
    account
        The account in the path: the platform's, where it is one.
    app_id
        The merchant's appid in the path.
    fields, event
        What the callback says, and the first event that it tells.

    Raises
    ------
    CallbackBodyError
        The event is another platform's, or no account can have the merchant's name; at a merchant's address,
        it is about the platform, or the account in the path is no platform: its keys are good for no other
        account.
    StorageError
        It is not known whether the account is a platform.
    """
    if app_id is not None:
        if isinstance(event, Ticket | AuthorizationChange):
            raise CallbackBodyError("the platform's events have another address")
        if not callbacks.keys().is_platform(account):
            raise CallbackBodyError("the account is no third-party platform")
        return {"account": _merchant(account, app_id), "fields": fields}
    if isinstance(event, Ticket | AuthorizationChange):
        if event.component_appid != callbacks.door().keys(account).app_id:
            raise CallbackBodyError("the event is another platform's")
        if isinstance(event, AuthorizationChange):
            merchant = _merchant(account, event.authorizer_appid)
            return {"account": account, "fields": fields, "merchant": merchant}
    return {"account": account, "fields": fields}


def _merchant(component: str, app_id: str) -> str:
    name = callbacks.door().keys(component).merchant(app_id)
    if not re.fullmatch(APP_ID, app_id) or not is_account_name(name):
        raise CallbackBodyError("the merchant's appid is none")
    return name


def release_test(
    component: str, app_id: str, fields: Mapping[str, Any], request: CallbackRequest
) -> tuple[bytes, dict[str, Any] | None] | None:
    """The answer to a message of WeChat's release test, and what is to be done for it; None of any other.

    The test sends two texts. The answer to one is a text. The other wants no answer, and a message from the
    merchant whose authorization code it carries. Raises ``CallbackBodyError`` as ``queued`` does.
    """
    if not callbacks.door().keys(component).release_test or fields.get("MsgType") != "text":
        return None
    content = str(fields.get("Content", "")).strip()
    if content == _TEXT:
        reply = text_reply(fields, f"{_TEXT}_callback", int(time.time()))
        timestamp, nonce = request.parameter("timestamp"), request.parameter("nonce")
        return callbacks.door().seal(component, reply, timestamp, nonce), None
    if content.startswith(_QUERY):
        asked = {
            "account": _merchant(component, app_id),
            "code": content.removeprefix(_QUERY),
            "openid": str(fields.get("FromUserName", "")),
        }
        return b"", {"account": component, "fields": {}, "release_test": asked}
    return None
