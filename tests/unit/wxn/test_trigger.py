import json
from typing import Any

import pytest

from tests.unit.wxn.fakes import FakeRun
from wechat_notify.core.messages import kinds
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat import error_codes
from wxn.api import ApiError
from wxn.commands.trigger import trigger
from wxn.errors import CommandError, ExitCode
from wxn.stacks import Stack
from wxn.triggers import ERRORS, EXAMPLES, addressed, example, find

POST = "POST messages"
SENT = {"id": "1", "kind": "template", "status": "sent"}
HOLD = {"holds": [{"id": "kind:subscription"}]}


def on_laptop(answers: dict[str, Any], *, as_json: bool = False) -> FakeRun:
    run = FakeRun({"GET holds": {"holds": []}, **answers}, as_json=as_json)
    run.stack = Stack("fake", laptop={})
    return run


def test_names_are_unique() -> None:
    names = [each.name for each in (*EXAMPLES, *ERRORS)]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [each.name for each in EXAMPLES])
def test_examples_keep_the_rules(name: str) -> None:
    message, warnings = parse_message(addressed(example(name), "oA"))

    assert (warnings, message.touser, message.cloud_call) == ([], "oA", name == "cloud_call")


def test_every_kind_has_an_example() -> None:
    assert {example(each.name)["kind"] for each in EXAMPLES} == set(kinds.KINDS)


def test_every_class_has_an_error() -> None:
    codes = {each.name: each.errcode for each in ERRORS if each.errcode is not None}
    classes = {error_codes.lookup(code).error_class for code in codes.values()}

    assert classes | {ErrorClass.SUCCESS, ErrorClass.UNKNOWN} == set(ErrorClass)
    for name, code in codes.items():
        assert error_codes.lookup(code).error_class.value == name.removesuffix("_id")


@pytest.mark.parametrize(
    ("name", "recipient"),
    [
        ("rate-limit", "errcode-45011"),
        ("43101", "errcode-43101"),
        ("errcode--1", "errcode--1"),
        ("-1", "errcode--1"),
        ("fault-html", "fault-html"),
    ],
)
def test_names_of_errors(name: str, recipient: str) -> None:
    found = find(name)

    assert found is not None
    assert found.recipient == recipient


@pytest.mark.parametrize("name", ["mini_program_template", "cloud_call", "template"])
def test_example_is_good_again(name: str) -> None:
    """WeChat takes a form id once, and a client_msg_id once in ten minutes."""
    first, second = (addressed(example(name), "oA") for _ in range(2))
    field = {"cloud_call": "formId", "mini_program_template": "form_id", "template": "client_msg_id"}[name]

    assert first.get(field) != second.get(field) or field not in first


def test_kind(capsys: pytest.CaptureFixture[str]) -> None:
    run = on_laptop({POST: SENT})

    trigger(run, "template")

    assert run.calls[0][2]["kind"] == "template"
    assert run.calls[0][2]["touser"].startswith("openid-")
    assert capsys.readouterr().out.startswith("sent  1\n")


def test_error_is_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    run = on_laptop({POST: ApiError(429, {"errcode": 45009}), "GET holds": HOLD})

    trigger(run, "quota")

    printed = capsys.readouterr()
    assert run.calls[0][2]["touser"] == "errcode-45009"
    assert printed.out.startswith("errcode 45009  ")
    assert "wxn holds release kind:subscription" in printed.err


def test_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    trigger(on_laptop({POST: ApiError(422, {"errcode": 43101})}, as_json=True), "43101")

    printed = json.loads(capsys.readouterr().out)
    assert printed["errcode"] == 43101
    assert len(printed["id"]) == 32


def test_lost_answer() -> None:
    trigger(on_laptop({POST: ApiError(504, {"errcode": None})}), "lost_answer", kind="template")


def test_error_behind_a_hold() -> None:
    run = on_laptop({POST: ApiError(502, {"errcode": 40164})})

    with pytest.raises(CommandError) as caught:
        trigger(run, "quota")

    assert "wxn holds list" in caught.value.next_step


def test_empty_recipient_is_not_replaced() -> None:
    """Such as a variable of a shell that is empty: the service refuses it."""
    run = on_laptop({POST: SENT})

    trigger(run, "template", to="")

    assert run.calls[0][2]["touser"] == ""


def test_refused_example() -> None:
    with pytest.raises(ApiError):
        trigger(on_laptop({POST: ApiError(422, {"errcode": 43101})}), "template")


def test_filled_template_of_account() -> None:
    filled = {"kind": "subscription", "touser": "OPENID", "template_id": "T", "data": {}}
    run = on_laptop({"GET templates/T": {"messages": [{"kind": "template"}, filled]}, POST: SENT})

    trigger(run, "subscription", to="oA", template="T")

    assert run.calls[1][2] == {**filled, "touser": "oA"}


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("templat", {}, "There is nothing to trigger by the name templat."),
        ("43101", {"to": "oA"}, "An error is played for its own recipient, errcode-43101."),
        ("template", {"kind": "template"}, "template is a kind already."),
        ("43101", {"kind": "sms"}, "sms is no kind of message."),
        ("template", {"template": "T"}, "The template is for subscription, not for template."),
    ],
)
def test_wrong_use(name: str, options: dict[str, Any], told: str) -> None:
    run = on_laptop({"GET templates/T": {"messages": [{"kind": "subscription"}]}})

    with pytest.raises(CommandError) as caught:
        trigger(run, name, **options)

    assert (caught.value.message, caught.value.exit_code) == (told, ExitCode.USAGE)


@pytest.mark.parametrize(
    ("name", "next_step"), [("quotas", "Did you mean quota?"), ("4310x", "See what there is: wxn trigger")]
)
def test_unknown_name(name: str, next_step: str) -> None:
    with pytest.raises(CommandError) as caught:
        trigger(on_laptop({}), name)

    assert caught.value.next_step == next_step


@pytest.mark.parametrize(
    ("name", "told"), [("43101", "plays no errors"), ("template", "sends to real people")]
)
def test_refused_in_aws(name: str, told: str) -> None:
    run = FakeRun({})

    with pytest.raises(CommandError) as caught:
        trigger(run, name)

    assert told in caught.value.message
    assert run.calls == []


def test_kind_in_aws() -> None:
    run = FakeRun(
        {
            POST: {
                **SENT,
                "dry_run": True,
                "would": "send",
                "preview": {"keywords": [], "template_known": True},
            }
        }
    )

    trigger(run, "template", to="oA", dry_run=True)

    assert (run.calls[0][2]["touser"], run.calls[0][3]) == ("oA", {"dry_run": "true"})


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    trigger(FakeRun({}))

    out = capsys.readouterr().out
    assert [each.name for each in (*EXAMPLES, *ERRORS) if each.name not in out] == []
