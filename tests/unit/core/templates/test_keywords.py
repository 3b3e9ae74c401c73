from __future__ import annotations

import pytest

from tests.fakes.templates import MEETING, PRIZE, WASHER
from wechat_notify.core.messages.keyword_rules import _CHECKS, check_keyword
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.templates.check import check_template
from wechat_notify.core.templates.keyword_types import KEYWORD_TYPES
from wechat_notify.core.templates.keywords import filled_messages, keywords_of
from wechat_notify.core.templates.template import AccountTemplates, Template

EVERY_TYPE = MEETING._replace(
    content="".join(f"{kind}:{{{{{kind}1.DATA}}}}\n" for kind in [*KEYWORD_TYPES, "site"]),
    example="",
)


def test_every_type_is_described() -> None:
    assert KEYWORD_TYPES.keys() == _CHECKS.keys()


@pytest.mark.parametrize("kind", KEYWORD_TYPES)
def test_sample_keeps_its_rule(kind: str) -> None:
    assert check_keyword(f"{kind}1", KEYWORD_TYPES[kind].sample, official_account_template=False) == []


@pytest.mark.parametrize("kind", [kind for kind, each in KEYWORD_TYPES.items() if each.max_length])
def test_limit_is_the_rule(kind: str) -> None:
    character = {"number": "1", "symbol": "*", "phrase": "字", "car_number": "A"}.get(kind, "A")
    limit = KEYWORD_TYPES[kind].max_length or 0
    for length, rules in ((limit, set()), (limit + 1, {"max_length"})):
        found = check_keyword(f"{kind}1", character * length, official_account_template=False)
        assert {finding.rule for finding in found} & {"max_length"} == rules


@pytest.mark.parametrize("template", [MEETING, WASHER, PRIZE, EVERY_TYPE], ids=lambda each: each.title)
def test_filled_messages_are_valid(template: Template) -> None:
    messages = filled_messages(template)
    kinds = [each["kind"] for each in messages]
    assert kinds == (["template"] if template is PRIZE else ["subscription", "mini_program_subscription"])
    for each in messages:
        message, warnings = parse_message(each)
        assert [warning.rule for warning in warnings if warning.rule != "dropped"] == []
        known = AccountTemplates("shop", templates=(template,))
        assert check_template(message, known) == ([], [])


def test_wechats_own_example_is_used() -> None:
    samples = {keyword.key: keyword.sample for keyword in keywords_of(MEETING)}
    assert samples == {"date2": "2016年8月8日", "thing1": "TIT会议室"}


def test_example_that_breaks_the_rule_is_not() -> None:
    long = MEETING._replace(example="会议时间:随时\n会议地点:" + "长" * 21)
    samples = {keyword.key: keyword.sample for keyword in keywords_of(long)}
    assert samples == {"date2": "2026年1月1日", "thing1": "示例内容"}


def test_keywords_as_told() -> None:
    date, room = keywords_of(WASHER)
    assert date.as_dict() == {"key": "time1", "type": "time", "rule": KEYWORD_TYPES["time"].text.as_dict()}
    assert room.as_dict() == {
        "key": "enum_string2",
        "type": "enum_string",
        "rule": {"en": "one of the listed values", "zh": "只能是列出的值之一"},
        "values": ["客厅", "餐厅", "厨房"],
    }


def test_names_have_no_type() -> None:
    """In a template message a key without a number is a name."""
    assert [keyword.type for keyword in keywords_of(PRIZE)] == [None, None, "keyword"]
