from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.core.broadcasts.files import file_format, rows
from wechat_notify.core.broadcasts.rendering import MessageTemplate, check_row
from wechat_notify.core.broadcasts.report import CheckReport

MESSAGE = {
    "kind": "subscription",
    "template_id": "t1",
    "page": "{{page}}",
    "data": {"thing1": {"value": "{{name}}"}, "amount2": {"value": "1元"}},
}


def report(file: bytes, message: dict[str, Any] = MESSAGE) -> CheckReport:
    """The report of a file, which is stored after each row and read again."""
    template, found = MessageTemplate(message), file_format(file)
    result = CheckReport.of(found, template)
    for row in rows(file):
        result.add(row, check_row(template, row, "b1", by_id="id" in found.columns))
        result = CheckReport.from_dict(json.loads(json.dumps(result.as_dict())))
    return result


def test_report() -> None:
    checked = report("openid,name,page,sex\no1,礼盒,a,f\no2,secret123secret123secret,,m\n".encode())
    told = checked.as_dict()
    assert (told["rows"], told["valid"]) == (2, 1)
    assert told["invalid"] == {
        "count": 1,
        "first": [
            {
                "row": 2,
                "errors": [
                    {
                        "field": "data.thing1.value",
                        "rule": "max_length",
                        "en": "must be at most 20 characters",
                        "zh": "不能超过 20 个字符",
                    }
                ],
            }
        ],
    }
    assert told["duplicates"] == {"count": 0, "first_rows": []}
    assert told["columns"] == {
        "found": ["openid", "name", "page", "sex"],
        "placeholders": ["name", "openid", "page"],
        "missing": [],
        "unused": ["sex"],
    }
    assert [(each["row"], each["message"]["touser"]) for each in told["messages"]] == [(1, "o1")]
    assert "secret123" not in json.dumps(told)


def test_warnings_are_counted_by_rule() -> None:
    checked = report("openid,name,page\no1,x😀,\no2,y😀,\no3,z,\n".encode())
    found = {(each["field"], each["rule"]): each["count"] for each in checked.as_dict()["warnings"]}
    assert found == {("page", "empty"): 3, ("data.thing1.value", "emoji"): 2}
    assert all(each["en"] and each["zh"] for each in checked.as_dict()["warnings"])


def test_columns_of_json_lines() -> None:
    """They are known when the last row is read."""
    head = b'{"openid": "o1", "name": "x"}\n' * 2500
    checked = report(head + b'{"openid": "o1", "page": "a", "age": 1}\n')
    assert checked.missing_columns == []
    assert checked.unused_columns == ["age"]
    assert checked.invalid == 2501


def test_first_messages_are_shown() -> None:
    checked = report(b"openid,name,page\n" + b"".join(b"o%d,x,a\n" % number for number in range(1, 6)))
    shown = [(each["row"], each["message"]["touser"]) for each in checked.as_dict()["messages"]]
    assert shown == [(1, "o1"), (2, "o2"), (3, "o3")]


def test_row_has_three_violations_told() -> None:
    data = {f"thing{number}": {"value": "{{name}}"} for number in range(5)}
    checked = report(b"openid,name\no1," + b"x" * 21, {**MESSAGE, "page": "p", "data": data})
    (bad,) = checked.as_dict()["invalid"]["first"]
    assert [each["field"] for each in bad["errors"]] == [f"data.thing{number}.value" for number in range(3)]


def test_missing_columns() -> None:
    assert report(b"openid,name\no1,x\n").missing_columns == ["page"]


@pytest.mark.parametrize("bad", [30, 5])
def test_first_bad_rows_are_told(bad: int) -> None:
    file = b"openid,name,page\n" + b"o1,x,a\n" * 3 + b"o1\n" * bad + b"o1,x,a\n" * 40
    checked = report(file)
    checked.add_repeated_ids([2, 50])
    told = checked.as_dict()["invalid"]
    assert (checked.valid, told["count"]) == (43 - 2, bad + 2)
    assert [each["row"] for each in told["first"]] == [2, *range(4, 4 + bad), 50][:20]
    assert told["first"][0]["errors"][0]["rule"] == "duplicate_id"


def test_duplicates_are_counted() -> None:
    checked = report(b"openid\n", {"kind": "subscription"})
    checked.add_duplicates(range(10, 60))
    assert checked.duplicates == 50
    assert checked.as_dict()["duplicates"] == {"count": 50, "first_rows": list(range(10, 30))}


def test_warnings_have_a_limit() -> None:
    """Each row has 75 of its own."""
    data = {f"thing{n}": {"value": "{{%s}}" % ("name" if n < 75 else "page")} for n in range(150)}
    checked = report(
        "openid,name,page\no1,😀,x\no2,x,😀\no3,😀,x\n".encode(), {**MESSAGE, "page": "p", "data": data}
    )
    counts = [each["count"] for each in checked.as_dict()["warnings"]]
    assert counts == [2] * 75 + [1] * 25


def test_report_has_a_limited_size() -> None:
    """A file whose every row has other fields."""
    lines = [json.dumps({"openid": "o1", **{f"c{n}_{m}": "x" for m in range(20)}}) for n in range(100)]
    long = json.dumps({"openid": "o1", "l" * 121: "x"})
    checked = report("\n".join([lines[0], *[" "] * 70_000, long, *lines]).encode())
    assert len(checked.as_dict()["columns"]["found"]) == 500
    assert "lll" not in json.dumps(checked.as_dict())
