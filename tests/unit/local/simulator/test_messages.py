"""What the bodies of the five send endpoints must look like."""

import json
from typing import Any

import pytest

from local.simulator.calls import Call
from local.simulator.messages import TEMPLATE_SEND
from tests.unit.local.simulator.conftest import CREDENTIALS, EMPTY, SAMPLES, SUBSCRIPTIONS, World

# Every field that a page marks as optional, and the two whose required mark contradicts their default.
OPTIONAL = {
    "subscribe/bizsend": "page miniprogram_state lang client_msg_id color topcolor",
    "template/subscribe": "url color topcolor",
    "wxopen/template/send": "page emphasis_keyword color topcolor",
    "subscribe/send": "page miniprogram_state lang color topcolor",
    "template/send": "url client_msg_id color topcolor",
}
WITH_MINIPROGRAM = ["subscribe/bizsend", "template/subscribe", "template/send"]
# Values that break the rule of the type that their key is spelt like. The first two were delivered.
UNTYPED = {
    "date": "2022-08-26 星期五",
    "number": "1份",
    "thing": "一" * 21,
    "name": "用户410774",
    "phrase": "已经发货了哦",
}
NO_INDEX = "has no index, every keyword of a subscription has one"
OLDER = {"first": [f"data.first {NO_INDEX}"], "remark": [f"data.remark {NO_INDEX}"], "keyword1": []}
FREE_TEXT = {"first": {"value": ""}, "keyword1": {"value": "一" * 300}, "remark": {"value": "a\nb"}}
NO_CONTENT: list[Any] = [*EMPTY, {"value": None}, {"value": "", "color": ""}]
NO_DATA: list[Any] = [{}, [], *({"content": content} for content in NO_CONTENT)]
COLOURS: list[Any] = ["#F00", "#FF0000", "", {}]
WITHOUT_EFFECT = "is no longer documented and without effect"
UNDOCUMENTED = [
    "miniprogram_state is not one of developer, trial, formal",
    "lang is not one of zh_CN, en_US, zh_HK, zh_TW",
]
NO_EMPHASIS = ["emphasis_keyword is not <keyword>.DATA of a keyword in data"]
CUT = "is dropped or cut by WeChat without an error"


def coloured(color: Any) -> dict[str, Any]:
    return {"data": {"content": {"value": "您好!", "color": color}}}


@pytest.mark.parametrize("path", SAMPLES)
def test_printed_samples_are_accepted(world: World, path: str) -> None:
    answer = world.send(path)
    assert (answer["errcode"], answer["errmsg"]) == (0, "ok")
    assert ("msgid" in answer) == (path in ("subscribe/bizsend", "subscribe/send", "template/send"))
    assert world.newest()["accepted"] is True
    assert world.problems == []


def test_sends_are_posts_with_query(world: World) -> None:
    body = json.dumps({**SAMPLES["template/send"], "access_token": world.token()}).encode()
    assert world.wechat.handle(Call("POST", TEMPLATE_SEND, {}, body)).payload["errcode"] == 41001
    call = Call("GET", TEMPLATE_SEND, {"access_token": world.token()})
    assert world.wechat.handle(call).payload["errcode"] == 43002


@pytest.mark.parametrize(
    ("raw", "errcode"),
    [
        (b"", 44002),
        (b"{", 47001),
        (b"[]", 47001),
        (b'{"touser": NaN}', 47001),
        (b'{"touser": "line\nbreak"}', 47001),
        (b"[" * 100_000, 47001),
        (b'{"touser": "\xff"}', 40033),
        (rb'{"data": {"thing1": {"value": "\u5de7"}}}', 47002),
        (rb'{"data": {"thing1": {"value": "\\\u5de7"}}}', 47002),
        # Neither an escaped backslash nor escaped ASCII is refused.
        (rb'{"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "\\u5de7 \u0041"}}}', 0),
    ],
)
def test_bodies_are_json_in_utf8(world: World, raw: bytes, errcode: int) -> None:
    assert world.send(raw=raw)["errcode"] == errcode


def test_byte_order_mark_is_skipped_once(world: World) -> None:
    mark, body = b"\xef\xbb\xbf", json.dumps(SAMPLES["template/send"], ensure_ascii=False).encode()
    answers = [world.send(raw=raw)["errcode"] for raw in (mark + body, mark, mark * 2 + body)]
    assert answers == [0, 44002, 47001]
    assert "access_token" in world.ask_stable(mark + json.dumps(CREDENTIALS).encode())


