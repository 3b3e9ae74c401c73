"""``wxn account`` and ``wxn dlq`` against the stack."""

from __future__ import annotations

import json

import pytest

from local.examples import addressed, examples
from tests.e2e.conftest import ACCEPTED, CommandLine, Service
from wxn import dead_letters

SECRET = "a" * 32


@pytest.fixture
def app_id(service: Service, touser: str) -> str:
    """An app at WeChat with this secret."""
    app_id = f"wx{touser[-12:]}"
    service.tell("apps", app_id=app_id, secret=SECRET)
    return app_id


def test_account_from_wrong_to_right(wxn: CommandLine, app_id: str, touser: str) -> None:
    name = f"new-{touser[-12:]}"
    wrong = wxn("account", "add", name, "--app-id", app_id, "--secret-stdin", text="b" * 32)
    assert (wrong.exit_code, "the app secret is wrong" in wrong.stderr) == (1, True)
    assert "error" in wxn("account", "add", name, "--app-id", app_id, "--secret-stdin", text=SECRET).stderr

    right = wxn("account", "add", name, "--replace", "--secret-stdin", text=SECRET)
    assert (right.exit_code, right.stdout) == (0, f"WeChat accepts the credentials of {name}.\n")
    listed = json.loads(wxn("account", "list", "--json").stdout)["accounts"]
    (found,) = [each for each in listed if each["name"] == name]
    assert (found["app_id"], found["token_age"] < 60) == (app_id, True)

    assert wxn("account", "remove", name, "--yes").exit_code == 0
    assert f"There is no account {name}." in wxn("account", "check", name).stderr


def test_dead_letter_is_sent_after_all(
    wxn: CommandLine, service: Service, touser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    url = service.stack.deployment.physical_ids["DeadLetterQueue"]
    body = service.body(addressed(examples()[0], touser))
    sent = service.client("sqs").send_message(QueueUrl=url, MessageBody=body)["MessageId"]
    listed = [json.loads(line) for line in wxn("dlq", "list", "--json").stdout.splitlines()]
    assert [each["target"] for each in listed if each["id"] == sent] == ["SendQueue"]

    redriven = wxn("dlq", "redrive", "--id", sent, "--yes")
    assert (redriven.exit_code, redriven.stdout) == (
        0,
        "1 sent, 1 deleted from the dead letter queue, 0 failed\n",
    )
    (arrived,) = service.arrives(touser)
    assert arrived["accepted"]
    assert service.becomes(sent, *ACCEPTED)
