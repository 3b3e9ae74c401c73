from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.fakes import load_event

ROOT = Path(__file__).parents[2]
EVENTS = sorted(path.relative_to(ROOT / "events") for path in (ROOT / "events").rglob("*.*"))
NAMES = [path.with_suffix("").as_posix() for path in EVENTS]


def test_every_sample_event_is_used_by_a_test() -> None:
    functions = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    named = re.compile(rf'"((?:{"|".join(sorted(functions))})/\w+)"')
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    assert {path.suffix for path in EVENTS} == {".json"}
    assert set(NAMES) == {name for text in tests for name in named.findall(text)}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("send_api/")])
def test_http_events_have_payload_format_2(name: str) -> None:
    event = load_event(name)
    assert (event["version"], event["routeKey"]) == ("2.0", "POST /v1/accounts/{account}/messages")
    assert event["rawPath"] == f"/v1/accounts/{event['pathParameters']['account']}/messages"
    assert all(header == header.lower() for header in event["headers"])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("send_queue/")])
def test_queue_events_are_as_sqs_signs_them(name: str) -> None:
    for record in load_event(name)["Records"]:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert record["body"].isascii()
