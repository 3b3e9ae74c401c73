import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.unit.wxn.fakes import FakeRun
from wechat_notify.core.messages.kinds import KINDS
from wxn import messages
from wxn.api import ApiError
from wxn.commands.send import send
from wxn.errors import CommandError, ExitCode
from wxn.messages import MessageOptions, read_messages

POST = "POST messages"
SENT = {"id": "order-1", "kind": "template", "status": "sent", "wechat": {"errcode": 0, "errmsg": "ok"}}
PREVIEW = {"template_known": False, "keywords": [{"key": "thing1", "shown": "巧克力"}]}
DRY = {
    "id": "order-1",
    "kind": "template",
    "dry_run": True,
    "would": "send",
    "warnings": [],
    "preview": PREVIEW,
}


def refusal(status: int, **problem: Any) -> ApiError:
    return ApiError(status, {"status": status, "hint": {"en": "So it is.", "zh": "如此。"}, **problem})


def given(file: str | None = None, **options: Any) -> dict[str, Any]:
    """The one message that a file and options make."""
    ((_, message),) = read_messages(file, MessageOptions(**options))
    return message


def test_kinds_are_those_of_the_service() -> None:
    assert messages.KINDS == KINDS


def test_message_of_options() -> None:
    message = given(
        kind="template",
        to="OPENID",
        template="T",
        url="https://example.com",
        data=["thing1=a=b", "amount2=¥39.80"],
        fields=["miniprogram.appid=wx1", "miniprogram.pagepath=index"],
    )

    assert message == {
        "kind": "template",
        "touser": "OPENID",
        "template_id": "T",
        "url": "https://example.com",
        "data": {"thing1": {"value": "a=b"}, "amount2": {"value": "¥39.80"}},
        "miniprogram": {"appid": "wx1", "pagepath": "index"},
    }


