from __future__ import annotations

from collections import Counter

import pytest

from tests.fakes import START
from wechat_notify.core.broadcasts import manifest, results
from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.counts import Counts, ErrcodeCount, errcode_counts
from wechat_notify.core.broadcasts.manifest import Line
from wechat_notify.core.broadcasts.results import Result
from wechat_notify.core.errors import IllegalBroadcastStateError

ENDS = {State.REFUSED, State.FINISHED, State.CANCELLED, State.FAILED}


def broadcast(state: State) -> Broadcast:
    return Broadcast("shop", "1", state, "", "first", START, START)


@pytest.mark.parametrize("before", State)
def test_states_that_may_follow(before: State) -> None:
    allowed = set()
    for after in State:
        try:
            moved = broadcast(before).moved(writer="second", now=START + 1, state=after)
        except IllegalBroadcastStateError:
            continue
        assert (moved.state, moved.version, moved.writer, moved.updated_at) == (after, 2, "second", START + 1)
        allowed.add(after)
    assert before in allowed
    assert (allowed == {before}) == (before in ENDS)
    assert (State.RUNNING in allowed) == (before in {"checking", "checked", "running", "paused"})
    assert (State.FINISHED in allowed) == (before in {"finishing", "finished"})


def test_counts_are_added_up() -> None:
    first = Counts(sent=3, failed=2, errcodes=(ErrcodeCount(43101, 2),))
    second = Counts(failed=4, unknown=1, invalid=5, errcodes=(ErrcodeCount(45009, 3), ErrcodeCount(43101, 1)))
    both = first.plus(second)
    assert (both.sent, both.failed, both.unknown, both.invalid) == (3, 6, 1, 5)
    assert both.errcodes == (ErrcodeCount(43101, 3), ErrcodeCount(45009, 3))
    assert (both.rows, both.judged, both.failures) == (15, 10, 7)
    assert both.leading_errcode == 43101
    assert both.as_dict()["errcodes"] == {"43101": 3, "45009": 3}


def test_most_frequent_errcode_leads() -> None:
    counts = errcode_counts(Counter({40037: 1, 43101: 7, 45009: 7}))
    assert [each.errcode for each in counts] == [43101, 45009, 40037]
    assert Counts().leading_errcode is None


def test_manifest_is_read_back() -> None:
    lines = [Line(1, "b:1", "oA"), Line(2, "", "o,\n\u2028\u0085礼", "invalid", "empty")]
    assert list(manifest.from_bytes(manifest.to_bytes(lines))) == lines


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+86", "'+86"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ('a"b', '"a""b"'),
        ("a,b", '"a,b"'),
        ("礼盒", "礼盒"),
    ],
)
def test_cells_are_no_formulas(value: str, cell: str) -> None:
    assert results.part([Result(1, "b:1", value, "sent", -1)]).decode() == f"1,b:1,{cell},sent,-1,,\r\n"


def test_results_are_utf_8_for_excel() -> None:
    assert results.HEADER == b"\xef\xbb\xbfrow,id,openid,status,errcode,reason,time\r\n"
