from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import OPENID
from wechat_notify.core.errors import InvalidRequestError, MalformedBodyError
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body, queue_body, with_options
from wechat_notify.core.messages.identifiers import is_account_name, new_id
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json

quick = settings(max_examples=100, deadline=None, derandomize=True)

BODIES = sorted((Path(__file__).parent.parent / "bodies").glob("*.json"))
CHINESE = re.compile("[\u4e00-\u9fff]")
ARN = "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/" + "x" * 64 + ":2024-01-01T00:00:00Z"


def refusal(call: Callable[[], object]) -> MalformedBodyError:
    with pytest.raises(MalformedBodyError) as refused:
        call()
    error = refused.value
    assert error.text.en == str(error)
    assert CHINESE.search(error.text.zh)
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


def malformed(body: str | bytes) -> str:
    return refusal(lambda: parse_json(body)).text.en


def not_a_request(body: str) -> str:
    return refusal(lambda: parse_queue_body(body, "default")).text.en


# --- Account names ------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["a", "shop", "shop-1", "0", "-", "a" * 64])
def test_an_account_name(account: str) -> None:
    assert is_account_name(account)


@pytest.mark.parametrize(
    "account",
    [
        "",
        "a" * 65,
        "Shop",
        "shop_1",
        "shop.1",
        "shop/1",
        "../shop",
        "shop ",
        "shop\n",
        "商店",
        "ſhop",
        "１",
        "\x00",
        "\ud800",
        "*",
    ],
)
def test_no_account_name(account: str) -> None:
    assert not is_account_name(account)


# --- JSON at the door ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("{}", {}),
        (' {"a": [1, true, false, null, "x"]}\n', {"a": [1, True, False, None, "x"]}),
        (b'{"\xe5\xb7\xa7": "\xf0\x9f\x98\x80"}', {"巧": "😀"}),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\uD83D\uDE00 \u4e2d"', "😀 中"),
        (r'"\u0000\u001f"', "\x00\x1f"),
        (r'"\\ud800"', r"\ud800"),
        ('{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        ("9007199254740993", 9007199254740993),
        ("null", None),
    ],
)
def test_json_is_read(body: str | bytes, value: object) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    "number", ["39.80", "0.10", "1.0", "1234567890123456.789012345678901", "-0.0", "0.1"]
)
def test_a_decimal_number_keeps_its_digits(number: str) -> None:
    value = parse_json(number)
    assert isinstance(value, Decimal)
    assert str(value) == number


@pytest.mark.parametrize("body", ["\ufeff{}", "\ufeff{}".encode(), b'\xef\xbb\xbf  {"a": 1}'])
def test_a_byte_order_mark_is_skipped(body: str | bytes) -> None:
    assert isinstance(parse_json(body), dict)


@pytest.mark.parametrize("body", ["\ufeff", "\ufeff\ufeff{}", "{}\ufeff"])
def test_a_byte_order_mark_is_one_and_first(body: str) -> None:
    malformed(body)


@pytest.mark.parametrize(
    "number",
    ["1E+240000000", "1E-240000000", "0E+999999999", "-1.5e1000", "0e-99999", "1e999999999999999999"],
)
def test_a_number_that_would_fill_the_memory_is_refused(number: str) -> None:
    assert malformed(number) == "a number is out of range"
    assert malformed(f'{{"x": [{number}]}}') == "a number is out of range"


def test_a_long_decimal_is_as_long_as_it_is() -> None:
    text = "0." + "0" * 50_000 + "1"
    assert format(parse_json(text), "f") == text


