"""Types of the messages' fields, and the rules that each keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainValidator

from wechat_notify.core.messages.findings import Finding, pydantic_error, rule_error
from wechat_notify.core.texts import Bilingual

# Patterns that few messages need are plain texts, which re compiles on their first use and keeps.
# U+FFFD is what a decoder leaves of bytes in another encoding: nobody means to send it.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]"
_LINE_BREAKS = frozenset("\t\n\r")
_DATED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]"
_SCENE = r"[0-9]{1,5}"
_MAX_SCENE = 10_000
_MAX_ZONE = 64
_ZONE = r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"

REQUIRED = Finding("missing", Bilingual("is required", "缺少必填字段"))
NOT_A_FIELD = Finding("unknown_field", Bilingual("is not a field of this message", "该消息没有此字段"))


def control_characters(value: str) -> Sequence[str]:
    """Return the control characters of a text, U+FFFD included."""
    if value.isprintable() and "\ufffd" not in value:
        return ()  # nearly always, and in a tenth of the time
    return re.findall(_CONTROL, value)


def is_printable(value: str) -> bool:
    """Return whether a text has characters, and none that control something."""
    return value != "" and not control_characters(value)


def _no_control_characters(value: str) -> str:
    found = control_characters(value)
    if found:
        raise pydantic_error(_unprintable(found))
    return value


def reject_other_control_characters(value: str) -> str:
    """Return a text whose only control characters are tabs and line breaks."""
    found = control_characters(value)
    if not _LINE_BREAKS.issuperset(found):
        raise pydantic_error(_unprintable(found))
    return value


def _unprintable(found: Sequence[str]) -> Finding:
    return NOT_UTF8 if "\ufffd" in found else _CONTROL_CHARACTERS


def _no_outer_blanks(value: str) -> str:
    if value != value.strip():
        raise pydantic_error(_OUTER_BLANKS)
    return value


_CONTROL_CHARACTERS = Finding(
    "control_characters", Bilingual("must hold no control characters", "不能含控制字符")
)
NOT_UTF8 = Finding(
    "encoding",
    Bilingual(
        "must be UTF-8: it was sent in another encoding, such as GBK, and cannot be read any more (U+FFFD)",
        "必须使用 UTF-8 编码：内容以其他编码（如 GBK）发送，已成乱码（U+FFFD）",
    ),
)
_OUTER_BLANKS = Finding(
    "white_space", Bilingual("must not begin or end with white space", "开头和结尾不能有空白字符")
)

Text = Annotated[str, AfterValidator(_no_control_characters)]
Required = Annotated[Text, Field(min_length=1)]
Identifier = Annotated[Required, AfterValidator(_no_outer_blanks)]
"""A name that WeChat has given: one that was copied with a blank is another one."""


def at_most(limit: int) -> AfterValidator:
    """Return a validator of a text's length, in characters."""
    text = Bilingual(f"must be at most {limit} characters", f"不能超过 {limit} 个字符")
    finding = Finding("max_length", text, limit)

    def check(value: str) -> str:
        if len(value) > limit:
            raise pydantic_error(finding)
        return value

    return AfterValidator(check)


def scene_text(value: object) -> object:
    """A scene is a string to WeChat; a JSON integer is accepted and becomes one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and not (re.fullmatch(_SCENE, value) and int(value) <= _MAX_SCENE):
        raise rule_error(
            "range",
            "must be a whole number from 0 to 10000",
            "必须是 0 到 10000 的整数",
            limit="0-10000",
        )
    return value


NOT_A_TIME = Finding(
    "time",
    Bilingual(
        "must be a time with its zone, such as 2026-11-21T18:00:00+08:00",
        "必须是带时区的时间，如 2026-11-21T18:00:00+08:00",
    ),
)


def _time_text(value: object) -> object:
    """A time is text with a date: pydantic would take any number for one."""
    if not isinstance(value, str) or not re.match(_DATED, value):
        raise pydantic_error(NOT_A_TIME)
    return value


Expiry = Annotated[AwareDatetime, BeforeValidator(_time_text)]


def _zone(value: object) -> str:
    if isinstance(value, str) and len(value) <= _MAX_ZONE and re.fullmatch(_ZONE, value):
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - for broadcasts that name a zone

        try:
            return ZoneInfo(value).key
        except (OSError, ValueError, KeyError):  # a folder of zones, a file that is none, nothing
            pass
    raise rule_error(
        "time_zone",
        "must be a time zone of the IANA database, such as Asia/Shanghai",
        "必须是 IANA 时区名，如 Asia/Shanghai",
        limit="Asia/Shanghai",
    )


TimeZone = Annotated[str, PlainValidator(_zone)]
"""A name of the IANA database."""
