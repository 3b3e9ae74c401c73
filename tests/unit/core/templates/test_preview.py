from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import message
from tests.fakes.templates import MEETING, PRIZE, account_templates
from wechat_notify.core.templates.preview import preview_of

KNOWN = account_templates(MEETING, PRIZE)


def test_text_as_its_reader_sees_it() -> None:
    data = {"date2": {"value": "2026年3月1日"}, "thing1": {"value": "会议室"}}
    assert preview_of(message(template_id=MEETING.id, data=data, page="index"), KNOWN) == {
        "template_known": True,
        "title": "报名结果通知",
        "text": "会议时间:2026年3月1日\n会议地点:会议室\n",
        "opens": {"page": "index"},
        "keywords": [{"key": "date2", "shown": "2026年3月1日"}, {"key": "thing1", "shown": "会议室"}],
    }


def test_older_keywords_are_dropped_or_cut() -> None:
    """Since 2023-05-04 WeChat does so without an error; what is missing is nothing."""
    data = {"first": {"value": "您好"}, "keyword3": {"value": "长" * 30}}
    preview = preview_of(message("template", template_id=PRIZE.id, data=data), KNOWN)
    assert preview["text"] == "\n\n领奖金额:\n备注:" + "长" * 20


MINI_PROGRAM = {"appid": "wx1", "pagepath": "p"}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("subscription", {}, {"keywords": [{"key": "thing1", "shown": "礼盒"}]}),
        (
            "subscription",
            {"template_id": PRIZE.id, "miniprogram": MINI_PROGRAM, "page": "x"},
            {"opens": {"miniprogram": MINI_PROGRAM}, "keywords": [{"key": "thing1", "shown": "礼盒"}]},
        ),
        (
            "one_time_subscription",
            {"url": "https://a"},
            {
                "title": "到货",
                "opens": {"url": "https://a"},
                "keywords": [{"key": "content", "shown": "到货"}],
            },
        ),
        ("one_time_subscription", {"data": {}}, {"title": "到货", "keywords": []}),
        ("mini_program_template", {"data": None}, {"keywords": []}),
    ],
)
def test_without_its_template(kind: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert preview_of(message(kind, **fields), KNOWN) == {"template_known": False, **expected}


def test_without_a_registry() -> None:
    assert preview_of(message(template_id=MEETING.id), None)["template_known"] is False
