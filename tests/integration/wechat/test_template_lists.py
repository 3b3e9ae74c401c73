"""The lists of templates: what is asked, and what is made of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.simulator.server import Simulator
from tests.integration.conftest import SHORT
from tests.integration.raw_server import RawServer, Script, always, answer, json_answer, once, reset, silence
from wechat_notify.core.errors import TemplatesUnavailableError
from wechat_notify.core.outcomes import ErrorClass, Outcome
from wechat_notify.core.templates.template import Enumeration, Family, Template
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.template_lists import MAX_ANSWER

ClientAt = Callable[..., WeChatClient]
TOKEN = "57_a/b"
SUBSCRIPTION, TEMPLATE = Family


def fetch(client_at: ClientAt, written: bytes, family: Family = SUBSCRIPTION) -> list[Template]:
    with RawServer(once(written)) as server:
        return client_at(server.url).fetch_templates(family, TOKEN)


def failure(client_at: ClientAt, script: Script, family: Family = SUBSCRIPTION) -> Outcome:
    with RawServer(script) as server, pytest.raises(TemplatesUnavailableError) as refused:
        client_at(server.url, limits=SHORT).fetch_templates(family, TOKEN)
    assert refused.value.__cause__ is refused.value.__context__ is None
    return refused.value.outcome


@pytest.mark.parametrize(
    ("family", "path"),
    [
        (SUBSCRIPTION, "/wxaapi/newtmpl/gettemplate"),
        (TEMPLATE, "/cgi-bin/template/get_all_private_template"),
    ],
)
def test_a_list_is_one_get(client_at: ClientAt, family: Family, path: str) -> None:
    with RawServer(always(json_answer(data=[], template_list=[]))) as server:
        assert client_at(server.url).fetch_templates(family, TOKEN) == []
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("GET", f"{path}?access_token=57_a%2Fb", b"")
    assert "content-length" not in request.headers


def test_subscriptions_are_read(client_at: ClientAt) -> None:
    listed: list[Any] = [
        {
            "priTmplId": "T1",
            "title": "洗衣机故障提醒",
            "content": "位置:{{enum_string2.DATA}}\n",
            "example": "位置:客厅\n",
            "type": 3,
            "keywordEnumValueList": [
                {"keywordCode": "enum_string2.DATA", "enumValueList": ["客厅", "", None, "餐厅"]},
                {"keywordCode": "enum_string3.DATA", "enumValueList": []},
                {"keywordCode": "enum_string4.DATA"},
                "odd",
            ],
        },
        {"priTmplId": "T2", "type": 2, "title": None, "keywordEnumValueList": None},
        {"priTmplId": "", "title": "without an id"},
        "odd",
    ]
    assert fetch(client_at, json_answer(errcode=0, errmsg="ok", data=listed)) == [
        Template(
            "T1",
            SUBSCRIPTION,
            "洗衣机故障提醒",
            "位置:{{enum_string2.DATA}}\n",
            "位置:客厅\n",
            long_term=True,
            enumerations=(Enumeration("enum_string2", ("客厅", "餐厅")),),
        ),
        Template("T2", SUBSCRIPTION, "", "", long_term=False),
    ]


def test_private_templates_have_no_errcode(client_at: ClientAt) -> None:
    listed = [{"template_id": "T1", "title": "领取奖金提醒", "content": "{ {result.DATA} }", "example": "x"}]
    assert fetch(client_at, json_answer(template_list=listed), TEMPLATE) == [
        Template("T1", TEMPLATE, "领取奖金提醒", "{ {result.DATA} }", "x")
    ]


@pytest.mark.parametrize("errcode", [40097, 43104, 48001, 61007, 200100])
def test_account_without_the_api_has_none(client_at: ClientAt, errcode: int) -> None:
    assert fetch(client_at, json_answer(errcode=errcode, errmsg="api unauthorized rid: 1-2")) == []


@pytest.mark.parametrize(
    ("errcode", "error_class"),
    [(-1, ErrorClass.TRANSIENT), (40001, ErrorClass.TOKEN), (45009, ErrorClass.QUOTA)],
)
def test_refusals_are_told(client_at: ClientAt, errcode: int, error_class: ErrorClass) -> None:
    outcome = failure(client_at, once(json_answer(errcode=errcode, errmsg=f"{TOKEN} rid: 1-2")))
    assert (outcome.errcode, outcome.error_class, outcome.errmsg) == (errcode, error_class, "*** rid: 1-2")


@pytest.mark.parametrize(
    "script",
    [
        once(json_answer(errcode=0, errmsg="ok")),
        once(json_answer(data={}, template_list=None)),
        once(answer(b"<html>")),
        once(answer(b"", status="502 Bad Gateway")),
        reset,
        silence,
    ],
    ids=["no list", "other types", "a page", "502", "reset", "silence"],
)
@pytest.mark.parametrize("family", Family)
def test_what_is_no_list_is_told(client_at: ClientAt, family: Family, script: Script) -> None:
    outcome = failure(client_at, script, family)
    assert (outcome.error_class, outcome.errcode) == (ErrorClass.TRANSIENT, None)
    assert "list of templates gave no answer" in outcome.hint.en


def test_long_lists_are_read(client_at: ClientAt) -> None:
    """They are larger than a send's answer may be."""
    listed = [{"priTmplId": f"T{number}", "content": "字" * 3000} for number in range(50)]
    written = answer(json.dumps({"errcode": 0, "data": listed}).encode())
    assert failure(client_at, once(written)).cause == "AnswerTooLarge"
    with RawServer(once(written)) as server:
        client = client_at(server.url, limits=Limits(max_bytes=MAX_ANSWER))
        assert len(client.fetch_templates(SUBSCRIPTION, TOKEN)) == 50


def test_simulators_samples_are_read(client_at: ClientAt, simulator: Simulator) -> None:
    client = client_at(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    subscriptions, private = (client.fetch_templates(family, token) for family in Family)
    assert [template.keys for template in subscriptions] == [
        ["date2", "thing1"],
        ["time1", "enum_string2", "enum_string3"],
        ["keyword1", "keyword2", "keyword3"],
        ["number01", "date01", "site01", "site02"],
    ]
    assert len(subscriptions[1].values_of("enum_string2")) == 11
    assert [template.keys for template in private] == [
        ["result", "withdrawMoney", "withdrawTime", "cardInfo", "arrivedTime", "remark"],
        ["thing1", "amount2", "time3"],
    ]
