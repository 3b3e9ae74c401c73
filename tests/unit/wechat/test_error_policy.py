"""What an error code means for its message and for others."""

from __future__ import annotations

import pytest

from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.error_codes import ERROR_CODES, lookup
from wechat_notify.wechat.error_policy import counts_as_sent, holds, repeats, until_reset
from wechat_notify.wechat.outcomes import outcome_of


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return outcome_of(Answer(code, errmsg, None, None, None), "subscription")


# The consequence of each code for a template message: its fate, what else it holds, the end of that hold, how
# many repeats it is worth, and the least seconds before the next one. "waits" is the fate under a quota,
# "reset" the daily one. A change to any row of the module's table shows here.
CONSEQUENCES = """
#  code  fate      holds     until  repeats  wait
-604104  failed    account   -      -        -
-604101  failed    kind      -      -        -
-604100  failed    kind      -      -        -
-504002  failed    account   -      -        -
  -1000  repeated  -         -      -        2
     -1  repeated  -         -      -        2
      0  sent      -         -      -        -
  20001  repeated  -         -      -        2
  40001  repeated  kind      -      2        3
  40002  failed    account   -      -        -
  40014  repeated  kind      -      2        3
  40037  repeated  -         -      2        -
  40090  failed    account   -      -        -
  40091  repeated  account   -      -        600
  40094  repeated  account   -      2        -
  40125  failed    account   -      -        -
  40164  failed    account   -      -        -
  40200  failed    kind      -      -        -
  40222  failed    account   -      -        -
  40234  failed    kind      -      -        -
  40235  failed    kind      -      -        -
  40241  sent      -         -      -        -
  40243  failed    account   -      -        -
  41001  failed    account   -      -        -
  41004  failed    account   -      -        -
  41018  failed    account   -      -        -
  41019  failed    account   -      -        -
  41020  failed    account   -      -        -
  41021  failed    account   -      -        -
  41032  failed    kind      -      -        -
  41034  failed    kind      -      -        -
  41035  failed    kind      -      -        -
  42001  repeated  kind      -      2        3
  42006  repeated  account   -      2        -
  43104  failed    kind      -      -        -
  43107  failed    template  -      -        -
  43108  repeated  -         -      -        1
  43116  failed    template  -      -        -
  43117  repeated  -         -      -        60
  44007  sent      -         -      -        -
  45009  waits     kind      reset  -        -
  45011  repeated  kind      -      -        60
  45040  waits     kind      -      -        -
  45061  repeated  -         -      -        2
  45063  failed    kind      -      -        -
  45065  sent      -         -      -        -
  45066  repeated  -         -      -        60
  45087  failed    kind      -      -        -
  45093  waits     kind      -      -        -
  45102  repeated  -         -      -        2
  45103  failed    kind      -      -        -
  45104  waits     kind      -      -        2
  45109  failed    kind      -      -        -
  45501  repeated  account   -      -        60
  46101  failed    kind      -      -        -
  48001  failed    kind      -      -        -
  48004  failed    kind      -      -        -
  48008  failed    kind      -      -        -
  48009  failed    kind      -      -        -
  48011  failed    template  -      -        -
  48012  repeated  kind      -      2        3
  50001  failed    kind      -      -        -
  50004  failed    account   -      -        -
  50007  failed    account   -      -        -
  61003  failed    account   -      -        -
  61004  failed    account   -      -        -
  61005  repeated  account   -      -        600
  61006  repeated  account   -      -        600
  61007  failed    kind      -      -        -
  61009  failed    account   -      -        -
  61010  failed    account   -      -        -
  61011  failed    account   -      -        -
  61014  failed    account   -      -        -
  61015  failed    account   -      -        -
  61016  failed    kind      -      -        -
  61017  failed    kind      -      -        -
  61023  failed    account   -      -        -
  61024  failed    account   -      -        -
  61028  failed    account   -      -        -
  61450  repeated  -         -      -        2
  61503  repeated  -         -      -        2
  85105  failed    kind      -      -        -
  85107  failed    kind      -      -        -
  85113  repeated  -         -      -        2
  89501  failed    account   -      -        -
  89502  failed    account   -      -        -
  89503  failed    account   -      -        -
  89504  failed    account   -      -        -
  89505  failed    account   -      -        -
  89506  failed    account   -      -        86400
  89507  failed    account   -      -        3600
 200001  repeated  -         -      -        2
 200013  failed    template  -      -        -
 200100  failed    kind      -      -        -
"""

# These fail their own message and say nothing of any other.
FAIL_ALONE = (
    "-501007 404 20002 40003 40008 40013 40033 40034 40035 40036 40038 40039 40048 40062 40066 40068 "
    "40097 40101 40138 40165 40166 40221 40246 40247 40249 40400 41002 41011 41028 41029 41030 41031 42002 "
    "42007 43001 43002 43003 43004 43006 43019 43100 43101 43102 43105 43106 44002 44004 45012 45013 "
    "45014 45015 45026 45027 45028 45047 45051 45067 45082 45168 46004 47001 47002 47003 48002 48006 49001 "
    "50002 50003 50005 61451 61452 61453 61454 61455 61456 61457 76001 76002 76003 76004 76021 76022 85112 "
    "200002 200011 200012 200014 200016 200017 200018 200019 200020 200021 200022 "
)


def consequence(code: int) -> tuple[str, ...]:
    found = outcome(code)
    if found.status is Status.SENT:
        fate = "sent"
    elif found.retryable or found.repeats:
        fate = "repeated"
    else:
        fate = "waits" if found.holds and found.error_class is ErrorClass.QUOTA else "failed"
    until = "reset" if found.until_reset else None
    wait = None if found.retry_after is None else f"{found.retry_after:g}"
    return (fate, *(str(cell or "-") for cell in (found.holds, until, found.repeats, wait)))


def test_consequences() -> None:
    rows = [line.split() for line in CONSEQUENCES.splitlines() if line and not line.startswith("#")]
    expected = {int(code): tuple(cells) for code, *cells in rows}
    expected |= {int(code): ("failed", "-", "-", "-", "-") for code in FAIL_ALONE.split()}
    assert len(expected) == len(ERROR_CODES)
    assert {code: consequence(code) for code in ERROR_CODES} == expected


def test_consequence_of_an_unknown_code() -> None:
    assert consequence(12345) == ("failed", "-", "-", "-", "-")


def test_classes_that_hold_nothing() -> None:
    own = {"success", "transient", "recipient", "request", "template", "duplicate", "other"}
    assert not [row.code for row in ERROR_CODES.values() if row.error_class in own and holds(row)]


@pytest.mark.parametrize("kind", [*KINDS, ""])
def test_repeats(kind: str) -> None:
    worth = dict.fromkeys((40037, 40001, 40014, 40094, 42001, 42006, 48012), 2)
    if kind == "one_time_subscription":
        worth[-1] = 4
    found = {code: repeats(lookup(code), kind) for code in (*ERROR_CODES, 12345)}
    assert {code: count for code, count in found.items() if count is not None} == worth


def test_repeats_of_permanent_codes() -> None:
    worth = [row.code for row in ERROR_CODES.values() if repeats(row, "template") and not row.retryable]
    assert worth == [40037]


def test_until_reset() -> None:
    assert [code for code in ERROR_CODES if until_reset(lookup(code))] == [45009]


def test_counts_as_sent() -> None:
    assert [code for code in ERROR_CODES if counts_as_sent(lookup(code))] == [0, 40241, 44007, 45065]
