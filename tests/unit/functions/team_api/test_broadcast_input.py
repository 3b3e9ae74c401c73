"""Bad input of broadcasts: a clear refusal, and nothing half done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import OPENID, OTHER_OPENID, Service
from tests.unit.functions.broadcast.steps import run
from tests.unit.functions.team_api.broadcasts import BODY, ONE, change, create, look, results, upload

Json = dict[str, Any]
HEAD = b"openid,gift\n"
GOOD = f"{OTHER_OPENID},盆栽\n"
NEVER = {"send_window": "02:00-03:00", "expires_at": "2026-03-01T23:00:00+08:00"}


def sent_file(service: Service, data: bytes, **fields: Any) -> Json:
    """What became of a broadcast to the recipients of a file."""
    created = create({"message": BODY["message"], "upload": upload(service, data), **fields}, key="b")
    assert (created.status, created.content["state"]) == (202, "checking")
    run(service)
    return look().content


@pytest.mark.parametrize(
    ("data", "fields", "reason"),
    [
        (b"", {}, "unreadable_file"),
        (HEAD, {}, "no_valid_rows"),
        (b"user,gift\no1,x\n", {}, "unreadable_file"),
        (b'{"user": "o1"}\n', {}, "unreadable_file"),
        (b"PK\x03\x04 recipients.xlsx", {}, "unreadable_file"),
        ("openid,gift\n".encode("utf-16"), {}, "unreadable_file"),
        (b"openid,openid\no1,o2\n", {}, "unreadable_file"),
        (HEAD + f'{OPENID},"never closed\n'.encode() * 3, {}, "unreadable_file"),
        (HEAD + GOOD.encode("gb18030") + OPENID.encode() + b",\xb0\xff\n", {}, "unreadable_file"),
        (b"openid,name\n" + GOOD.encode(), {}, "missing_columns"),
        (f'{{"openid": "{OPENID}", "name": "x"}}\n'.encode(), {}, "missing_columns"),
        (HEAD + f"{OPENID},\n{GOOD}".encode(), {"on_invalid": "abort"}, "invalid_rows"),
        (HEAD + GOOD.encode(), NEVER, "expires_too_early"),
    ],
)
def test_file_that_cannot_be_sent(service: Service, data: bytes, fields: Json, reason: str) -> None:
    found = sent_file(service, data, **fields)
    assert (found["state"], found["reason"]) == ("refused", reason)
    assert found["problem"].keys() == {"en", "zh"}
    assert OPENID not in json.dumps(found["problem"])
    assert service.rows.taken == 0
    assert service.wechat.attempts == []
    assert change("start").problem == "broadcast-state"


WIDE = "openid,gift,more\n" + "".join(f"o{number:027},x,{'盆' * 2000}\n" for number in range(20))
MANY = "".join(f'{{"openid": "o{number:027}", "gift": "x"}}\n' for number in range(300))


@pytest.mark.parametrize(
    ("data", "bad", "sent"),
    [
        (HEAD + f"{OPENID}\n{OPENID},a,b\n{GOOD}".encode(), {1: "columns", 2: "columns"}, 1),
        (HEAD + f"{OPENID},a\0b\n{GOOD}".encode(), {1: "control_characters"}, 1),
        (HEAD + f"{OPENID},".encode() + b"x" * 10_000_000 + b"\n" + GOOD.encode(), {1: "max_length"}, 1),
        (WIDE.encode("gb18030") + OPENID.encode() + b",\xb0\xff,\n", {21: "encoding"}, 20),
        ((MANY + "{bad\n" + MANY.replace("o0", "o1")).encode(), {301: "json"}, 600),
        (f"id,openid,gift\n7,{OPENID},a\n7,{OTHER_OPENID},b\n".encode(), {2: "duplicate_id"}, 1),
        (f"id,openid,gift\n,{OPENID},a\n8,{OTHER_OPENID},b\n".encode(), {1: "missing"}, 1),
        (HEAD + f",a\n{GOOD}".encode(), {1: "empty"}, 1),
    ],
    ids=["uneven", "NUL", "10 MB", "broken GBK", "JSON", "repeated id", "no id", "no openid"],
)
def test_rows_that_cannot_be_sent(service: Service, data: bytes, bad: dict[int, str], sent: int) -> None:
    """The others are; the report says why, and quotes nothing."""
    found = sent_file(service, data)
    assert found["state"] == "finished"
    first = found["report"]["invalid"]["first"]
    assert {each["row"]: each["errors"][0]["rule"] for each in first} == bad
    assert OPENID not in json.dumps(first)
    assert (found["counts"]["sent"], found["counts"]["invalid"]) == (sent, len(bad))
    assert len({message.touser for message in service.wechat.accepted}) == sent
    assert {int(row["row"]) for row in results(service) if row["status"] == "invalid"} == bad.keys()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0"])
def test_formula_cells(service: Service, cell: str) -> None:
    """They are sent as they are; in the results none comes first in its cell."""
    sent_file(service, f'openid,gift\n"{cell}",x\n{OTHER_OPENID},"{cell}"\n'.encode(), on_invalid="skip")
    rows = results(service)
    assert [row["status"] for row in rows][1:] == ["sent"]
    assert not [value for row in rows for value in row.values() if value and value[0] in "=+-@\t\r"]
    (message,) = service.wechat.accepted[-1:]
    assert cell.strip() in str(message)


@pytest.mark.parametrize(
    ("fields", "path", "rule"),
    [
        ({"messages_per_second": 0}, "messages_per_second", "range"),
        ({"messages_per_second": -1}, "messages_per_second", "range"),
        ({"messages_per_second": 10_001}, "messages_per_second", "range"),
        ({"messages_per_second": True}, "messages_per_second", "range"),
        ({"send_window": "09:00-09:00"}, "send_window", "window"),
        ({"send_window": "9-21"}, "send_window", "format"),
        ({"send_window": "09:00-24:00"}, "send_window", "format"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "time_zone"),
        ({"expires_at": "2026-03-01T00:00:00Z"}, "expires_at", "past"),
        (
            {"starts_at": "2026-03-02T00:00:00Z", "expires_at": "2026-03-02T00:00:00Z"},
            "expires_at",
            "order",
        ),
        ({"starts_at": "2026-03-02T00:00:00"}, "starts_at", "time"),
        ({"name": "x" * 65}, "name", "max_length"),
        ({"duplicates": "twice"}, "duplicates", "choice"),
        ({"max_failures_percent": 0}, "max_failures_percent", "range"),
        ({"recipients": []}, "recipients", "empty"),
        ({"recipients": ["o"] * 1001}, "recipients", "max_length"),
        ({"recipients": [{"gift": "x"}]}, "recipients.0.openid", "missing"),
        ({"upload": "1"}, "upload", "exclusive"),
        ({"recipients": None, "upload": "../other/uploads/1"}, "upload", "upload"),
        ({"recipients": None, "upload": "x" * 2000}, "upload", "upload"),
        ({"recipients": None}, "recipients", "missing"),
        ({"message": {**BODY["message"], "touser": OPENID}}, "message.touser", "placeholder"),
        (
            {"message": {**BODY["message"], "data": {"thing1": "{{gift"}}},
            "message.data.thing1",
            "placeholder",
        ),
        ({"message": {"kind": "pigeon"}}, "message.kind", "choice"),
        ({"pace": 5}, "pace", "unknown_field"),
    ],
)
def test_request_that_is_refused(service: Service, fields: Json, path: str, rule: str) -> None:
    refused = create(BODY | fields, key="b")
    assert (refused.status, refused.problem) == (422, "invalid-fields")
    assert (path, rule) in [(each["path"], each["rule"]) for each in refused.content["errors"]]
    assert OPENID not in json.dumps(refused.content)
    _assert_nothing_done(service)


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        ("", 400, "malformed-body"),
        ("{", 400, "malformed-body"),
        ("[" * 5000, 400, "malformed-body"),
        ('{"message": 1, "message": 2}', 400, "malformed-body"),
        ([], 422, "invalid-fields"),
        (BODY | {"name": "x" * 1024 * 1024}, 413, "body-too-large"),
        ({"message": BODY["message"], "upload": "never-finished"}, 404, "unknown-upload"),
    ],
)
def test_body_that_is_refused(service: Service, content: object, status: int, problem: str) -> None:
    refused = create(content, key="b")
    assert (refused.status, refused.problem) == (status, problem)
    _assert_nothing_done(service)


def _assert_nothing_done(service: Service) -> None:
    assert service.objects.objects == {}
    assert service.broadcast_store.broadcasts == {}
    assert service.steps.sent == 0


def test_anothers_upload_is_unknown(service: Service) -> None:
    service.add_account("other")
    file = upload(service, HEAD + GOOD.encode())
    refused = create({"message": BODY["message"], "upload": file}, account="other")
    assert (refused.status, refused.problem) == (404, "unknown-upload")


def test_two_starts_send_once(service: Service) -> None:
    create(BODY | {"recipients": [ONE]}, key="b", query={"dry_run": "true"})
    started = [change("start") for _ in range(2)]
    run(service)
    assert [each.status for each in [*started, change("start")]] == [200] * 3
    assert look().content["state"] == "finished"
    assert len(service.wechat.attempts) == 1
