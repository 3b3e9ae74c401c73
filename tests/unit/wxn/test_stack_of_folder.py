"""The choice of the stack on this machine."""

import json
import os
from pathlib import Path

import pytest

from wxn.errors import CommandError
from wxn.stacks import STATE_FILE, StackOptions, find

LAPTOP = {
    "stack_name": "mine",
    "api_url": "http://api",
    "aws_endpoint_url": "http://aws",
    "region": "us-east-1",
    "access_key_id": "AKIA",
    "secret_access_key": "s",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder below that of a stack."""
    state = tmp_path / STATE_FILE
    state.parent.mkdir()
    state.write_text(json.dumps(LAPTOP))
    (tmp_path / "below").mkdir()
    return tmp_path / "below"


def test_stack_of_a_folder_above(folder: Path) -> None:
    assert find(StackOptions(), {}, folder).name == "mine"


def test_named_stack_comes_first(folder: Path) -> None:
    assert find(StackOptions(), {"WXN_STACK": "prod"}, folder).name == "prod"


def test_stack_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that all can write to, its address could be anybody's."""
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)

    with pytest.raises(CommandError, match="no stack to work on"):
        find(StackOptions(), {}, folder)
