"""The documented limits of each type of keyword; what is only a guess becomes a note."""

from typing import Any

import pytest

from local.simulator.errcodes import Refusal
from local.simulator.fields import check_value

ACCEPTED: dict[str, list[Any]] = {
    "thing1": ["一" * 20],
    "number01": ["9" * 32],
    "number1": ["3.14", 3.5],
    "letter1": ["A" * 32],
    "symbol1": ["+-*/%"],
    "character_string1": ["A-1 #" * 6],
    "time7": ["15:01", "15:01:59", "2019年10月1日 15:01", "2019年8月8日", "15:01~16:30"],
    "date2": ["2019-12-25 09:42", "2018.01.01", "2018/01/01~2018/02/01", "10月1日", "2018-01"],
    "amount3": ["¥1234567890.55元", "39.8", "$5"],
    "phone_number1": ["+86-0766-66888866"],
    "car_number8": ["粤A8Z888挂"],
    "name1": ["一" * 10, "A" * 20],
    "phrase3": ["审核通过了"],
    "enum_string2": ["anything"],
    "site01": ["anything at all, however long it may be"],
    "short_thing1": ["六六六六六六"],
}
REFUSED: dict[str, list[Any]] = {
    "thing1": ["一" * 21],
    "number1": ["9" * 33, "1,000", "一", "٣", True],
    "letter1": ["A" * 33, "A1"],
    "symbol1": ["++++++", "+a", "+\n+"],
    "character_string1": ["A中", "A" * 33],
    "time1": ["24:00", "2022-01-27 15:00-16:00", "soon"],
    "date1": ["15:01", "2019年12月25号"],
    "amount1": ["¥12345678901", "¥¥5", "1,000"],
    "phone_number1": ["+86-0766-668888660", "call me"],
    "car_number1": ["粤A8Z888挂挂", "粤粤A8Z88"],
    "name1": ["一" * 11, "A" * 21, "用户410774"],
    "phrase1": ["一二三四五六", "ok"],
}


def rows(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(key, value) for key, values in table.items() for value in values]


@pytest.mark.parametrize(("key", "value"), rows(ACCEPTED))
def test_accepts(key: str, value: Any) -> None:
    check_value(key, {"value": value})


@pytest.mark.parametrize(("key", "value"), rows(REFUSED))
def test_refuses(key: str, value: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        check_value(key, {"value": value})
    assert refusal.value.errcode == 47003
    assert refusal.value.errmsg == f"argument invalid! data.{key}.value invalid"


def test_guesses_are_notes() -> None:
    assert check_value("thing1", {"value": "🍫"}) == ["data.thing1.value may be refused by WeChat"]
    assert check_value("thing1", {"value": "巧克力"}) == []
