"""``wxn consents``: what is left of a person's consents, and links."""

import json

import pytest

from tests.unit.wxn.fakes import FakeRun
from wxn.commands.consents import link, show

URL = "https://mp.weixin.qq.com/mp/subscribemsg?action=get_confirm&appid=wx1&reserved=0a#wechat_redirect"
TIME = "2026-03-01T07:04:05.000Z"
PERSON = {
    "account": "shop",
    "openid_hash": "5f2c",
    "policy": "enforce",
    "left_at": TIME,
    "templates": [
        {"template_id": "t-1", "scene": "0", "unused": 1, "granted_at": TIME},
        {"template_id": "t-2", "unused": 3, "granted_at": TIME, "refused_at": TIME},
        {"template_id": "t-3", "unused": 0, "long_term": True},
        {"template_id": "t-4", "unused": 0, "long_term": False, "ended_at": TIME},
    ],
}
LINK = {"url": URL, "reserved": "0a", "expires_at": TIME}


def test_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({"GET consents": PERSON})
    show(run, "o-1")

    assert run.calls == [("GET", "consents", None, {"openid": "o-1"}, {})]
    shown = capsys.readouterr().out
    assert "Policy: enforce" in shown
    assert "Unsubscribed: 2026-03-01" in shown
    rows = [line.split() for line in shown.splitlines() if line.lstrip().startswith("t-")]
    assert [row[0] for row in rows] == ["t-1", "t-2", "t-3", "t-4"]
    assert rows[0][1:3] == ["0", "1"]
    assert ["long-term" in row for row in rows] == [False, False, True, False]
    assert "o-1" not in shown


def test_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"account": "shop", "openid_hash": "5f2c", "policy": "off", "templates": []}
    show(FakeRun({"GET consents": answer}), "o-1")

    assert "No consent of this person is known." in capsys.readouterr().out


def test_a_link_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({"GET consents/links": LINK})
    link(run, "t-1", scene=0, redirect_url="https://shop.example/ok")

    query = {"template_id": "t-1", "scene": "0", "redirect_url": "https://shop.example/ok"}
    assert run.calls == [("GET", "consents/links", None, query, {})]
    captured = capsys.readouterr()
    assert captured.out == f"{URL}\n"
    assert "It can be confirmed once" in captured.err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    link(
        FakeRun({"GET consents/links": LINK}, as_json=True), "t-1", scene=0, redirect_url="https://a.example"
    )
    show(FakeRun({"GET consents": PERSON}, as_json=True), "o-1")

    printed = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in printed] == [LINK, PERSON]
