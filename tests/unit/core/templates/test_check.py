from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import message
from tests.fakes.templates import MEETING, PRIZE, WASHER, account_templates
from wechat_notify.core.templates.check import check_template
from wechat_notify.core.templates.template import Template
from wechat_notify.core.violations import Violation

Found = list[tuple[str, str]]
KNOWN = account_templates(MEETING, WASHER, PRIZE)
DATE, THING = {"value": "2026年3月1日"}, {"value": "会议室"}


def found(violations: list[Violation]) -> Found:
    return [(violation.path, violation.rule) for violation in violations]


def checked(kind: str, template: Template, data: dict[str, Any]) -> tuple[Found, Found]:
    given = message(kind, template_id=template.id, data=data)
    violations, warnings = check_template(given, KNOWN)
    return found(violations), found(warnings)


SUBSCRIPTION: list[tuple[dict[str, Any], Found, Found]] = [
    ({"date2": DATE, "thing1": THING}, [], []),
    ({"date2": DATE}, [("data.thing1", "missing")], []),
    ({"date2": DATE, "thing1": THING, "thing3": THING}, [], [("data.thing3", "unknown_field")]),
    (
        {"date2": DATE, "thing3": THING},
        [("data.thing1", "missing"), ("data.thing3", "unknown_field")],
        [],
    ),
    ({}, [("data.date2", "missing"), ("data.thing1", "missing")], []),
]


@pytest.mark.parametrize("kind", ["subscription", "mini_program_subscription"])
@pytest.mark.parametrize(("data", "violations", "warnings"), SUBSCRIPTION)
def test_keys_of_a_subscription(kind: str, data: dict[str, Any], violations: Found, warnings: Found) -> None:
    """A missing one is refused; one too many is an error only beside it."""
    assert checked(kind, MEETING, data) == (violations, warnings)


def test_keys_of_a_template_message() -> None:
    """WeChat shows what is missing as nothing, with errcode 0."""
    warnings = [
        ("data.first", "missing"),
        ("data.withdrawMoney", "missing"),
        ("data.keyword4", "unknown_field"),
    ]
    assert checked("template", PRIZE, {"keyword3": THING, "keyword4": THING}) == ([], warnings)


def test_nearest_missing_key_is_suggested() -> None:
    given = message(template_id=MEETING.id, data={"dates2": DATE, "thing1": THING})
    _missing, unknown = check_template(given, KNOWN).violations
    assert (unknown.meant, unknown.text.en) == (
        "date2",
        "is not a keyword of the template: did you mean date2?",
    )
    assert "是否应为 date2" in unknown.text.zh


def test_personal_key_is_not_logged() -> None:
    given = message(template_id=MEETING.id, data={"zhangsan": DATE, "thing1": THING})
    assert [violation.place for violation in check_template(given, KNOWN).violations] == [
        "data.date2",
        "data.?",
    ]


@pytest.mark.parametrize(
    ("value", "violations"),
    [("客厅", []), (" 客厅 ", []), ("车库", [("data.enum_string2.value", "enumeration")])],
)
def test_values_of_an_enumeration(value: str, violations: Found) -> None:
    data = {"time1": {"value": "15:01"}, "enum_string2": {"value": value}}
    assert checked("subscription", WASHER, data) == (violations, [])


def test_enumeration_is_told_without_the_value() -> None:
    data = {"time1": {"value": "15:01"}, "enum_string2": {"value": "车库"}}
    (violation,) = check_template(message(template_id=WASHER.id, data=data), KNOWN).violations
    assert (violation.limit, violation.length) == ("客厅, 餐厅, 厨房", 2)
    assert "车库" not in str(violation)


OTHER_FAMILY = [("template_id", "template_family")]


@pytest.mark.parametrize(
    ("kind", "template", "violations", "warnings"),
    [
        ("template", MEETING, OTHER_FAMILY, []),
        ("subscription", PRIZE, OTHER_FAMILY, []),
        ("mini_program_subscription", PRIZE, OTHER_FAMILY, []),
        ("one_time_subscription", MEETING, OTHER_FAMILY, []),
        ("one_time_subscription", PRIZE, [], OTHER_FAMILY),
        ("mini_program_template", MEETING, [], []),
    ],
)
def test_template_of_another_family(
    kind: str, template: Template, violations: Found, warnings: Found
) -> None:
    given = check_template(message(kind, template_id=template.id), KNOWN)
    assert (found(given.violations), found(given.warnings)) == (violations, warnings)


@pytest.mark.parametrize(
    ("kind", "subscription_at", "warnings"),
    [
        ("subscription", 1.0, [("template_id", "unknown_template")]),
        ("subscription", None, []),
        ("template", 1.0, []),
        ("one_time_subscription", 1.0, []),
    ],
)
def test_template_that_is_not_listed(kind: str, subscription_at: float | None, warnings: Found) -> None:
    """It may be newer; template messages by category are never listed."""
    known = KNOWN._replace(subscription_at=subscription_at)
    given = check_template(message(kind), known)
    assert (given.violations, found(given.warnings)) == ([], warnings)


def test_unreadable_content_checks_nothing() -> None:
    known = account_templates(MEETING._replace(content="<date2> <thing1>"))
    assert check_template(message(template_id=MEETING.id), known) == ([], [])