# The values in data


@pytest.mark.parametrize(
    ("data", "errmsg"),
    [
        ({"thing1": {"value": "一" * 21}}, "data.thing1.value invalid"),
        ({"thing1": {"value": 5}}, "data.thing1.value invalid"),
        ({"thing1": {"value": "  "}}, "data.thing1.value is empty"),
        ({"thing1": "text"}, "data.thing1.value is empty"),
        ({"keyword1": "text"}, "data.keyword1.value is empty"),
        ({"thing1.DATA": {"value": "text"}}, "data.thing1.value is empty"),
        ('{"thing1": {"value": "text"}}', "data.thing1.value is empty"),
        ("text", "data.keyword1.value is empty"),
        ({}, "data is empty"),
        (None, "data is empty"),
    ],
)
def test_47003_names_the_field(world: World, data: Any, errmsg: str) -> None:
    answer = world.send(data=data)
    assert answer["errcode"] == 47003
    assert answer["errmsg"].startswith(f"argument invalid! {errmsg} rid: ")


@pytest.mark.parametrize(("key", "value"), UNTYPED.items())
def test_names_without_index_are_free(world: World, key: str, value: str) -> None:
    """In ``template/send`` a key without a trailing number is a name, whatever type it is spelt like."""
    assert world.errcode(data={key: {"value": value}}) == 0
    assert world.newest()["accepted"] is True


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("template/send", "1"), *((path, end) for path in SUBSCRIPTIONS for end in ("", "1"))],
)
@pytest.mark.parametrize(("key", "value"), UNTYPED.items())
def test_typed_values_are_checked(world: World, path: str, suffix: str, key: str, value: str) -> None:
    answer = world.send(path, data={f"{key}{suffix}": {"value": value}})
    assert answer["errcode"] == 47003
    assert f"data.{key}{suffix}.value invalid" in answer["errmsg"]


# One field of a sample changed, or two; the app has no page but index
CHANGED: list[tuple[str, dict[str, Any], int, list[str]]] = [
    # Names
    ("template/send", {"kind": "template"}, 47001, ["unknown field kind"]),
    ("template/send", {"templateId": "T", "template_id": None}, 40036, ["unknown field templateId"]),
    ("template/send", {"clientMsgId": "1"}, 47001, ["unknown field clientMsgId"]),
    ("template/send", {"priority": 1}, 0, ["unknown field priority"]),
    *((path, {"color": "#FF0000"}, 0, [f"color {WITHOUT_EFFECT}"]) for path in SAMPLES),
    *((path, {"topcolor": "#FF0000"}, 0, [f"topcolor {WITHOUT_EFFECT}"]) for path in SAMPLES),
    # Receivers
    *(("template/send", {"touser": touser}, 40003, []) for touser in (None, "", 7, "o A", "微信", "x" * 65)),
    # Pages, languages, and where a message leads
    ("subscribe/send", {"page": "pages/none?foo=bar"}, 41030, []),
    ("subscribe/bizsend", {"page": "pages/none"}, 41030, []),
    ("wxopen/template/send", {"page": "pages/none"}, 41030, []),
    ("subscribe/send", {"lang": "de_DE", "miniprogram_state": "beta"}, 0, UNDOCUMENTED),
    ("template/subscribe", {"miniprogram": {"appid": "wx1"}}, 40165, []),
    ("template/subscribe", {"miniprogram": {"appid": "wx1", "pagepath": ""}}, 40165, []),
    ("template/subscribe", {"miniprogram": {"pagepath": "index"}}, 40166, []),
    ("template/subscribe", {"miniprogram": "index"}, 47001, []),
    (
        "template/send",
        {"miniprogram": {"appid": "wx1", "pagepath": ""}},
        0,
        ["miniprogram.pagepath is missing"],
    ),
    *(
        (
            path,
            {"miniprogram": {"appid": "wx1", "path": "index"}},
            0,
            ["miniprogram.path is read as pagepath"],
        )
        for path in WITH_MINIPROGRAM
    ),
    # One-time subscriptions
    ("template/subscribe", {"title": "一" * 15}, 0, []),
    *(("template/subscribe", {"title": title}, 40062, []) for title in ("一" * 16, "", None)),
    ("template/subscribe", {"scene": "0"}, 0, []),
    ("template/subscribe", {"scene": "10000"}, 0, []),
    ("template/subscribe", {"scene": "10001"}, 40035, []),
    ("template/subscribe", {"scene": "-1"}, 40035, []),
    ("template/subscribe", {"scene": 10_001}, 40035, ["scene is a number, documented as a string"]),
    ("template/subscribe", {"scene": None}, 47001, []),
    ("template/subscribe", {"data": {"content": {"value": "一" * 200}}}, 0, []),
    ("template/subscribe", {"data": {"content": {"value": "一" * 201}}}, 47003, []),
    ("template/subscribe", {"data": {"content": "您好!"}}, 47003, []),
    ("template/subscribe", {"data": [1]}, 47003, []),
    ("template/subscribe", {"data": None}, 47003, []),
    *(("template/subscribe", {"data": data}, 0, ["data.content is missing"]) for data in NO_DATA),
    *(("template/subscribe", coloured(color), 0, []) for color in COLOURS),
    ("template/subscribe", coloured("red"), 0, ["data.content.color is not #RRGGBB"]),
    ("template/subscribe", coloured(7), 0, ["data.content.color is not #RRGGBB"]),
    # Mini program templates
    *(("wxopen/template/send", {"data": data, "emphasis_keyword": ""}, 0, []) for data in EMPTY),
    ("wxopen/template/send", {"emphasis_keyword": "first.DATA"}, 40138, []),
    ("wxopen/template/send", {"emphasis_keyword": "keyword1"}, 0, NO_EMPHASIS),
    # Keys of data: free text without 47003 belongs to the older templates of template/send alone
    ("template/send", {"data": FREE_TEXT}, 0, [f"data.{key} {CUT}" for key in FREE_TEXT]),
    *(
        ("template/send", {"data": {"date": {"value": value}}}, 0, [f"data.date {CUT}"])
        for value in ("一" * 21, "a\nb", "🍫")
    ),
    *(
        (path, {"data": {"date": {"value": "2019-12-25"}}}, 0, [f"data.date {NO_INDEX}"])
        for path in SUBSCRIPTIONS
    ),
    *(
        (path, {"data": {key: {"value": ""}}}, 47003, note)
        for path in SUBSCRIPTIONS
        for key, note in OLDER.items()
    ),
    *(
        (path, {"data": {key: {"value": "text"}}}, 0, note)
        for path in SUBSCRIPTIONS
        for key, note in OLDER.items()
    ),
]