@pytest.mark.parametrize("number", ["1e3", "1E400", "-1.5e-400"])
def test_an_exponent_is_kept_too(number: str) -> None:
    value = parse_json(number)
    assert isinstance(value, Decimal)
    assert value == Decimal(number)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "empty"),
        (b"", "empty"),
        ("  \n\t", "empty"),
        ("{", "not JSON"),
        ('{"a": 1,}', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1} x', "not JSON"),
        ("touser=OPENID", "not JSON"),
        ("<xml/>", "not JSON"),
        ("01", "not JSON"),
        ('"a\nb"', "not JSON"),
        ('"a\x00b"', "not JSON"),
        (r'"\x41"', "not JSON"),
        ("NaN", "NaN is not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ('{"a": 1, "a": 1}', "given twice"),
        (r'{"a": 1, "\u0061": 2}', "given twice"),
        ('[{"b": {"a": 1, "c": 2, "a": 3}}]', "given twice"),
        (r'"\ud800"', "surrogate"),
        (r'"\uDFFF"', "surrogate"),
        (r'"\ude00\ud83d"', "surrogate"),
        (r'{"\ud800": 1}', "surrogate"),
        (r'[{"a": ["x\udc00y"]}]', "surrogate"),
        ('"\ud800"', "surrogate"),
        ('{"\udfff": 1}', "surrogate"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\xaf"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        ("9" * 5000, "too long"),
        ("1e" + "9" * 30, "out of range"),
        ("[" * 100_000, "too deeply"),
        ("[" * 100_000 + "]" * 100_000, "too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "too deeply"),
    ],
)
def test_a_malformed_body_is_told_its_problem(body: str | bytes, problem: str) -> None:
    assert problem in malformed(body)


def test_the_place_of_an_error_is_told_and_the_body_is_not() -> None:
    error = refusal(lambda: parse_json('{"touser":\n "oABC" "secret"}'))
    assert "line 2, column 9" in error.text.en
    assert "第 2 行第 9 列" in error.text.zh
    assert "oABC" not in error.text.en + error.text.zh
    assert "secret" not in error.text.en + error.text.zh


@pytest.mark.parametrize("body", ['{"openid-1": 1, "openid-1": 2}', r'"openid-1\ud800"', '"openid-1'])
def test_no_problem_quotes_the_body(body: str) -> None:
    error = refusal(lambda: parse_json(body))
    assert "openid-1" not in error.text.en + error.text.zh


json_like_text = st.lists(
    st.sampled_from(
        [*'{}[]:,"\\', '"a"', "\\u", "d800", "\\ud83d\\ude00", "1", "e9", "-", ".", "NaN", "null", "中"]
    ),
    max_size=15,
).map("".join)


@quick
@given(st.text() | st.text(st.characters()) | st.binary() | json_like_text)
def test_anything_is_read_or_refused(body: str | bytes) -> None:
    try:
        value = parse_json(body)
    except MalformedBodyError:
        return
    # What was read can go to WeChat and to the queue.
    json.dumps(value, ensure_ascii=False, default=str, allow_nan=False).encode()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@quick
@given(json_values, st.booleans(), st.booleans())
def test_all_json_is_read_as_python_reads_it(value: object, ascii_only: bool, as_bytes: bool) -> None:  # noqa: FBT001
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text.encode() if as_bytes else text) == value


def test_the_largest_body_fits_into_the_queue() -> None:
    # Two bytes of UTF-8 may become the six of an escape; SQS took 256 KiB for most of its life.
    message = {"kind": "template", "touser": "é" * (MAX_BODY_BYTES // 2)}
    assert len(queue_body(SendRequest("x" * 64, "a" * 64, message))) < 256 * 1024


# --- Wishes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "at_least_once"), [("at_least_once", True), ("at_most_once", False), (None, False)]
)
def test_a_wish_for_delivery(delivery: str | None, *, at_least_once: bool) -> None:
    assert read({**ENVELOPE, "delivery": delivery}).at_least_once == at_least_once
    assert read({**EVENT, "detail": {**ENVELOPE, "delivery": delivery}}).at_least_once == at_least_once


EARLY, LATE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=8)))


@pytest.mark.parametrize("beside", [None, EARLY, LATE])
@pytest.mark.parametrize("within", [None, EARLY, LATE])
@pytest.mark.parametrize("at_least_once", [False, True])
@pytest.mark.parametrize("delivery", [None, "at_most_once", "at_least_once"])
def test_a_wish_counts_beside_the_message_and_within_it(
    beside: datetime | None, within: datetime | None, *, at_least_once: bool, delivery: str | None
) -> None:
    body = {"kind": "subscription", "touser": "OPENID", "template_id": "T", "data": {}}
    wishes = {"expires_at": within and within.isoformat(), "delivery": delivery}
    message, _ = parse_message(body | wishes)
    request = SendRequest("id", "shop", body | wishes, beside, at_least_once)
    wished = with_options(request, message)
    assert wished.expires_at == (EARLY if EARLY in (beside, within) else beside or within)
    assert wished.at_least_once == (at_least_once or delivery == "at_least_once")
    assert (wished.id, wished.account, wished.message) == (request.id, request.account, request.message)
    assert with_options(wished, message) == wished


