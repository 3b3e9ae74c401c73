from __future__ import annotations

import pytest

from tests.fakes import START, Service
from tests.fakes.templates import MEETING, PRIZE, WASHER, account_templates
from tests.unit.functions.team_api.calls import call

LIST, ONE = "GET templates", "GET templates/{id}"
AT = "2026-03-01T07:04:05.000Z"


@pytest.fixture
def synced(service: Service) -> Service:
    service.ledger_store.templates["shop"] = account_templates(MEETING, WASHER, PRIZE, template_at=START + 60)
    return service


@pytest.mark.usefixtures("synced")
def test_list_of_templates() -> None:
    response = call(LIST)
    assert response.status == 200
    assert response.content["synced_at"] == {"subscription": AT, "template": "2026-03-01T07:05:05.000Z"}
    assert [
        (each["id"], each["family"], each.get("long_term"), [keyword["key"] for keyword in each["keywords"]])
        for each in response.content["templates"]
    ] == [
        (MEETING.id, "subscription", False, ["date2", "thing1"]),
        (WASHER.id, "subscription", True, ["time1", "enum_string2"]),
        (PRIZE.id, "template", None, ["first", "withdrawMoney", "keyword3"]),
    ]


@pytest.mark.usefixtures("synced")
def test_one_template() -> None:
    response = call(ONE, id=MEETING.id)
    data = {"date2": {"value": "2016年8月8日"}, "thing1": {"value": "TIT会议室"}}
    assert response.status == 200
    assert response.content == {
        "id": MEETING.id,
        "family": "subscription",
        "title": "报名结果通知",
        "long_term": False,
        "keywords": [
            {
                "key": "date2",
                "type": "date",
                "rule": {
                    "en": "a date, a 24-hour time after it allowed, a range joined by ~",
                    "zh": "年月日，可带 24 小时制时间，时间段用 ~ 连接",
                },
            },
            {
                "key": "thing1",
                "type": "thing",
                "max_length": 20,
                "rule": {
                    "en": "up to 20 characters: Chinese, digits, letters, symbols",
                    "zh": "20 个以内字符，可汉字、数字、字母或符号组合",
                },
            },
        ],
        "synced_at": AT,
        "content": MEETING.content,
        "example": MEETING.example,
        "messages": [
            {"kind": kind, "touser": "OPENID", "template_id": MEETING.id, "data": data}
            for kind in ("subscription", "mini_program_subscription")
        ],
    }


@pytest.mark.usefixtures("service")
def test_account_that_was_never_read() -> None:
    assert call(LIST).content == {
        "account": "shop",
        "synced_at": {"subscription": None, "template": None},
        "templates": [],
    }


@pytest.mark.usefixtures("synced")
def test_unknown_template() -> None:
    response = call(ONE, id="T-2")
    assert (response.status, response.problem) == (404, "unknown-template")


def test_broken_table(synced: Service) -> None:
    synced.ledger_store.failing["read_templates"] = "InternalServerError"
    assert [call(route, id="T").status for route in (LIST, ONE)] == [503, 503]
