from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import OPENID, body
from tests.unit.core.messages.bodies import quick
from tests.unit.core.messages.test_strict_json import json_values
from wechat_notify.core.errors import InvalidRequestError, MalformedBodyError
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body, queue_body, with_options
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.texts import Bilingual

MESSAGE = {"kind": "template", "touser": "OPENID"}
ENVELOPE: dict[str, Any] = {"account": "shop", "message": MESSAGE}
REQUEST = SendRequest("default", "shop", MESSAGE)
EVENT: dict[str, Any] = {
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "WeChat Message Requested",
    "account": "123456789012",
    "detail": ENVELOPE,
}
LONG = "x" * 65
LONG_DIGEST = "9537c5fdf120482f7d58d25e9ed583f5"
EARLY = datetime(2026, 3, 1, tzinfo=UTC)
LATE = datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=8)))


def event(**changes: Any) -> dict[str, Any]:
    """A bus event whose envelope has these changes."""
    return EVENT | {"detail": ENVELOPE | changes}


def read(value: object, default_id: str = "default") -> SendRequest:
    return parse_queue_body(json.dumps(value), default_id)


def invalid(value: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        read(value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value


# ---------------------------------------------------------------- read


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"id": "order-1"}, {"id": "order-1"}),
        ({"id": None, "expires_at": None, "delivery": None}, {}),
        ({"id": LONG}, {"id": LONG_DIGEST}),
        ({"expires_at": "2026-03-01T08:00:00+08:00"}, {"expires_at": EARLY}),
        ({"delivery": "at_least_once"}, {"at_least_once": True}),
        ({"delivery": "at_most_once"}, {}),
    ],
)
def test_bodies(change: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(ENVELOPE | change) == REQUEST._replace(**expected)
    assert read(event(**change)) == REQUEST._replace(**{"id": EVENT["id"], **expected})


@pytest.mark.parametrize(
    ("event_id", "default_id", "used"),
    [
        (LONG, "default", LONG_DIGEST),
        *((unusable, "default", "default") for unusable in (None, 5, "", ["x"])),
        (None, LONG, LONG_DIGEST),
    ],
)
def test_id_of_an_event(event_id: object, default_id: str, used: str) -> None:
    assert read(EVENT | {"id": event_id}, default_id).id == used


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (ENVELOPE | {"account": None}, ["account"]),
        (ENVELOPE | {"id": True}, ["id"]),
        (ENVELOPE | {"expires_at": 10**30}, ["expires_at"]),
        (ENVELOPE | {"delivery": True}, ["delivery"]),
        *((ENVELOPE | {name: 1}, ["?"]) for name in (OPENID, "a\x00\u2028b", "未知")),
        (ENVELOPE | {"unknown": 1, "account": 5, "id": ""}, ["?", "account", "id"]),
        ({}, ["account", "message"]),
        (EVENT | {"detail": {"state": "running"}}, ["?", "account", "message"]),
        (EVENT | {"detail": EVENT}, ["?", "?", "message"]),
        ({"Type": "Notification", "Message": json.dumps(ENVELOPE)}, ["?", "Message", "account", "message"]),
    ],
)
def test_places_of_wrong_fields(body: object, places: list[str]) -> None:
    assert sorted(violation.place for violation in invalid(body).violations) == places


@pytest.mark.parametrize("body", ["[]", "null", json.dumps(EVENT | {"detail": json.dumps(ENVELOPE)})])
def test_no_object(body: str) -> None:
    with pytest.raises(MalformedBodyError) as refused:
        parse_queue_body(body, "default")
    assert refused.value.text == Bilingual("the body is no JSON object", "请求体不是 JSON 对象")


@pytest.mark.parametrize(
    ("change", "message_id", "account"),
    [
        ({"id": "order-1", "expires_at": "tomorrow"}, "order-1", "shop"),
        ({"id": LONG, "delivery": 1}, LONG_DIGEST, "shop"),
        ({"id": "order-1", "account": "Shop"}, "order-1", None),
        ({"id": "order-1", "account": 5}, "order-1", None),
        ({"id": 5}, None, "shop"),
        ({"id": ""}, None, "shop"),
        ({"expires_at": "tomorrow"}, None, "shop"),
    ],
)
def test_refusal_names_id_and_account(
    change: dict[str, object], message_id: str | None, account: str | None
) -> None:
    for value in (ENVELOPE | change, event(**change)):
        error = invalid(value)
        assert (error.message_id, error.account, error.message) == (message_id, account, MESSAGE)


