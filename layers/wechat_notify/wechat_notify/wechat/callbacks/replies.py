"""Answers that are more than ``success``: XML, as WeChat reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape  # nosec B406 # it writes XML only


def text_reply(fields: Mapping[str, Any], content: str, at: int) -> bytes:
    """A text to the person who sent a message; ``fields`` are the message's, ``at`` seconds since 1970."""
    return _xml(
        ToUserName=str(fields.get("FromUserName", "")),
        FromUserName=str(fields.get("ToUserName", "")),
        CreateTime=str(at),
        MsgType="text",
        Content=content,
    )


def sealed(encrypted: str, signed: str, timestamp: str, nonce: str) -> bytes:
    """The envelope of an encrypted answer."""
    return _xml(Encrypt=encrypted, MsgSignature=signed, TimeStamp=timestamp, Nonce=nonce)


def _xml(**fields: str) -> bytes:
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{inside}</xml>".encode()