def test_a_wish_comes_out_of_the_queue_as_it_went_in() -> None:
    request = SendRequest("id", "shop", {}, EARLY, at_least_once=True)
    assert json.loads(queue_body(request)) == {
        "account": "shop",
        "id": "id",
        "message": {},
        "expires_at": "2026-03-01T00:00:00+00:00",
        "delivery": "at_least_once",
    }


# --- The queue ----------------------------------------------------------------------------------

MESSAGE = {"kind": "template", "touser": "OPENID"}
ENVELOPE: dict[str, Any] = {"account": "shop", "message": MESSAGE}
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "WeChat Message Requested",
    "source": "shop.orders",
    "account": "123456789012",
    "time": "2024-01-01T00:00:00Z",
    "region": "eu-west-1",
    "resources": [],
    "detail": ENVELOPE,
}


def invalid(body: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        parse_queue_body(json.dumps(body), "default")
    return caught.value


def read(body: object, default_id: str = "default") -> SendRequest:
    return parse_queue_body(json.dumps(body), default_id)


def test_an_envelope() -> None:
    assert read(ENVELOPE) == SendRequest("default", "shop", MESSAGE, None)
    assert read({**ENVELOPE, "id": "order-1"}).id == "order-1"
    assert read({**ENVELOPE, "id": None, "expires_at": None}) == read(ENVELOPE)


def test_an_event_of_the_bus() -> None:
    assert read(EVENT) == SendRequest(EVENT["id"], "shop", MESSAGE, None)


def test_the_envelopes_own_id_goes_before_the_events() -> None:
    assert read({**EVENT, "detail": {**ENVELOPE, "id": "order-1"}}).id == "order-1"


@pytest.mark.parametrize("event_id", [None, 5, "", ["x"], {"x": "y"}, True])
def test_an_event_with_another_id_is_named_by_the_default(event_id: object) -> None:
    assert read({**EVENT, "id": event_id}).id == "default"


@pytest.mark.parametrize(
    "given_id",
    ["x" * 65, ARN, "x" * 10_000, "a b", " ", "\x00", "编号", "x\n", "\nx", "\x7f", "é", "\u2028", "😀"],
    ids=lambda given_id: ascii(given_id[:20]),
)
def test_an_id_that_is_long_or_not_all_visible_ascii_is_named_by_its_digest(given_id: str) -> None:
    digest = hashlib.sha256(given_id.encode()).hexdigest()[:32]
    assert read({**ENVELOPE, "id": given_id}).id == digest
    assert read({**EVENT, "id": given_id}).id == digest
    assert read(ENVELOPE, default_id=given_id).id == digest


@pytest.mark.parametrize("given_id", ["x", "x" * 64, "!~", "<aws.scheduler.schedule-arn>"])
def test_a_short_id_is_kept(given_id: str) -> None:
    assert read({**ENVELOPE, "id": given_id}).id == given_id


@pytest.mark.parametrize(
    ("expires_at", "instant"),
    [
        ("2024-01-01T00:00:00Z", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T08:00:00+08:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T00:00:00.5Z", datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_an_expiry(expires_at: str, instant: datetime) -> None:
    assert read({**ENVELOPE, "expires_at": expires_at}).expires_at == instant


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"account": None}, "account"),
        ({"account": ""}, "account"),
        ({"account": 5}, "account"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": ["x"]}, "id"),
        ({"id": True}, "id"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2024-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2024-01-01"}, "expires_at"),
        ({"expires_at": 10**30}, "expires_at"),
        ({"expires_at": {}}, "expires_at"),
        ({"delivery": "exactly_once"}, "delivery"),
        ({"delivery": True}, "delivery"),
        ({"delivery": ""}, "delivery"),
        ({"unknown": 1}, "?"),
        ({OPENID: 1}, "?"),
        ({OPENID: 1, "account": 5}, "?, account"),
        ({"unknown": 1, "account": 5, "id": ""}, "?, account, id"),
        ({"a\x00\u2028b": 1, "未知": 1}, "?"),
    ],
)
def test_a_wrong_envelope_is_refused_with_its_fields(change: dict[str, object], fields: str) -> None:
    error = invalid({**ENVELOPE, **change})
    assert ", ".join(sorted({violation.place for violation in error.violations})) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"account", "message"}),
        ({"account": "shop"}, {"message"}),
        ({"message": {}}, {"account"}),
        ({**EVENT, "detail": {"state": "running"}}, {"account", "message", "?"}),
        ({**EVENT, "detail": EVENT}, {"message", "?"}),
        ({"Type": "Notification", "Message": json.dumps(ENVELOPE)}, {"account", "message", "?", "Message"}),
    ],
)
def test_another_shape_is_refused(body: object, fields: set[str]) -> None:
    assert {violation.place for violation in invalid(body).violations} == fields


