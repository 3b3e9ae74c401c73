"""Parser of WeChat's answers; nothing here can fail but with `UnreadableAnswerError`.

A send answers `{"errcode": 0, "errmsg": "ok", "msgid": 1864323726461255680}`. What the documentation leaves
out and the field reports tell: `errcode` may be a string, errmsg texts are cut and misspelled, bodies hold
raw control characters and broken UTF-8, and the Content-Type says nothing about what is inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

# Reported texts are a line long; the cap keeps a runaway one out of logs and tables.
_ERRMSG_LENGTH = 1000
_INT64_MAX = 2**63 - 1

# errmsg comes from outside and may be long: what a repeat took it never gives back (possessive quantifiers).
_DECIMAL = re.compile(r"-?+[0-9]{1,19}+")
# Chinese texts have no spaces before it, so only ASCII letters make it the end of another word ("grid:").
_RID = re.compile(r"(?<![0-9A-Za-z_])rid:\s*+([0-9a-f]++(?:-[0-9a-f]++)*+)(?![0-9A-Za-z_])", re.IGNORECASE)
# The one text that may be branched on. What follows the key varies: "invalid", "is empty", "is emtpy", " i".
_FIELD = re.compile(r"data\.([A-Za-z_]++[0-9]*+)\.value")
_FIELD_INVALID = 47003


class UnreadableAnswerError(ValueError):
    """The body is no answer of WeChat's: whether the message was accepted is not known.

    Its text, cause and context hold nothing of the body, which can name tokens and people.
    """


class Answer(NamedTuple):
    """The answer to a send.

    `rid` finds the call in WeChat's own log for 7 days. `field` is the key of `data` that a 47003 complains
    about. `errmsg` is free of the secrets that the caller named.
    """

    errcode: int
    errmsg: str
    rid: str | None
    msgid: int | None
    field: str | None


def parse_json(body: bytes) -> dict[str, object]:
    """The JSON object in a body, whatever its Content-Type said; raises `UnreadableAnswerError`."""
    try:
        # Recursion: a few thousand brackets are deeper than the decoder goes.
        decoded = _DECODER.decode(body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        decoded = None
    # Raised out here because an error raised in `except` would carry the decoder's, and with it the body.
    if not isinstance(decoded, dict):
        raise UnreadableAnswerError(
            "the answer is not a JSON object" if body.strip() else "the answer is empty"
        )
    return decoded


def parse_answer(body: bytes, secrets: Iterable[str]) -> Answer:
    """The answer to a send, its errmsg free of every one of `secrets`; raises `UnreadableAnswerError`."""
    payload = parse_json(body)
    msgid = _msgid(payload.get("msgid"))
    errcode = _errcode(payload, msgid)
    # Before the cut, so that the cut cannot leave half a secret or take the rid away.
    errmsg = redact(readable_text(payload.get("errmsg", payload.get("errMsg"))), secrets)
    rid = _RID.search(errmsg)
    field = _FIELD.search(errmsg) if errcode == _FIELD_INVALID else None
    return Answer(
        errcode=errcode,
        errmsg=errmsg[:_ERRMSG_LENGTH],
        rid=rid[1] if rid else None,
        msgid=msgid,
        field=field[1] if field else None,
    )


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` for every secret, plain or as it stands in a URL."""
    # What is longer than the text does not stand in it: "ok" is not searched for every token.
    fitting = [secret for secret in secrets if 0 < len(secret) <= len(text)]
    if not fitting:
        return text
    spellings = {spelling for secret in fitting for spelling in (secret, _quoted(secret))}
    # The longest first: of a secret that begins with another one, nothing may stay behind.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, "***")
    return text


def _quoted(secret: str) -> str:
    return quote(secret, safe="", errors="replace")


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


# Made once: json.loads makes one for each call that has options.
_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse_constant)


def _errcode(payload: dict[str, object], msgid: int | None) -> int:
    # Over HTTPS it is errcode; the older Cloud Call pages spell it errCode.
    for key in ("errcode", "errCode"):
        if key in payload:
            errcode = _integer(payload[key])
            if errcode is None:
                raise UnreadableAnswerError(f"the answer's {key} is not an integer")
            return errcode
    # A success may come without errcode, so absent is 0 only beside what a send is expected to return.
    if msgid is None:
        raise UnreadableAnswerError("the answer has neither errcode nor msgid")
    return 0


def _msgid(value: object) -> int | None:
    # Python's integers keep what a float would round: msgids exceed 2^53.
    msgid = _integer(value)
    return msgid if msgid is not None and msgid > 0 else None


def _integer(value: object) -> int | None:
    """A 64-bit integer as a number or as a string of digits ("200014" and "-1" have been seen)."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT64_MAX:
        return value
    return None


def readable_text(value: object) -> str:
    """A value as text that can be stored and written; empty where it is none."""
    if isinstance(value, int | float):
        return str(value)
    # A lone surrogate (a valid \ud800 in JSON) could not be written to any log or table.
    return value.encode("utf-8", errors="replace").decode() if isinstance(value, str) else ""
