"""Examples that work: a test plays each of them against the laptop stack, on an account of its own.

The answers stand in openapi/answers, a file for each operation.
"""

from __future__ import annotations

from openapi.operation import Call, Example, Json

_MESSAGES = "/v1/accounts/{account}/messages"
_SCHEDULES = "/v1/accounts/{account}/schedules"
_HOLDS = "/v1/accounts/{account}/holds"
_TEMPLATES = "/v1/accounts/{account}/templates"
_BROADCASTS = "/v1/accounts/{account}/broadcasts"
_BROADCAST = f"{_BROADCASTS}/{{id}}"
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
    Call(f"DELETE {_MESSAGES}/{{id}}", {"id": "order-4712"}),
    200,
    (_USED_UP, _send("order-4712", later=True)),
    volatile=frozenset({"timeline"}),  # the queue's function may have found it held, or not yet
)
LIST_MESSAGES = Example(
    Call(f"GET {_MESSAGES}", query={"status": "failed,unknown", "limit": "10"}),
    200,
    (SEND.call, _send("order-4713", touser="errcode-43101")),
)

LIST_HOLDS = Example(Call(f"GET {_HOLDS}"), 200, (_USED_UP,))
END_HOLD = Example(Call(f"DELETE {_HOLDS}/{{hold}}", {"hold": "kind:subscription"}), 200, (_USED_UP,))

GET_QUOTA = Example(
    Call("GET /v1/accounts/{account}/quota"), 200, (SEND.call,), volatile=frozenset({"since"})
)

GET_AUTHORIZATION_LINK = Example(
    Call(
        "GET /v1/accounts/{account}/authorization-link",
        query={"redirect_uri": "https://example.com/authorized"},
    ),
    200,
    volatile=frozenset({"desktop", "mobile", "expires_at"}),
)

_CONSENTS = "/v1/accounts/{account}/consents"
_SCENE = {"scene": "1000", "template_id": _TEMPLATE}
MAKE_CONSENT_LINK = Example(
    Call(f"GET {_CONSENTS}/links", query={**_SCENE, "redirect_url": "https://shop.example.com/subscribed"}),
    200,
    volatile=frozenset({"url", "reserved", "expires_at"}),
)
CONFIRM_CONSENT = Example(
    Call(
        "GET /v1/consents/confirm",
        query={
            "openid": "OPENID",
            **_SCENE,
            "action": "confirm",
            "reserved": "5e0c9f1d7a3b2468ace013576b0d1a4fa0813dfa2b47c80e915a6db34f7081c2",
        },
        headers={"Accept": "application/json"},
        takes=("reserved",),
    ),
    200,
    (MAKE_CONSENT_LINK.call,),
)
GET_CONSENTS = Example(
    Call(f"GET {_CONSENTS}", query={"openid": "OPENID"}),
    200,
    (MAKE_CONSENT_LINK.call, CONFIRM_CONSENT.call),
    volatile=frozenset({"granted_at"}),
)

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


def _broadcast(key: str, *, dry_run: bool = False, **fields: str) -> Call:
    body = {
        "message": {
            "kind": "subscription",
            "template_id": _TEMPLATE,
            "data": {"date2": {"value": "2026年12月1日"}, "thing1": {"value": "{{room}}"}},
        },
        "recipients": [
            {"openid": "OPENID-1", "room": "TIT会议室"},
            {"openid": "OPENID-2", "room": "大会议室"},
        ],
        "name": "Invitations",
        "messages_per_second": 50,
        **fields,
    }
    query = {"dry_run": "true"} if dry_run else {}
    return Call(f"POST {_BROADCASTS}", query=query, headers={"Idempotency-Key": key}, body=body)


_ID = {"id": "invitations"}
_DRY_RUN = _broadcast("invitations", dry_run=True)
_SENT = _broadcast("invitations")
_WAITING = _broadcast("invitations", starts_at="2099-01-01T09:00:00+08:00")

CREATE_UPLOAD = Example(
    Call("POST /v1/accounts/{account}/uploads"), 201, volatile=frozenset({"id", "url", "expires_at"})
)
CREATE_BROADCAST = Example(_DRY_RUN, 201)
LIST_BROADCASTS = Example(Call(f"GET {_BROADCASTS}", query={"limit": "10"}), 200, (_DRY_RUN,))
GET_BROADCAST = Example(Call(f"GET {_BROADCAST}", _ID), 200, (_DRY_RUN,))
GET_RESULTS = Example(
    Call(f"GET {_BROADCAST}/results", _ID), 200, (_SENT,), volatile=frozenset({"url"}), eventually=True
)
START_BROADCAST = Example(Call(f"POST {_BROADCAST}/start", _ID), 200, (_DRY_RUN,))
PAUSE_BROADCAST = Example(Call(f"POST {_BROADCAST}/pause", _ID), 200, (_WAITING,))
RESUME_BROADCAST = Example(Call(f"POST {_BROADCAST}/resume", _ID), 200, (_WAITING, PAUSE_BROADCAST.call))
CANCEL_BROADCAST = Example(Call(f"POST {_BROADCAST}/cancel", _ID), 200, (_WAITING,))
RETRY_BROADCAST = Example(
    Call(
        f"POST {_BROADCAST}/retry",
        _ID,
        query={"include_unknown": "false"},
        headers={"Idempotency-Key": "invitations-again"},
    ),
    202,
    (_SENT,),
    eventually=True,
)