@pytest.mark.parametrize(
    "body", ["[]", "null", "5.5", '"text"', json.dumps({**EVENT, "detail": json.dumps(ENVELOPE)})]
)
def test_what_is_no_object_is_malformed(body: str) -> None:
    assert "no JSON object" in not_a_request(body)


@pytest.mark.parametrize(
    ("change", "message_id", "account"),
    [
        ({"id": "order-1", "expires_at": "tomorrow"}, "order-1", "shop"),
        ({"id": "order-1", "expire": "2026-01-01T00:00:00Z"}, "order-1", "shop"),
        ({"id": "x" * 65, "delivery": 1}, hashlib.sha256(b"x" * 65).hexdigest()[:32], "shop"),
        ({"id": "order-1", "account": "Shop"}, "order-1", None),
        ({"id": "order-1", "account": "x" * 65}, "order-1", None),
        ({"id": 5}, None, "shop"),
        ({"id": ""}, None, "shop"),
        ({"expires_at": "tomorrow"}, None, "shop"),
    ],
)
def test_a_refusal_names_the_id_and_the_account(
    change: dict[str, object], message_id: str | None, account: str | None
) -> None:
    for body in ({**ENVELOPE, **change}, {**EVENT, "detail": {**ENVELOPE, **change}}):
        error = invalid(body)
        assert (error.message_id, error.account, error.message) == (message_id, account, MESSAGE)


def test_a_misspelt_field_of_the_envelope_is_told() -> None:
    [violation] = invalid({**ENVELOPE, "expire": "2026-01-01T00:00:00Z"}).violations
    assert violation.meant == "expires_at"


def test_an_account_that_cannot_exist_is_told_how_names_are() -> None:
    [violation] = invalid({**ENVELOPE, "account": "Shop"}).violations
    assert violation.told().en == "account must be 1 to 64 characters of a-z, 0-9 and -"


@pytest.mark.parametrize("body", ["", "text", "{", "NaN", '{"a":1,"a":2}', '"\ud800"', "[" * 100_000])
def test_a_queue_body_that_is_not_json(body: str) -> None:
    assert not_a_request(body) == malformed(body)


@pytest.mark.parametrize(
    "body",
    [{OPENID: MESSAGE}, {**ENVELOPE, OPENID: MESSAGE}, {**EVENT, "detail": {OPENID: MESSAGE}}],
    ids=["map", "envelope", "event"],
)
def test_a_refusal_names_no_field_that_is_not_ours(body: object) -> None:
    error = invalid(body)
    assert OPENID not in f"{error!r} {[violation.told() for violation in error.violations]}"


@pytest.mark.parametrize("value", ["oABC-secret", ["oABC-secret"], {"oABC": "oABC-secret"}])
@pytest.mark.parametrize("field", ["account", "id", "expires_at", "unknown"])
def test_a_refusal_quotes_no_value(field: str, value: object) -> None:
    if field != "id" or not isinstance(value, str):
        error = invalid({**ENVELOPE, field: value})
        assert "oABC" not in f"{error} {[violation.told() for violation in error.violations]}"
        assert error.__cause__ is error.__context__ is None


