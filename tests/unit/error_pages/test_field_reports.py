"""The field reports, classes and symptoms fit the table, and say everything in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from error_pages.classes import CLASSES
from error_pages.field_reports import REPORTS, Place, Report, read
from error_pages.places import PLACES
from error_pages.symptoms import SYMPTOMS
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.error_codes import ERROR_CODES

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_codes_are_in_the_table() -> None:
    named = set(REPORTS) | {code for symptom in SYMPTOMS for code in symptom.codes}
    named |= {code for report in REPORTS.values() for code in report.related}
    assert named - ERROR_CODES.keys() == set()


def test_classes_are_explained() -> None:
    """UNKNOWN is no class of codes."""
    assert set(CLASSES) == set(ErrorClass) - {ErrorClass.UNKNOWN}
    assert set(PLACES) == set(Place)


def sentences(report: Report) -> Iterator[tuple[str, str]]:
    yield from ((each.en, each.zh) for each in (*report.causes, *report.steps))


@pytest.mark.parametrize("code", REPORTS)
def test_report_is_in_both_languages(code: int) -> None:
    """Whole sentences: the English one without Chinese, apart from what it quotes."""
    for english, chinese in sentences(REPORTS[code]):
        assert not CHINESE.search(re.sub("`[^`]*`", "", english))
        assert re.fullmatch(r"[A-Z`a-z].*[.]", english)
        assert len(CHINESE.findall(chinese)) >= 4
        assert chinese.endswith("。")


@pytest.mark.parametrize("code", REPORTS)
def test_report_names_nothing_twice(code: int) -> None:
    report = REPORTS[code]
    assert code not in report.related
    for listed in (report.related, report.met, report.errmsg, report.causes, report.steps):
        assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("code", REPORTS)
def test_examples_are_anonymous(code: int) -> None:
    """No rid, hint, address or openid of those who reported them."""
    for errmsg in REPORTS[code].errmsg:
        assert not re.search(r"rid:|hint|\bo[\w-]{27}\b|[0-9a-f]{8}-[0-9a-f]{8}", errmsg)
        addresses = re.findall(r"\d+\.\d+\.\d+\.\d+", errmsg)
        assert all(address.startswith("198.51.100.") for address in addresses)


@pytest.mark.parametrize(
    "toml",
    [
        '[40164]\nmeet = ["token"]',
        '[40164]\nmet = ["tokens"]',
        '[IP]\nmet = ["token"]',
        "[40164]\ncauses = [{ en = 'A.', zh = '甲。' }]",
    ],
)
def test_mistake_is_refused(toml: str) -> None:
    with pytest.raises(ValidationError):
        read(toml)
