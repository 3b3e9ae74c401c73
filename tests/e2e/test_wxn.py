"""``wxn`` against the stack: what a command prints, and its exit code."""

import json

import pytest

from local.examples import addressed, examples
from tests.e2e.conftest import ACCEPTED, CommandLine, Service, eventually
from wxn.triggers import EXAMPLES


def test_quota(wxn: CommandLine) -> None:
    result = wxn("quota")

    assert result.exit_code == 0
    assert "template" in result.stdout
    assert "100,000" in result.stdout


def test_quota_as_json(wxn: CommandLine) -> None:
    kinds = json.loads(wxn("quota", "--json").stdout)["kinds"]

    assert {kind["kind"] for kind in kinds} >= {"template", "subscription"}


def test_release_of_unknown_hold(wxn: CommandLine) -> None:
    result = wxn("holds", "release", "kind:template")

    assert result.exit_code == 1
    assert "error: Not found (404)" in result.stderr
    assert result.stdout == ""


def test_tail_tells_a_message(wxn: CommandLine, service: Service) -> None:
    """A message over HTTP and its request, one of the queue, all under their ids."""
    answer = service.post(addressed(examples()[0], "tail-1")).json()

    def told() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in wxn("tail", "--since", "1m", "--no-follow", "--json").stdout.splitlines():
            document = json.loads(line)
            found.setdefault(str(document["fields"].get("message_id")), []).append(document["kind"])
        return found

    assert eventually(lambda: answer["id"] in told())
    assert "request" in told()[answer["id"]]
    assert "POST messages 200" in wxn("tail", "--since", "1m", "--no-follow", "--id", answer["id"]).stdout


def test_tail_of_unknown_function(wxn: CommandLine) -> None:
    result = wxn("tail", "--function", "send_que")

    assert result.exit_code == 2
    assert "There is no function send_que" in result.stderr


@pytest.mark.parametrize("name", [each.name for each in EXAMPLES])
def test_trigger_of_kind(wxn: CommandLine, service: Service, touser: str, name: str) -> None:
    result = wxn("trigger", name, "--to", touser)

    assert (result.exit_code, result.stderr) == (0, "")
    assert [message["errcode"] for message in service.arrived(touser)] == [0]


@pytest.mark.parametrize(("name", "told"), [("43101", "errcode 43101"), ("lost-answer", "answer was lost")])
def test_trigger_of_error(wxn: CommandLine, name: str, told: str) -> None:
    result = wxn("trigger", name)

    assert result.exit_code == 0, result.stderr
    assert told in result.stdout


def test_send_twice_under_an_id(wxn: CommandLine, service: Service, touser: str) -> None:
    message = json.dumps(addressed(examples()[0], touser))

    first, second = (wxn("send", "-", "--id", touser, "--json", text=message) for _ in range(2))

    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert len(service.arrived(touser)) == 1


def test_send_of_decimal_number(wxn: CommandLine, service: Service, touser: str) -> None:
    """The zero at its end reaches WeChat."""
    message = f'{{"kind": "template", "touser": "{touser}", "data": {{"amount1": {{"value": 39.80}}}}}}'

    wxn("send", "-", "--template", "T", text=message)

    (arrived,) = service.arrived(touser)
    assert json.loads(arrived["body"])["data"]["amount1"]["value"] == "39.80"


def test_refused_message_names_its_fields(wxn: CommandLine) -> None:
    result = wxn("send", "--kind", "template", "--to", "oA", "--template", "T", "--data", "phrase1=abc")

    assert result.exit_code == 2
    assert "data.phrase1.value: must be" in result.stderr


def test_send_of_several_messages(wxn: CommandLine, touser: str) -> None:
    good, bad = (json.dumps(addressed(examples()[0], to)) for to in (touser, "errcode-43101"))

    result = wxn("send", "-", "--json", text=f"{good}\n{bad}\n")

    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [(answer["line"], answer["status"]) for answer in answers] == [(1, "sent"), (2, 422)]


def test_dry_run_of_message(wxn: CommandLine, service: Service, touser: str) -> None:
    result = wxn("trigger", "template", "--to", touser, "--dry-run")

    assert "It would be sent." in result.stdout
    assert service.arrived(touser) == []


def test_message_that_waits_is_cancelled(wxn: CommandLine, touser: str) -> None:
    wxn("send", "-", "--async", "--id", touser, text=json.dumps(addressed(examples()[0], "errcode--1")))

    assert eventually(lambda: "errcode" in wxn("status", touser).stdout)
    assert wxn("cancel", touser).stdout.startswith(f"cancelled  {touser}\n")
    assert eventually(lambda: touser in wxn("messages", "--status", "cancelled", "--since", "10m").stdout)


def test_message_that_was_sent_is_not_cancelled(wxn: CommandLine, touser: str) -> None:
    wxn("trigger", "template", "--to", touser)
    listed = wxn("messages", "--status", ",".join(ACCEPTED), "--limit", "1", "--json").stdout
    (message,) = json.loads(listed)["messages"]

    result = wxn("cancel", message["id"])

    assert result.exit_code == 1
    assert any(f"cannot be cancelled: it is {status}" in result.stderr for status in ACCEPTED)


def test_schedule_of_message(wxn: CommandLine, touser: str) -> None:
    message = json.dumps(examples()[0])

    assert wxn("schedule", "put", touser, "-", "--cron", "0 9 ? * MON *", text=message).exit_code == 0
    assert touser in wxn("schedule", "list").stdout
    assert json.loads(wxn("schedule", "show", touser, "--json").stdout)["message"] == examples()[0]
    assert wxn("schedule", "delete", touser).exit_code == 0
    assert wxn("schedule", "show", touser).exit_code == 1


def test_templates_are_read(wxn: CommandLine, service: Service) -> None:
    service.add_account("wxn")
    service.client("lambda").invoke(
        FunctionName=service.stack.deployment.outputs["TokenRefreshFunctionName"],
        Payload=json.dumps({"account": "wxn"}),
    )

    assert wxn("templates", "sync", "--account", "wxn").stdout == "wxn: 6 templates\n"
    template = json.loads(wxn("templates", "list", "--account", "wxn", "--json").stdout)["templates"][0]
    assert template["title"] in wxn("templates", "show", template["id"], "--account", "wxn").stdout
