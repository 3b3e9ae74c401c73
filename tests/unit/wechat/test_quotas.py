from __future__ import annotations

import json

import pytest

from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.wechat.quotas import read

NUMBERS = {"daily_limit": 100, "used": 3, "remain": 97}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"errcode": 0, "quota": NUMBERS}, Quota(100, 3, 97)),
        ({"errcode": "0", "quota": NUMBERS}, Quota(100, 3, 97)),
        (
            {"errcode": 0, "quota": NUMBERS, "rate_limit": {"call_count": 50, "refresh_second": 60}},
            Quota(100, 3, 97, 50, 60),
        ),
        ({"errcode": 0, "quota": NUMBERS, "rate_limit": []}, Quota(100, 3, 97)),
        ({"errcode": 76022, "quota": NUMBERS}, None),
        ({"quota": NUMBERS}, None),
        ({"errcode": 0}, None),
        ({"errcode": 0, "quota": "none"}, None),
        ({"errcode": 0, "quota": NUMBERS | {"used": -1}}, None),
        ({"errcode": 0, "quota": NUMBERS | {"used": True}}, None),
        ({"errcode": 0, "quota": NUMBERS | {"used": "3"}}, None),
    ],
)
def test_quota_in_an_answer(fields: dict[str, object], expected: Quota | None) -> None:
    assert read(json.dumps(fields).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_no_answer_at_all(body: bytes) -> None:
    assert read(body) is None
