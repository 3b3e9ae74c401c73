from __future__ import annotations

import pytest

from tests.fakes.templates import MEETING, PRIZE, WASHER


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (MEETING.content, ["date2", "thing1"]),
        (PRIZE.content, ["first", "withdrawMoney", "keyword3"]),
        ("{{ thing1.DATA }}{{thing1.DATA }}", ["thing1"]),
        ("{{thing1}} {thing2.DATA} thing3.DATA", []),
    ],
)
def test_keys_of_a_content(content: str, keys: list[str]) -> None:
    """WeChat's own sample has blanks between the braces."""
    assert MEETING._replace(content=content).keys == keys


def test_values_of_enumerations() -> None:
    assert WASHER.values_of("enum_string2") == ("客厅", "餐厅", "厨房")
    assert WASHER.values_of("time1") == ()
