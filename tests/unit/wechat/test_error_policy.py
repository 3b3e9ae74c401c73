"""What an error code means for its message and for others."""

from __future__ import annotations

from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.error_codes import ERROR_CODES, lookup
from wechat_notify.wechat.error_policy import repeats
from wechat_notify.wechat.outcomes import outcome_of


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return outcome_of(Answer(code, errmsg, None, None, None), "subscription")


# What follows for a subscription message, and the codes that have it: its fate, what else it holds, the end
# of that hold, how many repeats it is worth, and the least seconds before the next one. "waits" is the fate
# under a quota, "reset" the daily one, "doubted" that of an answer which may be wrong. A change to any row of
# the module's table shows here.
CONSEQUENCES = {
    "sent     -        -     - -": "0 40241 44007 45065",
    "waits    kind     reset - -": "45009",
    "waits    kind     -     - -": "45040 45093",
    "waits    kind     -     - 2": "45104",
    "doubted  -        -     2 -": "40037",
    "repeated -        -     - 1": "43108",
    "repeated -        -     - 2": "-1000 -1 20001 45061 45102 61450 61503 85113 200001",
    "repeated -        -     - 60": "43117 45066",
    "repeated kind     -     - 60": "45011",
    "repeated kind     -     2 3": "40001 40014 42001 48012",
    "repeated account  -     - 60": "45501",
    "repeated account  -     - 600": "40091 61005 61006",
    "repeated account  -     2 -": "40094 42006",
    "failed   template -     - -": "43107 43116 48011 200013",
    "failed   kind     -     - -": (
        "-604101 -604100 40200 40234 40235 41032 41034 41035 43104 45063 45087 45103 45109 46101 48001 48004 "
        "48008 48009 50001 61007 61016 61017 85105 85107 200100"
    ),
    "failed   account  -     - -": (
        "-604104 -504002 40002 40090 40125 40164 40222 40243 41001 41004 41018 41019 41020 41021 50004 50007 "
        "61003 61004 61009 61010 61011 61014 61015 61023 61024 61028 89501 89502 89503 89504 89505"
    ),
    "failed   account  -     - 3600": "89507",
    "failed   account  -     - 86400": "89506",
    # These fail their own message and say nothing of any other.
    "failed   -        -     - -": (
        "-501007 404 20002 40003 40008 40013 40033 40034 40035 40036 40038 40039 40048 40062 40066 40068 "
        "40097 40101 40138 40165 40166 40221 40246 40247 40249 40400 41002 41011 41028 41029 41030 41031 "
        "42002 42007 43001 43002 43003 43004 43006 43019 43100 43101 43102 43105 43106 44002 44004 45012 "
        "45013 45014 45015 45026 45027 45028 45047 45051 45067 45082 45168 46004 47001 47002 47003 48002 "
        "48006 49001 50002 50003 50005 61451 61452 61453 61454 61455 61456 61457 76001 76002 76003 76004 "
        "76021 76022 85112 200002 200011 200012 200014 200016 200017 200018 200019 200020 200021 200022 12345"
    ),
}


def consequence(code: int) -> list[str]:
    found = outcome(code)
    if found.status is Status.SENT:
        fate = "sent"
    elif found.retryable or found.repeats:
        fate = "repeated" if found.retryable else "doubted"
    else:
        fate = "waits" if found.holds and found.error_class is ErrorClass.QUOTA else "failed"
    until = "reset" if found.until_reset else None
    wait = None if found.retry_after is None else f"{found.retry_after:g}"
    return [fate, *(str(cell or "-") for cell in (found.holds, until, found.repeats, wait))]


def test_consequences() -> None:
    expected = {int(code): row.split() for row, codes in CONSEQUENCES.items() for code in codes.split()}
    assert {code: consequence(code) for code in (*ERROR_CODES, 12345)} == expected


def test_repeats_by_kind() -> None:
    worth = dict.fromkeys((40037, 40001, 40014, 40094, 42001, 42006, 48012), 2)
    for kind in (*KINDS, ""):
        found = {code: repeats(lookup(code), kind) for code in (*ERROR_CODES, 12345)}
        busy = {-1: 4} if kind == "one_time_subscription" else {}
        assert {code: count for code, count in found.items() if count is not None} == worth | busy
