"""The lists of an account's templates."""

from typing import Any

import pytest

from local.simulator.calls import Call
from local.simulator.messages import BIZSEND, TEMPLATE_SEND
from local.simulator.orders import ControlError
from local.simulator.template_lists import GET_ALL_PRIVATE_TEMPLATE, GET_TEMPLATE
from tests.unit.local.simulator.conftest import World, has_rid, printed


def listed(world: World, path: str, method: str = "GET", token: str | None = None) -> Any:
    query = {"access_token": world.token() if token is None else token}
    return world.wechat.handle(Call(method, path, query)).payload


def test_samples_of_every_account(world: World) -> None:
    answer = listed(world, GET_TEMPLATE)
    assert (answer["errcode"], len(answer["data"])) == (0, 4)
    assert answer["data"][1]["keywordEnumValueList"][1]["keywordCode"] == "enum_string3.DATA"
    answer = listed(world, GET_ALL_PRIVATE_TEMPLATE)
    assert answer.keys() == {"template_list"}
    assert "{ {result.DATA} }" in answer["template_list"][0]["content"]


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("subscribe/bizsend", "subscription"),
        ("subscribe/send", "mini_program_subscription"),
        ("template/send", "template"),
    ],
)
def test_sample_bodies_fit_their_templates(world: World, endpoint: str, kind: str) -> None:
    body = printed(kind)
    assert world.errcode(endpoint, **body) == 0
    assert not [problem for problem in world.problems if "template" in problem]
    other = "subscribe/send" if endpoint == "template/send" else "template/send"
    assert world.errcode(other, template_id=body["template_id"], data=body["data"]) == 40037
    del body["data"][next(iter(body["data"]))]
    assert world.errcode(endpoint, **body) == (0 if endpoint == "template/send" else 47003)


def test_registered_templates_take_their_place(world: World) -> None:
    world.order("templates", template_id="T", path=BIZSEND, keywords=["thing1"], title="到货", type=3)
    world.order("templates", template_id="U", path=TEMPLATE_SEND, content="{{first.DATA}}", example="您好")
    world.order("templates", template_id="V")
    assert listed(world, GET_TEMPLATE)["data"] == [
        {"priTmplId": "T", "title": "到货", "content": "thing1:{{thing1.DATA}}\n", "example": "", "type": 3}
    ]
    (private,) = listed(world, GET_ALL_PRIVATE_TEMPLATE)["template_list"]
    assert (private["template_id"], private["content"], private["example"]) == ("U", "{{first.DATA}}", "您好")
    assert len(listed(world, GET_TEMPLATE, token=world.token("wxB"))["data"]) == 4


@pytest.mark.parametrize(("path", "errcode"), [(GET_TEMPLATE, 200100), (GET_ALL_PRIVATE_TEMPLATE, 48001)])
def test_refusals(world: World, path: str, errcode: int) -> None:
    answers = [listed(world, path, token=""), listed(world, path, token="x"), listed(world, path, "POST")]
    world.order("apps", without=[path])
    answers.append(listed(world, path))
    assert [answer["errcode"] for answer in answers] == [41001, 40014, 43001, errcode]
    assert all(map(has_rid, answers))


def test_lists_have_limits_and_faults(world: World) -> None:
    world.order("quotas", path=GET_TEMPLATE, daily=1)
    assert [listed(world, GET_TEMPLATE)["errcode"] for _ in range(2)] == [0, 45009]
    for when in ("before", "after"):
        world.order("faults", effect="errcode", errcode=-1, path=GET_ALL_PRIVATE_TEMPLATE, count=1, when=when)
        assert listed(world, GET_ALL_PRIVATE_TEMPLATE)["errcode"] == -1
    assert "template_list" in listed(world, GET_ALL_PRIVATE_TEMPLATE)


def test_only_lists_can_be_without(world: World) -> None:
    with pytest.raises(ControlError, match="without: the paths are"):
        world.order("apps", without=["/cgi-bin/token"])
