from __future__ import annotations

import pytest

from tests.fakes import START
from wechat_notify.core.texts import iso_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (START + 0.25, "2026-03-01T07:04:05.250Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (253402351199.0, "9999-12-31T23:59:59.000Z"),  # 9999-12-31T23:59:59-14:00, an expiry that is one
        (-62135647200.0, "0001-01-01T00:00:00.000Z"),  # 0001-01-01T00:00:00+14:00
    ],
)
def test_iso_time(seconds: float, text: str) -> None:
    assert iso_time(seconds) == text
