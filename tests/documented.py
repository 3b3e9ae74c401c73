"""Every answer that the OpenAPI document promises is got by a test, where all tests of the handlers run.

With pytest-xdist the workers tell the main process what their shares of the tests got.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

_FOLDERS = [Path(__file__).parent / "unit/functions" / name for name in ("send_api", "team_api")]
_ROUTES = Path(__file__).parent / "unit/functions/test_routes.py"
_CONTRACT = "tests.unit.functions.contract"


class DocumentedAnswers:
    """What was got, of which a part is missing in ``missing`` when all tests have run."""

    def __init__(self) -> None:
        self._complete = False
        self._produced: set[tuple[Any, ...]] = set()
        self._missing: list[Any] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        option = session.config.option
        whole = not (option.keyword or option.markexpr or option.deselect or option.collectonly)
        named = any("::" in argument for argument in session.config.args)
        files = {item.path for item in session.items}
        wanted = {path for folder in _FOLDERS for path in folder.glob("test_*.py")} | {_ROUTES}
        self._complete = whole and not named and wanted <= files

    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self._complete = self._complete or output.get("complete", False)
        self._produced.update(map(tuple, output.get("produced", ())))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        contract = sys.modules.get(_CONTRACT)
        if contract is not None:
            self._produced |= contract.PRODUCED
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput |= {
                "complete": self._complete,
                "produced": [list(each) for each in self._produced],
            }
        elif self._complete and session.exitstatus == pytest.ExitCode.OK:
            from tests.unit.functions.contract import documented  # noqa: PLC0415 - where it is needed

            self._missing = sorted(documented() - self._produced)
            if self._missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._missing:
            terminalreporter.section("documented in docs/openapi.json, but got by no test", red=True)
            for route, status, name in self._missing:
                terminalreporter.line(f"{route}: {status} {name}")
