"""Each form in which WeChat tells an event, and what is no event."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.core.callbacks.events import (
    AuthorizationChange,
    CallbackBodyError,
    CallbackEvent,
    ConsentChange,
    OtherEvent,
    PersonLeft,
    Receipt,
    Ticket,
)
from wechat_notify.wechat.callbacks.bodies import MAX_BYTES, parse_fields
from wechat_notify.wechat.callbacks.events import events_of

HEAD = (
    "<ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o-1]]></FromUserName>"
    "<CreateTime>1700000000</CreateTime><MsgType><![CDATA[event]]></MsgType>"
)
JSON_HEAD = '"ToUserName": "gh_1", "FromUserName": "o-1", "CreateTime": "1700000000", "MsgType": "event"'
SENT_ITEM = (
    "<List><TemplateId><![CDATA[t-1]]></TemplateId><MsgID>9300000000000000123</MsgID>"
    "<ErrorCode>0</ErrorCode><ErrorStatus><![CDATA[success]]></ErrorStatus></List>"
)
DELIVERED = Receipt(
    "9300000000000000123", "o-1", delivered=True, reason=None, at=1700000000, template_id="t-1"
)


def xml(inner: str) -> str:
    return f"<xml>{HEAD}{inner}</xml>"


def finished(status: str) -> str:
    return xml(
        f"<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>200163836</MsgID><Status><![CDATA[{status}]]></Status>"
    )


def listed(event: str, inner: str) -> str:
    return xml(f"<Event><![CDATA[{event}]]></Event>{inner}")


def decision(template: str, answer: str) -> str:
    return (
        f"<List><TemplateId>{template}</TemplateId><SubscribeStatusString>{answer}</SubscribeStatusString>"
        "<PopupScene>2</PopupScene></List>"
    )


def told(body: str) -> list[CallbackEvent]:
    return list(events_of(parse_fields(body.encode())))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("success", None),
        ("failed:user block", "user block"),
        ("failed: system failed", "system failed"),
        ("failed:freq limit", "freq limit"),
        ("failed:\u3000something new", "something new"),
        ("odd", "odd"),
        ("failed:", "failed"),
        ("failed:" + "x" * 99, "x" * 64),
    ],
)
def test_receipt_of_template_message(status: str, reason: str | None) -> None:
    assert told(finished(status)) == [
        Receipt("200163836", "o-1", delivered=reason is None, reason=reason, at=1700000000)
    ]


@pytest.mark.parametrize(
    "body",
    [
        listed("subscribe_msg_sent_event", f"<SubscribeMsgSentEvent>{SENT_ITEM}</SubscribeMsgSentEvent>"),
        listed("subscribe_msg_sent_event", SENT_ITEM),
        (
            f'{{{JSON_HEAD}, "Event": "subscribe_msg_sent_event", "List": [{{"TemplateId": "t-1", '
            '"MsgID": "9300000000000000123", "ErrorCode": "0", "ErrorStatus": "success"}]}'
        ),
        (
            '{"FromUserName": "o-1", "CreateTime": 1700000000, "MsgType": "event", '
            '"Event": "subscribe_msg_sent_event", '
            '"List": {"TemplateId": "t-1", "MsgID": 9300000000000000123, "ErrorCode": 0, '
            '"ErrorStatus": "success"}}'
        ),
        (
            f'{{{JSON_HEAD}, "Event": "subscribe_msg_sent_event", "SubscribeMsgSentEvent": '
            f'{{"List": [{{"TemplateId": '
            '"t-1", "MsgID": "9300000000000000123", "ErrorCode": "0", "ErrorStatus": "success"}]}}'
        ),
    ],
)
def test_receipt_of_subscription_message(body: str) -> None:
    assert told(body) == [DELIVERED]


def test_receipt_of_a_failure() -> None:
    item = SENT_ITEM.replace("<ErrorCode>0", "<ErrorCode>-1").replace("[success]", "[system error]")

    assert told(listed("subscribe_msg_sent_event", item)) == [
        Receipt(
            "9300000000000000123",
            "o-1",
            delivered=False,
            reason="system error",
            at=1700000000,
            template_id="t-1",
        )
    ]


@pytest.mark.parametrize("wrapper", ["SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent"])
def test_each_item_is_an_event(wrapper: str) -> None:
    inner = f"<{wrapper}>{decision('t-1', 'accept')}{decision('t-2', 'reject')}</{wrapper}>"

    assert told(listed("subscribe_msg_popup_event", inner)) == [
        ConsentChange("o-1", "t-1", accepted=True, asked=True, at=1700000000),
        ConsentChange("o-1", "t-2", accepted=False, asked=True, at=1700000000),
    ]


def test_changed_settings_in_a_popups_wrapper() -> None:
    inner = f"<SubscribeMsgPopupEvent>{decision('t-1', 'reject')}</SubscribeMsgPopupEvent>"

    assert told(listed("subscribe_msg_change_event", inner)) == [
        ConsentChange("o-1", "t-1", accepted=False, asked=False, at=1700000000)
    ]


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (xml("<Event>unsubscribe</Event>"), PersonLeft("o-1", erase=False, at=1700000000)),
        (
            (
                '{"FromUserName": "gh", "CreateTime": 1700000000, "MsgType": "event", '
                '"Event": "user_authorization_revoke", '
                '"OpenID": "o-2", "AppID": "wx1", "RevokeInfo": "201"}'
            ),
            PersonLeft("o-2", erase=True, at=1700000000),
        ),
        (
            xml("<Event>user_authorization_cancellation</Event><OpenID>o-2</OpenID>"),
            PersonLeft("o-2", erase=True, at=1700000000),
        ),
        (
            (
                "<xml><AppId>wxc</AppId><CreateTime>17</CreateTime><InfoType>component_verify_ticket</InfoType>"
                "<ComponentVerifyTicket>ticket@@@x</ComponentVerifyTicket></xml>"
            ),
            Ticket("wxc", "ticket@@@x", 17),
        ),
        (
            (
                "<xml><AppId>wxc</AppId><CreateTime>17</CreateTime><InfoType>authorized</InfoType>"
                "<AuthorizerAppid>wxm</AuthorizerAppid><AuthorizationCode>code</AuthorizationCode></xml>"
            ),
            AuthorizationChange("wxc", "wxm", authorized=True, code="code", at=17),
        ),
        (
            (
                "<xml><AppId>wxc</AppId><CreateTime>17</CreateTime><InfoType>unauthorized</InfoType>"
                "<AuthorizerAppid>wxm</AuthorizerAppid></xml>"
            ),
            AuthorizationChange("wxc", "wxm", authorized=False, code=None, at=17),
        ),
        (xml("<Event><![CDATA[VIEW]]></Event>"), OtherEvent("view")),
        (
            xml("<Event>pic_weixin</Event><PicList><item><a>1</a></item><item><a>2</a></item></PicList>"),
            OtherEvent("pic_weixin"),
        ),
        (listed("subscribe_msg_popup_event", decision("t-1", "Maybe")), OtherEvent("decision_maybe")),
        (xml("<Event><![CDATA[a b]]></Event>"), OtherEvent("unknown")),
        (xml("").replace("[event]", "[text]"), OtherEvent("message_text")),
        (
            "<xml><InfoType>notify_third_fasteregister</InfoType></xml>",
            OtherEvent("notify_third_fasteregister"),
        ),
    ],
)
def test_other_events(body: str, event: CallbackEvent) -> None:
    assert told(body) == [event]


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml><MsgType>&b;</MsgType></xml>'
)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "text",
        "<xml>",
        "<xml></xml",
        BOMB,
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><MsgType>&a;</MsgType></xml>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><xml></xml>',
        "<xml><MsgType>event</MsgType><MsgType>text</MsgType></xml>",
        '{"MsgType": "event", "MsgType": "text"}',
        "<xml>" + "<a>" * 500 + "</a>" * 500 + "</xml>",
        "<xml>" + "<List></List>" * 3000 + "</xml>",
        "<xml>" + "x" * MAX_BYTES + "</xml>",
    ],
)
def test_what_is_no_callback(body: str) -> None:
    with pytest.raises(CallbackBodyError):
        told(body)


@pytest.mark.parametrize("kind", ["xml", "objects", "lists"])
def test_depth(kind: str) -> None:
    """Six levels below the outermost; whatever is read is written to the queue, and read again from there."""
    opening, closing = {"xml": ("<a>", "</a>"), "objects": ('{"a":', "}"), "lists": ("[", "]")}[kind]
    start, end = ("<xml><a>", "</a></xml>") if kind == "xml" else ('{"a":', "}")

    def nested(levels: int) -> str:
        return start + opening * levels + "1" + closing * levels + end

    assert told(nested(6)) == [OtherEvent("message_unknown")]
    for levels in (7, 500, 5000):
        with pytest.raises(CallbackBodyError):
            told(nested(levels))


@pytest.mark.parametrize(
    "body",
    [
        finished("success").replace("200163836", "2e9"),
        finished("success").replace("200163836", ""),
        finished(""),
        finished("success").replace("<MsgID>", "<MsgID>1</MsgID><MsgID>"),
        listed("subscribe_msg_sent_event", SENT_ITEM.replace("<ErrorCode>0</ErrorCode>", "")),
        finished("success").replace("[o-1]", "[]"),
        finished("success").replace("1700000000", "soon"),
        listed("subscribe_msg_sent_event", ""),
        listed("subscribe_msg_sent_event", "<List></List>"),
        listed("subscribe_msg_popup_event", decision("t-1", "")),
        listed("subscribe_msg_popup_event", decision("", "accept")),
        "<xml><InfoType>component_verify_ticket</InfoType></xml>",
        "<xml><InfoType>authorized</InfoType><CreateTime>1</CreateTime></xml>",
    ],
)
def test_incomplete_events(body: str) -> None:
    with pytest.raises(CallbackBodyError):
        told(body)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_events_or_refused(body: bytes) -> None:
    with suppress(CallbackBodyError):
        assert events_of(parse_fields(body))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(["event", "accept"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["List", "MsgID", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["MsgType", "Event", "List", "FromUserName", "CreateTime", "MsgID", "Status", "InfoType"]
)


@given(
    st.dictionaries(
        NAMES, VALUES | st.sampled_from(["event", "subscribe_msg_sent_event", "TEMPLATESENDJOBFINISH"])
    )
)
def test_any_fields_are_events_or_refused(fields: dict[str, Any]) -> None:
    with suppress(CallbackBodyError):
        assert events_of(fields)