@pytest.mark.parametrize(("path", "changes", "errcode", "problems"), CHANGED)
def test_changed_samples(
    world: World, path: str, changes: dict[str, Any], errcode: int, problems: list[str]
) -> None:
    world.order("apps", pages=["index"])
    assert world.errcode(path, **changes) == errcode
    assert world.newest()["accepted"] is (errcode == 0)
    assert world.problems == problems


# Bodies that WeChat's own pages do not show; widely used SDKs send them by default.


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path in OPTIONAL for name in OPTIONAL[path].split()]
)
def test_empty_fields_are_absent(world: World, path: str, name: str, empty: Any) -> None:
    world.order("apps", pages=["index"])
    assert world.post(path, **{name: empty})["errcode"] == 0
    assert world.problems == []


@pytest.mark.parametrize("empty", [*EMPTY, {"appid": "", "pagepath": ""}, {"appid": None, "path": []}])
@pytest.mark.parametrize("path", WITH_MINIPROGRAM)
def test_empty_miniprogram_is_absent(world: World, path: str, empty: Any) -> None:
    assert world.post(path, miniprogram=empty)["errcode"] == 0
    assert world.problems == []


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize(
    ("name", "errcodes"), [("touser", {40003}), ("template_id", {40036, 40037}), ("data", {47003})]
)
def test_required_fields_are_not_optional(world: World, name: str, errcodes: set[int], empty: Any) -> None:
    assert world.post("template/send", **{name: empty})["errcode"] in errcodes


def test_empty_client_msg_id_is_absent(world: World) -> None:
    msgids = [world.post("template/send", client_msg_id=empty)["msgid"] for empty in EMPTY * 2]
    assert len(set(msgids)) == len(msgids)
    assert world.newest()["accepted"] is True


@pytest.mark.parametrize("color", [*EMPTY, "#F00", "#FF0000", "red", "#12345G", 7, ["#F00"], {"r": 1}])
@pytest.mark.parametrize("path", SAMPLES)
def test_colour_never_stops_a_message(world: World, path: str, color: Any) -> None:
    data = {key: {**item, "color": color} for key, item in SAMPLES[path]["data"].items()}
    assert world.post(path, data=data, color=color, topcolor=color)["errcode"] == 0
    assert world.newest()["accepted"] is True
