"""The working tree goes on with what an older release has left: table, queues, parameters, files, schedules.

A folder beside this file is what the code of its commit has written (``make rehearse FROM=… RECORD=1``).
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.rehearse import ROOT, goes_on
from tests.upgrade.verdict import problems

FOLDER = Path(__file__).parent
RELEASES = sorted(path.parent.name for path in FOLDER.glob("*/state.json"))


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_is_lost_or_doubled(release: str) -> None:
    path = FOLDER / release / "state.json"
    state = json.loads(path.read_text("utf-8"))
    result = goes_on(path, ROOT)
    assert problems(state, result) == []
    # The verdict would notice.
    wrong: dict[str, Any] = copy.deepcopy(result)
    wrong["posts"]["o-queued"] = 2
    del wrong["posts"]["o-row-1"]
    wrong["messages"]["shop/sent"] = [404, "None"]
    wrong["queues"]["dead"] = 1
    assert problems(state, wrong) == [
        "shop/sent is [404, 'None'] and not sent",
        "queued was sent 2 times",
        "row-1 was sent 0 times",
        "messages remain on queues: {'dead': 1}",
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_state_holds_every_kind(release: str) -> None:
    """What a test of an upgrade has to meet: all that the table, the queues and the parameters are for."""
    state = json.loads((FOLDER / release / "state.json").read_text("utf-8"))
    kinds = {item["pk"]["S"].partition("#")[0] for item in state["items"]}
    assert kinds >= {"message", "circuits", "templates", "broadcast", "chunk", "pace"}
    statuses = {item["status"]["S"] for item in state["items"] if item["pk"]["S"].startswith("message#")}
    assert statuses >= {"queued", "sending", "sent", "delivered", "failed", "cancelled", "unknown"}
    assert {name for name, messages in state["queues"].items() if messages} == {
        "send",
        "broadcast",
        "steps",
        "callbacks",
    }
    assert any("held_since" in each["attributes"] for each in state["queues"]["send"])
    assert {name.rpartition("/")[2] for name in state["parameters"]} == {
        "credentials",
        "access-token",
        "callback",
    }
    assert state["objects"]
    assert state["schedules"]