def test_options_change_a_file(tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    path.write_text('{"kind": "template", "touser": "OPENID", "data": {"thing1": {"value": "a"}}}')

    message = given(str(path), to="oA", data=["thing2=b"])

    assert message["touser"] == "oA"
    assert message["data"] == {"thing1": {"value": "a"}, "thing2": {"value": "b"}}


def test_template_in_cloud_call_spelling(tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    path.write_text('{"kind": "mini_program_template", "templateId": "A"}')

    assert given(str(path), template="B") == {"kind": "mini_program_template", "templateId": "B"}


@pytest.mark.parametrize(
    ("options", "told", "next_step"),
    [
        ({}, "There is no message to send.", "--kind"),
        ({"to": "oA"}, 'the message has no "kind".', "one_time_subscription"),
        ({"kind": "subscribtion"}, "subscribtion is no kind of message.", "Did you mean subscription?"),
        ({"kind": "Mini-Program-Template"}, "is no kind", "Did you mean mini_program_template?"),
        ({"kind": "sms"}, "sms is no kind of message.", "Use one of"),
        ({"kind": "template", "data": ["thing1"]}, "--data thing1 has no value.", "name=value"),
        ({"kind": "template", "fields": ["=x"]}, "--set =x has no value.", "name=value"),
        ({"kind": "template", "url": "u", "fields": ["url.a=x"]}, "url of the message is no object.", "docs"),
    ],
)
def test_wrong_options(options: dict[str, Any], told: str, next_step: str) -> None:
    with pytest.raises(CommandError) as caught:
        given(**options)

    assert caught.value.exit_code is ExitCode.USAGE
    assert told in caught.value.message
    assert next_step in caught.value.next_step


def test_headers_of_a_request() -> None:
    run = FakeRun({POST: SENT})

    send(run, kind="template", message_id="order-1", respond_async=True, expires_at="2027-01-01T00:00:00Z",
         at_least_once=True)  # fmt: skip

    message = {"kind": "template", "expires_at": "2027-01-01T00:00:00Z", "delivery": "at_least_once"}
    headers = {"Idempotency-Key": "order-1", "Prefer": "respond-async"}
    assert run.calls == [("POST", "messages", message, {}, headers)]


def test_generated_ids_differ() -> None:
    run = FakeRun({POST: SENT})

    send(run, kind="template")
    send(run, kind="template")

    first, second = (headers["Idempotency-Key"] for *_, headers in run.calls)
    assert len(first) == 32
    assert first != second


def test_answer(capsys: pytest.CaptureFixture[str]) -> None:
    warning = {"path": "data.thing1.color", "en": "WeChat shows no colours here"}

    send(FakeRun({POST: {**SENT, "warnings": [warning]}}), kind="template")

    out = capsys.readouterr().out
    assert out.startswith("sent  order-1\n")
    assert "warning: data.thing1.color: WeChat shows no colours here" in out
    assert "wxn status order-1" in out


def test_id_that_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    send(FakeRun({POST: {**SENT, "id": "[/]"}}), kind="template")

    assert capsys.readouterr().out.startswith("sent  [/]\n")


def test_answer_to_a_duplicate(capsys: pytest.CaptureFixture[str]) -> None:
    send(FakeRun({POST: {**SENT, "wechat": {"errcode": 45065}}}), kind="template")

    assert "WeChat had this very message already." in capsys.readouterr().out


def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({POST: DRY})

    send(run, kind="template", dry_run=True)

    out = capsys.readouterr().out
    assert run.calls[0][3] == {"dry_run": "true"}
    assert "nothing was sent" in out
    assert "thing1: 巧克力" in out


def test_dry_run_of_held_message(capsys: pytest.CaptureFixture[str]) -> None:
    hold = {"id": "kind:template", "held_until": "2026-03-01T16:02:00.000Z", "errcode": 45009}

    send(FakeRun({POST: {**DRY, "would": "hold", "hold": hold}}), kind="template", dry_run=True)

    out = capsys.readouterr().out
    assert "It would wait: it is held." in out
    assert "kind:template" in out


def test_dry_run_of_expired_message() -> None:
    with pytest.raises(typer.Exit) as caught:
        send(FakeRun({POST: {**DRY, "would": "expire"}}), kind="template", dry_run=True)

    assert caught.value.exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    ("error", "code", "next_step"),
    [
        (refusal(422, errcode=43101), ExitCode.FAILED, "wxn explain 43101"),
        (refusal(422, errCode=41028), ExitCode.FAILED, "wxn explain 41028"),
        (refusal(422, errors=[{"path": "url", "en": "is wrong"}]), ExitCode.USAGE, "Correct it"),
        (refusal(503, errcode=-1, retryable=True), ExitCode.UNAVAILABLE, "later with --id order-1"),
        (refusal(504, retryable=False), ExitCode.UNAVAILABLE, "Look it up: wxn status order-1"),
        (refusal(504, retryable=True), ExitCode.UNAVAILABLE, "repeat the command with --id order-1"),
        (ApiError(503, {"message": "Service Unavailable"}), ExitCode.UNAVAILABLE, "later with --id order-1"),
        (ApiError(502, {}), ExitCode.UNAVAILABLE, "later with --id order-1"),
        (CommandError("no answer", "", ExitCode.UNAVAILABLE), ExitCode.UNAVAILABLE, "with --id order-1"),
    ],
)
def test_refusals(error: CommandError, code: ExitCode, next_step: str) -> None:
    with pytest.raises(CommandError) as caught:
        send(FakeRun({POST: error}), kind="template", message_id="order-1")

    assert caught.value.exit_code is code
    assert next_step in caught.value.next_step


def test_interrupted_send_tells_the_id() -> None:
    """Without it the message would be sent twice by the same command."""
    run = FakeRun({POST: KeyboardInterrupt()})
    with pytest.raises(CommandError) as caught:
        send(run, kind="template")

    (((*_, headers)),) = run.calls
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    assert f"--id {headers['Idempotency-Key']}" in caught.value.next_step


def lines_file(folder: Path) -> str:
    path = folder / "messages.jsonl"
    path.write_text('{"kind": "template"}\n\n{"kind": "template"}\n')
    return str(path)


def test_several_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({POST: SENT}, as_json=True)

    send(run, lines_file(tmp_path), message_id="batch")

    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [headers["Idempotency-Key"] for *_, headers in run.calls] == ["batch:1", "batch:3"]
    assert [answer["line"] for answer in printed] == [1, 3]


def test_several_messages_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({POST: refusal(422, errcode=43101)})

    with pytest.raises(typer.Exit) as caught:
        send(run, lines_file(tmp_path), message_id="batch")

    assert caught.value.exit_code == ExitCode.FAILED
    assert capsys.readouterr().out.splitlines() == [
        "1  errcode 43101  batch:1  So it is.",
        "3  errcode 43101  batch:3  So it is.",
    ]


@pytest.mark.parametrize(
    "error",
    [refusal(HTTPStatus.FORBIDDEN), CommandError("no answer", "", ExitCode.UNAVAILABLE)],
    ids=["no access", "no answer"],
)
def test_several_messages_stop(tmp_path: Path, error: CommandError) -> None:
    run = FakeRun({POST: error})

    with pytest.raises(CommandError) as caught:
        send(run, lines_file(tmp_path), message_id="batch")

    assert caught.value is error
    assert len(run.calls) == 1
    assert "--id batch:1" not in caught.value.next_step


def test_several_messages_without_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of a pipe ends it behind the first line."""
    run = FakeRun({POST: SENT})
    monkeypatch.setattr(run.output, "show", lambda *_: throw(BrokenPipeError()))
    monkeypatch.setattr("wxn.commands.send.discard", lambda _: None)

    with pytest.raises(CommandError, match="behind line 1 was not sent") as caught:
        send(run, lines_file(tmp_path), message_id="batch")

    assert len(run.calls) == 1
    assert "--id batch:" in caught.value.next_step


def throw(error: Exception) -> None:
    raise error
