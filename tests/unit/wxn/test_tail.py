"""What a line is about, which lines are wanted, and how they look."""

from typing import Any

import pytest

from wxn.commands.tail import rendered
from wxn.log_filters import Filter, Kind, is_problem, kind_of, without_summaries
from wxn.log_lines import LogLine


def line(source: str = "send_queue", **fields: Any) -> LogLine:
    return LogLine(0.0, source, {"level": "INFO", **fields})


REQUEST = line("send_api", route="POST /v1/accounts/{account}/messages", account="shop", status_code=200)
REFUSED = line("send_api", route="POST /v1/accounts/{account}/messages", account="shop", status_code=422)
SENT = line(message="message attempted", message_id="a", account="shop", status="sent")
FAILED = line(level="WARNING", message="message attempted", message_id="b", account="other", errcode=43101)
OPENED = LogLine(
    0.0, "events", {"detail-type": "circuit.opened", "detail": {"account": "shop", "errcode": 45009}}
)
CLOSED = LogLine(0.0, "events", {"detail-type": "circuit.closed", "detail": {"account": "shop"}})
REFRESH = line("token_refresh", message="invocation finished", refreshed=1)
ALL = [REQUEST, REFUSED, SENT, FAILED, OPENED, CLOSED, REFRESH]


@pytest.mark.parametrize(
    ("of", "kind"),
    [(REQUEST, Kind.REQUEST), (SENT, Kind.MESSAGE), (OPENED, Kind.EVENT), (REFRESH, Kind.LOG)],
)
def test_kind(of: LogLine, kind: Kind) -> None:
    assert kind_of(of) is kind


def test_problems() -> None:
    assert [each for each in ALL if is_problem(each)] == [REFUSED, FAILED, OPENED]


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (Filter(), ALL),
        (Filter(account="shop"), [REQUEST, REFUSED, SENT, OPENED, CLOSED]),
        (Filter(message_id="b"), [FAILED]),
        (Filter(kinds=frozenset({Kind.EVENT, Kind.LOG})), [OPENED, CLOSED, REFRESH]),
        (Filter(account="shop", problems_only=True), [REFUSED, OPENED]),
    ],
)
def test_filter(wanted: Filter, lines: list[LogLine]) -> None:
    assert [each for each in ALL if wanted.wants(each)] == lines


def test_summary_after_lines_of_all() -> None:
    told = line(function_request_id="1", message_id="a")
    summary = line(function_request_id="1", messages=1, statuses={"sent": 1})
    of_two = line(function_request_id="2", messages=2, statuses={"sent": 2})

    assert list(without_summaries([told, summary, of_two])) == [told, of_two]


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (REQUEST, "send_api       POST messages 200  shop"),
        (SENT, "send_queue     sent  shop  a"),
        (FAILED, "send_queue     other  b  errcode=43101"),
        (OPENED, "events         circuit.opened  shop  errcode=45009"),
        (REFRESH, "token_refresh  refreshed=1"),
        (
            line(message="message refused", level="WARNING", reason="x"),
            "send_queue     message refused  reason=x",
        ),
        (line(messages=2, statuses={"sent": 1, "failed": 1}), "messages=2  statuses=sent:1 failed:1"),
        (line(message="m", hint={"en": "Do this.", "zh": "这样做。"}), "m  → Do this."),
        (line(message="m", errmsg="a\x1b[31mb"), r"m  errmsg=a\x1b[31mb"),
    ],
)
def test_rendered(of: LogLine, words: str) -> None:
    assert words in rendered(of).plain.strip()


def test_ids_and_hashes_are_left_out() -> None:
    shown = rendered(
        line(message="m", openid_hash="h", function_request_id="f", rid="r", cold_start=True)
    ).plain

    assert shown.rstrip().endswith(" m")
