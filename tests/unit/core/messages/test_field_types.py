from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from wechat_notify.core.messages.field_types import (
    Expiry,
    Identifier,
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


@pytest.mark.parametrize("text", ["", "一\n二\r\n\t三"])
def test_line_breaks_pass(text: str) -> None:
    assert reject_other_control_characters(text) == text


@pytest.mark.parametrize("character", "\x00\x0b\x0c\x1b\x7f\x80\x9f\ud800\ufffd")
def test_other_control_characters_do_not(character: str) -> None:
    with pytest.raises(PydanticCustomError):
        reject_other_control_characters(f"a\n{character}")


@pytest.mark.parametrize("text", [" x", "x ", "　x", "x\u00a0", " ", ""])
def test_identifier_without_outer_blanks(text: str) -> None:
    identifier: TypeAdapter[str] = TypeAdapter(Identifier)
    assert identifier.validate_python("x y") == "x y"
    with pytest.raises(ValidationError):
        identifier.validate_python(text)


NO_SCENES: list[object] = [True, None, []]
"""The field's type judges them."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((text, text) for text in ("0", "9999", "10000", "01000")),
        (0, "0"),
        (10_000, "10000"),
        *((value, value) for value in NO_SCENES),
    ],
)
def test_scene(value: object, text: object) -> None:
    assert scene_text(value) == text


@pytest.mark.parametrize(
    "value", ["10001", "99999", "-1", "+1", "", " 1", "1.0", "1\n", "一", "１", "010000", 10_001, -1, 10**30]
)
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
        ("2026-11-21T18:00:00+08:00", INSTANT),
        ("2026-11-21t18:00:00+08:00", INSTANT),
        ("2026-11-21 18:00:00+08:00", INSTANT),
        ("2026-11-21T10:00:00.5Z", INSTANT.replace(microsecond=500_000)),
    ],
)
def test_expiry(text: str, instant: datetime) -> None:
    assert expiry.validate_python(text) == instant


NO_TIMES: list[Any] = ["2026-11-21T18:00:00", "2026-11-21", "tomorrow", "", "18:00", "2026-13-01T00:00:00Z"]


@pytest.mark.parametrize("value", [*NO_TIMES, [], {}, True, 10**30, 1772348645], ids=str)
def test_expiry_without_date_or_zone(value: object) -> None:
    with pytest.raises(ValidationError):
        expiry.validate_python(value)
