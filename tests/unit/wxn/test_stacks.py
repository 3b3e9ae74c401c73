from __future__ import annotations

from typing import Any

import pytest

from wxn.errors import CommandError, ExitCode
from wxn.stacks import Stack


def test_output_that_is_missing() -> None:
    """Of a stack whose first deployment was rolled back."""
    stack = Stack("shop")
    state: Any = stack
    state.description = {"StackStatus": "ROLLBACK_COMPLETE"}

    with pytest.raises(CommandError, match="The stack shop does not have ApiUrl") as caught:
        _ = stack.api_url
    assert caught.value.exit_code is ExitCode.NO_ACCESS


def test_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "not-a-url")

    with pytest.raises(CommandError, match="not-a-url"):
        Stack("shop", region="us-east-1").client("sqs")