def test_misspelt_field() -> None:
    [violation] = invalid(ENVELOPE | {"expire": "2026-01-01T00:00:00Z"}).violations
    assert violation.meant == "expires_at"


@pytest.mark.parametrize(
    "body",
    [
        {OPENID: MESSAGE},
        EVENT | {"detail": {OPENID: MESSAGE}},
        *(ENVELOPE | {field: [OPENID]} for field in ("account", "id", "expires_at", "unknown", OPENID)),
        *(ENVELOPE | {field: OPENID} for field in ("account", "expires_at", "delivery")),
    ],
)
def test_refusal_quotes_nothing(body: object) -> None:
    error = invalid(body)
    assert OPENID not in f"{error!r} {[violation.as_sentence() for violation in error.violations]}"


@quick
@given(json_values | json_values.map(lambda value: EVENT | {"detail": value}) | json_values.map(json.dumps))
def test_any_body_is_read_or_refused(value: object) -> None:
    """What is told of it may stand in an SQS attribute, which takes no control characters."""
    try:
        told = [read(value).id]
        assert re.fullmatch(r"[!-~]{1,64}", told[0])
    except MalformedBodyError as error:
        told = [error.text.en, error.text.zh]
    except InvalidRequestError as error:
        sentences = [violation.as_sentence() for violation in error.violations]
        told = [text for sentence in sentences for text in (sentence.en, sentence.zh)]
    assert all(text.isprintable() for text in told)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("beside", "within", "expected"),
    [
        ((None, False), (None, None), (None, False)),
        ((None, False), (EARLY, "at_least_once"), (EARLY, True)),
        ((LATE, True), (None, "at_most_once"), (LATE, True)),
        ((EARLY, False), (LATE, "at_most_once"), (EARLY, False)),
        ((LATE, True), (EARLY, None), (EARLY, True)),
    ],
)
def test_options_beside_and_within(
    beside: tuple[datetime | None, bool],
    within: tuple[datetime | None, str | None],
    expected: tuple[datetime | None, bool],
) -> None:
    expires_at, delivery = within
    wanted = body() | {"expires_at": expires_at and expires_at.isoformat(), "delivery": delivery}
    request = SendRequest("id", "shop", wanted, *beside)
    assert with_options(request, parse_message(wanted)[0]) == SendRequest("id", "shop", wanted, *expected)


# ---------------------------------------------------------------- written


def test_queue_body() -> None:
    plain = SendRequest("id", "shop", {"a": "é"})
    written = r'{"account":"shop","id":"id","message":{"a":"\u00e9"}'
    options = ',"expires_at":"2026-03-01T00:00:00+00:00","delivery":"at_least_once"}'
    assert queue_body(plain) == written + "}"
    assert queue_body(plain._replace(expires_at=EARLY, at_least_once=True)) == written + options


accounts = st.from_regex("[a-z0-9-]{1,64}", fullmatch=True)
ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
expiries = st.none() | st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
# U+0000, line separators and non-characters are what SQS refuses; a message may hold them.
messages = json_values | st.text("\x00\x7f\u2028\ufffe\uffff\U0010ffff中😀", max_size=10)


@quick
@given(st.builds(SendRequest, ids, accounts, messages, expiries, st.booleans()))
def test_round_trip(request_in: SendRequest) -> None:
    body = queue_body(request_in)
    assert body.isascii()
    assert body.isprintable() or "\x7f" in body
    assert parse_queue_body(body, "another") == request_in


def test_largest_body_fits_the_queue() -> None:
    """Two bytes of UTF-8 may become the six of an escape; SQS took 256 KiB for most of its life."""
    message = {"kind": "template", "touser": "é" * (MAX_BODY_BYTES // 2)}
    assert len(queue_body(SendRequest("x" * 64, "a" * 64, message))) < 256 * 1024
