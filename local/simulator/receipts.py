"""The receipts of accepted messages, and the forms of all events that are pushed to accounts."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol
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
    app_id
        The appid under the encryption: a platform's for its merchants. ``None``: the account's own.
    form
        Of a mini program's events: ``json`` has a list of one as an object, ``json_list`` as a list,
        ``json_wrapped`` has the list in an object of its own. Official accounts get XML, whatever it is.
    """

    url: str
    token: str
    encoding_aes_key: str | None = None
    mode: Mode = "secure"
    form: Form = "xml"
    app_id: str | None = None


class Event(Protocol):
    """An event that is pushed to an app's callback."""

    @property
    def app_id(self) -> str:
        """The app."""

    @property
    def openid(self) -> str:
        """The person."""

    @property
    def malformed(self) -> bool:
        """The person's openid is left out of the body."""

    def is_json(self, form: Form) -> bool:
        """Tell whether the account's form is one of JSON."""

    def fields(self, now: int, form: Form) -> dict[str, Any]:
        """The fields of the body, pushed at a time in epoch seconds."""


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

    def is_json(self, form: Form) -> bool:
        """Tell whether it is a mini program's whose form is one of JSON."""
        return form != "xml" and self.path == SUBSCRIBE_SEND

    def fields(self, now: int, form: Form) -> dict[str, Any]:
        """The fields of the body."""
        fields = head(self.openid, now)
        if self.path == TEMPLATE_SEND:
            return {
                **fields,
                "Event": "TEMPLATESENDJOBFINISH",
                "MsgID": self.msgid,
                "Status": self.status,
            }
        code = "0" if self.status == "success" else "1"
        status = self.status.removeprefix("failed:").strip()
        item: dict[str, Any] = {
            "TemplateId": self.template_id,
            "MsgID": str(self.msgid),
            "ErrorCode": code,
            "ErrorStatus": status,
        }
        fields["Event"] = "subscribe_msg_sent_event"
        is_json = self.is_json(form)
        if is_json and form == "json":
            return {**fields, "List": item}
        if is_json and form == "json_list":
            return {**fields, "CreateTime": str(now), "List": [item]}
        numbers = {"MsgID": self.msgid, "ErrorCode": int(code)} if is_json else {}
        return {**fields, "SubscribeMsgSentEvent": {"List": [{**item, **numbers}]}}


@dataclass(frozen=True, slots=True)
class Push:
    """An event on its way.

    Attributes
    ----------
    times
        2: the same request comes again when it was taken.
    when
        ``early``: before the answer to the send; ``late``: after a long while.
    """

    callback: Callback
    event: Event
    times: int = 1
    when: Literal["early", "soon", "late"] = "soon"


@dataclass(frozen=True, slots=True)
class PushRequest:
    """The request of a push; a late one is on its way for longer than others."""

    url: str
    body: bytes
    content_type: str
    late: bool = False


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


def head(openid: str, at: int) -> dict[str, Any]:
    """The fields that each event begins with."""
    return {"ToUserName": _TO_USER_NAME, "FromUserName": openid, "CreateTime": at, "MsgType": "event"}


def request_of(callback: Callback, event: Event, now: int, rng: Random) -> PushRequest:
    """The request that pushes an event, signed and encrypted as the callback's mode has it."""
    is_json = event.is_json(callback.form)
    fields = event.fields(now, callback.form)
    if event.malformed:
        fields = {name: value for name, value in fields.items() if value != event.openid}
    write = _json if is_json else xml
    timestamp, nonce = str(now), str(rng.randrange(10**8, 10**9))
    query = {
        "signature": sign(callback.token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": event.openid,
    }
    if callback.mode == "plain":
        body = write(fields)
    else:
        assert callback.encoding_aes_key is not None  # noqa: S101 # nosec B101 # the control API holds it
        encrypted = encrypt(callback.encoding_aes_key, write(fields), callback.app_id or event.app_id)
        query |= {
            "encrypt_type": "aes",
            "msg_signature": sign(callback.token, timestamp, nonce, encrypted),
        }
        shown = fields if callback.mode == "compatible" else {"ToUserName": _TO_USER_NAME}
        body = write({**shown, "Encrypt": encrypted})
    content_type = "application/json" if is_json else "text/xml"
    return PushRequest(f"{callback.url}?{urlencode(query)}", body, content_type)


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
