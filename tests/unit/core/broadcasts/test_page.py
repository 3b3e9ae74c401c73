"""The page about recipients, docs/recipients.md, agrees with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.unit.core.broadcasts.files import rows
from wechat_notify.core.broadcasts import recipients, rendering, report
from wechat_notify.core.broadcasts.rendering import CheckedRow, MessageTemplate, check_row
from wechat_notify.core.violations import Violation

PAGE = (Path(__file__).parents[4] / "docs/recipients.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_example_is_sent() -> None:
    template = MessageTemplate(json.loads(block("json")))
    checked = [check_row(template, row, "b1", by_id=False) for row in rows(block("csv").encode())]
    assert len(checked) == 2
    assert all(isinstance(row, CheckedRow) and not row.warnings for row in checked)


def test_rules_of_rows_are_documented() -> None:
    told = {
        value.rule
        for module in (recipients, rendering, report)
        for value in vars(module).values()
        if isinstance(value, Violation)
    }
    assert {"encoding", "csv", "max_length", "duplicate_id"} < told
    assert [rule for rule in told if f"`{rule}`" not in PAGE] == []
