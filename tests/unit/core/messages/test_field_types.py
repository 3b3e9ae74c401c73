from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from wechat_notify.core.messages.field_types import (
    Expiry,
    control_characters,
    is_printable,
    reject_other_control_characters,
    scene_text,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("巧克力 é \u2028 \u200d \ufffe", ""),
        ("a\x00b\x1f", "\x00\x1f"),
        ("\t\n\r", "\t\n\r"),
        ("\x7f\x80\x9f\xa0", "\x7f\x80\x9f"),
        ("\ud800\udfff\ue000", "\ud800\udfff"),
        ("a\ufffd", "\ufffd"),
    ],
)
def test_control_characters(text: str, found: str) -> None:
    assert "".join(control_characters(text)) == found
    assert is_printable(text) == (text != "" and not found)


def test_line_breaks_alone_pass() -> None:
    assert reject_other_control_characters("一\n二\r\n\t三") == "一\n二\r\n\t三"
    for character in "\x00\x0b\x0c\x1b\x7f\ud800\ufffd":
        with pytest.raises(PydanticCustomError):
            reject_other_control_characters(f"a\n{character}")


# The field's type judges what is neither text nor a whole number.
@pytest.mark.parametrize("value", ["0", "10000", "01000", True, None, []])
def test_scene_stays(value: object) -> None:
    assert scene_text(value) == value


def test_scene_as_a_number() -> None:
    assert [scene_text(0), scene_text(10_000)] == ["0", "10000"]


@pytest.mark.parametrize("value", ["10001", "-1", "", " 1", "1.0", "1\n", "１", "010000", 10_001, -1])
def test_scene_out_of_range(value: object) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        scene_text(value)
    assert refused.value.type == "range"


expiry: TypeAdapter[datetime] = TypeAdapter(Expiry)
INSTANT = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T10:00:00Z", INSTANT),
        ("2026-11-21t18:00:00+08:00", INSTANT),
        ("2026-11-21 18:00:00+08:00", INSTANT),
        ("2026-11-21T10:00:00.5Z", INSTANT.replace(microsecond=500_000)),
    ],
)
def test_expiry(text: str, instant: datetime) -> None:
    assert expiry.validate_python(text) == instant


NO_TIMES: list[Any] = ["2026-11-21T18:00:00", "2026-11-21", "tomorrow", "", "18:00", True, 1772348645]


@pytest.mark.parametrize("value", NO_TIMES)
def test_expiry_without_date_or_zone(value: object) -> None:
    with pytest.raises(ValidationError):
        expiry.validate_python(value)
