"""Examples that work: a test plays each of them against the laptop stack, on an account of its own.

The answers stand in openapi/answers, a file for each operation.
"""

from __future__ import annotations

from openapi.operation import Call, Example, Json

_MESSAGES = "/v1/accounts/{account}/messages"
_SCHEDULES = "/v1/accounts/{account}/schedules"
_HOLDS = "/v1/accounts/{account}/holds"
_TEMPLATES = "/v1/accounts/{account}/templates"
_TEMPLATE = "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU"


def _message(**fields: str) -> Json:
    return {
        "kind": "subscription",
        "touser": "OPENID",
        "template_id": _TEMPLATE,
        "page": "pages/meeting",
        "data": {"date2": {"value": "2026年12月1日"}, "thing1": {"value": "TIT会议室"}},
        **fields,
    }


def _send(key: str, *, later: bool = False, **fields: str) -> Call:
    headers = {"Idempotency-Key": key, **({"Prefer": "respond-async"} if later else {})}
    return Call(f"POST {_MESSAGES}", headers=headers, body=_message(**fields))


_USED_UP = _send("order-4710", touser="errcode-45009")
"""The simulator answers that the daily quota is used up; the account's subscriptions are held."""

SEND = Example(_send("order-4711"), 200)
GET_MESSAGE = Example(Call(f"GET {_MESSAGES}/{{id}}", {"id": "order-4711"}), 200, (SEND.call,))
CANCEL_MESSAGE = Example(
    Call(f"DELETE {_MESSAGES}/{{id}}", {"id": "order-4712"}), 200, (_USED_UP, _send("order-4712", later=True))
)
LIST_MESSAGES = Example(
    Call(f"GET {_MESSAGES}", query={"status": "failed,unknown", "limit": "10"}),
    200,
    (SEND.call, _send("order-4713", touser="errcode-43101")),
)

LIST_HOLDS = Example(Call(f"GET {_HOLDS}"), 200, (_USED_UP,))
END_HOLD = Example(Call(f"DELETE {_HOLDS}/{{hold}}", {"hold": "kind:subscription"}), 200, (_USED_UP,))

_NEWS = {"name": "monday-news"}
PUT_SCHEDULE = Example(
    Call(
        f"PUT {_SCHEDULES}/{{name}}",
        _NEWS,
        body={"cron": "0 9 ? * MON *", "time_zone": "Asia/Shanghai", "message": _message()},
    ),
    201,
)
GET_SCHEDULE = Example(Call(f"GET {_SCHEDULES}/{{name}}", _NEWS), 200, (PUT_SCHEDULE.call,))
DELETE_SCHEDULE = Example(Call(f"DELETE {_SCHEDULES}/{{name}}", _NEWS), 200, (PUT_SCHEDULE.call,))
LIST_SCHEDULES = Example(Call(f"GET {_SCHEDULES}", query={"limit": "10"}), 200, (PUT_SCHEDULE.call,))

LIST_TEMPLATES = Example(Call(f"GET {_TEMPLATES}"), 200)
GET_TEMPLATE = Example(Call(f"GET {_TEMPLATES}/{{id}}", {"id": _TEMPLATE}), 200)