@quick
@given(json_values | json_values.map(lambda value: {**EVENT, "detail": value}) | json_values.map(json.dumps))
def test_any_queue_body_is_read_or_refused(value: object) -> None:
    try:
        request = read(value)
    except MalformedBodyError as error:
        sent = [error.text.en, error.text.zh]
    except InvalidRequestError as error:
        sent = [each for violation in error.violations for each in (violation.told().en, violation.told().zh)]
    else:
        sent = [request.id]
        assert re.fullmatch(r"[!-~]{1,64}", request.id)
    assert all(text.isprintable() for text in sent)  # SQS takes no control characters in an attribute


accounts = st.from_regex("[a-z0-9-]{1,64}", fullmatch=True)
ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
expiries = st.none() | st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
# U+0000, line separators and non-characters are what SQS refuses; the door accepts them in a message.
messages = json_values | st.text("\x00\x7f\u2028\ufffe\uffff\U0010ffff中😀", max_size=10)


@quick
@given(st.builds(SendRequest, ids, accounts, messages, expiries, st.booleans()))
def test_a_request_comes_out_of_the_queue_as_it_went_in(request_in: SendRequest) -> None:
    body = queue_body(request_in)
    assert body.isascii()
    assert body.isprintable() or "\x7f" in body
    assert parse_queue_body(body, "another") == request_in


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_the_examples_come_out_of_the_queue_as_they_went_in(path: Path) -> None:
    message = parse_json(path.read_bytes())
    request = SendRequest("id", "shop", message, datetime(2024, 1, 1, tzinfo=UTC))
    assert parse_queue_body(queue_body(request), "another") == request


@pytest.mark.parametrize(
    "number", ["39.80", "1e3", "1.5E+2", "0.0000001", "1e-7", "-0.0", "12345678901234567890123456789012", "0"]
)
def test_a_number_means_the_same_before_the_queue_and_after_it(number: str) -> None:
    message = {
        "kind": "subscription",
        "touser": "OPENID",
        "template_id": "TEMPLATE_ID",
        "data": {"number1": {"value": parse_json(number)}},
    }
    queued = parse_queue_body(queue_body(SendRequest("id", "shop", message)), "another")
    assert parse_message(queued.message)[0].wire() == parse_message(message)[0].wire()


def test_a_request_without_expiry_says_none() -> None:
    assert queue_body(SendRequest("id", "shop", {"a": "é"})) == (
        r'{"account":"shop","id":"id","message":{"a":"\u00e9"}}'
    )


def test_a_request_does_not_change() -> None:
    request = SendRequest("id", "shop", {})
    with pytest.raises(AttributeError):
        request.id = "another"  # type: ignore[misc]
    assert request._replace(id="another").id == "another"


# --- Ids ----------------------------------------------------------------------------------------

bits = st.integers(0, 2**80 - 1).map(lambda number: lambda count: number % 2**count)
# Until the year 10889, when RFC 9562's 48 bits of milliseconds end.
seconds = st.integers(0, 2**48 - 1).map(lambda milliseconds: milliseconds / 1000)


@quick
@given(seconds, bits)
def test_an_id_is_32_hex_digits_with_version_and_variant(now: float, random: Callable[[int], int]) -> None:
    made = new_id(lambda: now, random)
    assert re.fullmatch("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", made)
    assert int(made[:12], 16) == int(now * 1000)
    assert int(made[13:16], 16) == random(74) >> 62
    assert int(made[16:], 16) & 0x3FFF_FFFF_FFFF_FFFF == random(74) % 2**62
    assert is_account_name(made)
    assert read({**ENVELOPE, "id": made}).id == made


@quick
@given(seconds, seconds, bits, bits)
def test_ids_are_in_the_order_of_time(
    first: float, second: float, random: Callable[[int], int], other: Callable[[int], int]
) -> None:
    earlier, later = sorted([first, second])
    if int(earlier * 1000) < int(later * 1000):
        assert new_id(lambda: earlier, random) < new_id(lambda: later, other)


def test_the_example_of_the_rfc() -> None:
    # RFC 9562, appendix A.6
    randoms = {74: 0xCC3 << 62 | 0x18C4DC0C0C07398F}
    assert new_id(lambda: 1645557742.000, lambda count: randoms[count]) == "017f22e279b07cc398c4dc0c0c07398f"
