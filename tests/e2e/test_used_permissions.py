"""What the functions asked AWS for in all the tests before: these come last.

The emulator enforces the policies, and keeps a record. Calls are named as in ``tests/permissions``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from local import permissions
from local.client import http
from tests.e2e.conftest import Deployed
from tests.permissions import contract
from tests.permissions.contract import Recorded
from tests.permissions.policies import Call, statements, users
from tests.unit.template.conftest import deployed as rendered

_NAMED = (
    "AWS::SQS::Queue",
    "AWS::Lambda::Function",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::Events::EventBus",
)
"""Types of resources that calls name, beside secrets, parameters and schedules."""
_ELSEWHERE = {"test_stack.py", "test_documents.py"}
"""Test files with stacks of their own, or with commands that are not installed everywhere."""


@pytest.fixture(scope="module")
def decisions(deployed: Deployed) -> list[dict[str, Any]]:
    """Each with the logical name of its role, and without those of test_permissions.py's own functions."""
    physical = deployed.deployment.physical_ids
    roles = {physical[name]: name for name, _ in deployed.deployment.resources("AWS::IAM::Role")}
    named = [name for kind in _NAMED for name, _ in deployed.deployment.resources(kind)]
    known = {deployed.get_att(name, "Arn"): name for name in named}
    url = f"{deployed.service.state.aws_endpoint_url}{permissions.PATH}"
    return [
        {**each, "role": roles[each["role"]], "word": contract.word(each["resource"], known)}
        for each in http("POST", url, b"{}").json()["decisions"]
        if not each["session"].startswith("probe-")
    ]


@pytest.fixture(scope="module")
def made(decisions: list[dict[str, Any]]) -> Recorded:
    found: Recorded = {}
    for each in decisions:
        words = found.setdefault(each["role"], {}).setdefault(each["action"], [])
        if each["allowed"] and each["word"] not in words:
            words.append(each["word"])
    return found


def test_no_function_asks_for_more_than_it_may(decisions: list[dict[str, Any]]) -> None:
    """A denial shows nowhere where the service has another way, or is content without an answer."""
    assert [each for each in decisions if not each["allowed"]] == []


def test_every_call_is_recorded(request: pytest.FixtureRequest, made: Recorded) -> None:
    """``RENEW_CALLS=1 pytest tests/e2e`` writes what was seen; the unit tests of the template judge it."""
    if os.environ.get("RENEW_CALLS"):
        assert is_complete(request)
        contract.write(made)
    known = contract.recorded()
    elsewhere = {
        (each.principal, action, each.resource) for each in contract.MADE_ELSEWHERE for action in each.actions
    }
    new = [
        (role, action, word)
        for role, actions in made.items()
        for action, words in actions.items()
        for word in set(words) - set(known.get(role, {}).get(action, []))
        if (role, action, word) not in elsewhere
    ]
    assert not new, "A function makes new calls: RENEW_CALLS=1 pytest tests/e2e records them"


def test_every_statement_was_used(request: pytest.FixtureRequest, made: Recorded) -> None:
    """But for those that are AWS's own part, and those of failures."""
    if not is_complete(request):
        pytest.skip("needs the whole of tests/e2e before it")
    stack = rendered()
    seen = [
        Call(role, action, contract.resource(word), contract.context(role, action))
        for role, actions in made.items()
        for action, words in actions.items()
        for word in words
    ]
    others = [call for call in contract.calls(stack) if call not in contract.recorded_calls()]
    unused = [
        statement.name
        for statement in statements(stack)
        if statement.owner in stack.roles and not users(statement, [*seen, *others])
    ]
    assert unused == []


def is_complete(request: pytest.FixtureRequest) -> bool:
    """All files of end-to-end tests that use this stack are part of the run, and nothing is left out."""
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")} - _ELSEWHERE
    chosen = any(request.config.getoption(name) for name in ("keyword", "markexpr", "deselect"))
    return files <= {item.path.name for item in request.session.items} and not chosen
