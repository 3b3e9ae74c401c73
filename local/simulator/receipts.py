"""The receipts of accepted messages: who gets them, what they say, and in which of WeChat's forms."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal
from urllib.parse import urlencode
from xml.sax.saxutils import escape  # nosec B406 # it writes XML only

from local.simulator.messages import BIZSEND, SUBSCRIBE_SEND, TEMPLATE_SEND

Mode = Literal["plain", "compatible", "secure"]
Form = Literal["xml", "json", "json_list", "json_wrapped"]

MODES: tuple[Mode, ...] = ("plain", "compatible", "secure")
FORMS: tuple[Form, ...] = ("xml", "json", "json_list", "json_wrapped")
WITH_RECEIPTS = (BIZSEND, SUBSCRIBE_SEND, TEMPLATE_SEND)
_TO_USER_NAME = "gh_000000000000"
# As WeChat writes them: with a blank behind the colon, or without.
FAILURES = {
    "user-block": "failed:user block",
    "system-failed": "failed: system failed",
    "freq-limit": "failed:freq limit",
}
_NAMED = re.compile(r"receipt-(user-block|system-failed|freq-limit|none|late|twice|early|malformed)(-.+)?")


@dataclass(frozen=True, slots=True)
class Callback:
    """The address that an app's events are pushed to.

    Attributes
    ----------
    encoding_aes_key
        43 characters; ``None`` in plain mode.
    form
        Of a mini program's events: ``json`` has a list of one as an object, ``json_list`` as a list,
        ``json_wrapped`` has the list in an object of its own. Official accounts get XML, whatever it is.
    """

    url: str
    token: str
    encoding_aes_key: str | None = None
    mode: Mode = "secure"
    form: Form = "xml"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An event about one message; ``status`` is ``success`` or a text of ``FAILURES``."""

    app_id: str
    openid: str
    path: str
    template_id: str
    msgid: int
    status: str = "success"
    malformed: bool = False


@dataclass(frozen=True, slots=True)
class Push:
    """A receipt on its way.

    Attributes
    ----------
    times
        2: the same request comes again when it was taken.
    when
        ``early``: before the answer to the send; ``late``: after a long while.
    """

    callback: Callback
    receipt: Receipt
    times: int = 1
    when: Literal["early", "soon", "late"] = "soon"


@dataclass(frozen=True, slots=True)
class PushRequest:
    """The request of a push."""

    url: str
    body: bytes
    content_type: str


def push_of(callback: Callback, receipt: Receipt) -> Push | None:
    """The push that a receiver's openid asks for, such as ``receipt-user-block-1``; ``None`` for none."""
    match = _NAMED.fullmatch(receipt.openid)
    order = match[1] if match else ""
    if order == "none":
        return None
    receipt = Receipt(
        receipt.app_id,
        receipt.openid,
        receipt.path,
        receipt.template_id,
        receipt.msgid,
        FAILURES.get(order, receipt.status),
        malformed=order == "malformed",
    )
    when: Literal["early", "soon", "late"] = (
        "early" if order == "early" else "late" if order == "late" else "soon"
    )
    return Push(callback, receipt, times=2 if order == "twice" else 1, when=when)


def request_of(callback: Callback, receipt: Receipt, now: int, rng: Random) -> PushRequest:
    """The request that pushes a receipt, signed and encrypted as the callback's mode has it."""
    is_json = callback.form != "xml" and receipt.path == SUBSCRIBE_SEND
    fields = _fields(receipt, now, callback.form)
    if receipt.malformed:
        fields.pop("FromUserName")
    write = _json if is_json else xml
    timestamp, nonce = str(now), str(rng.randrange(10**8, 10**9))
    query = {
        "signature": sign(callback.token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": receipt.openid,
    }
    if callback.mode == "plain":
        body = write(fields)
    else:
        assert callback.encoding_aes_key is not None  # noqa: S101 # nosec B101 # the control API holds it
        encrypted = encrypt(callback.encoding_aes_key, write(fields), receipt.app_id)
        query |= {
            "encrypt_type": "aes",
            "msg_signature": sign(callback.token, timestamp, nonce, encrypted),
        }
        shown = fields if callback.mode == "compatible" else {"ToUserName": _TO_USER_NAME}
        body = write({**shown, "Encrypt": encrypted})
    content_type = "application/json" if is_json else "text/xml"
    return PushRequest(f"{callback.url}?{urlencode(query)}", body, content_type)


def _fields(receipt: Receipt, now: int, form: Form) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "ToUserName": _TO_USER_NAME,
        "FromUserName": receipt.openid,
        "CreateTime": now,
        "MsgType": "event",
    }
    if receipt.path == TEMPLATE_SEND:
        return {
            **fields,
            "Event": "TEMPLATESENDJOBFINISH",
            "MsgID": receipt.msgid,
            "Status": receipt.status,
        }
    code = "0" if receipt.status == "success" else "1"
    status = receipt.status.removeprefix("failed:").strip()
    item: dict[str, Any] = {
        "TemplateId": receipt.template_id,
        "MsgID": str(receipt.msgid),
        "ErrorCode": code,
        "ErrorStatus": status,
    }
    fields["Event"] = "subscribe_msg_sent_event"
    is_json = form != "xml" and receipt.path == SUBSCRIBE_SEND
    if is_json and form == "json":
        return {**fields, "List": item}
    if is_json and form == "json_list":
        return {**fields, "CreateTime": str(now), "List": [item]}
    numbers = {"MsgID": receipt.msgid, "ErrorCode": int(code)} if is_json else {}
    return {**fields, "SubscribeMsgSentEvent": {"List": [{**item, **numbers}]}}


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def xml(fields: Mapping[str, Any]) -> bytes:
    """A body in WeChat's XML."""
    return f"<xml>{_elements(fields)}</xml>".encode()


def _elements(fields: Mapping[str, Any]) -> str:
    written = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            match each:
                case dict():
                    content = _elements(each)
                case int():
                    content = str(each)
                case _:
                    content = f"<![CDATA[{each}]]>" if "]]>" not in each else escape(each)
            written.append(f"<{name}>{content}</{name}>")
    return "".join(written)


def sign(token: str, *parts: str) -> str:
    """SHA-1 of the token and the parts in sorted order."""
    return hashlib.sha1("".join(sorted([token, *parts])).encode()).hexdigest()  # noqa: S324 # nosec B324 # WeChat's choice


def encrypt(encoding_aes_key: str, message: bytes, app_id: str) -> str:
    """AES-256-CBC: 16 random bytes, the length, the message and the app id, padded to blocks of 32."""
    # The only library that the simulator needs, and only where callbacks are encrypted.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    key = base64.b64decode(f"{encoding_aes_key}=")
    plain = os.urandom(16) + len(message).to_bytes(4, "big") + message + app_id.encode()
    missing = 32 - len(plain) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(
        encryptor.update(plain + bytes([missing] * missing)) + encryptor.finalize()
    ).decode()
