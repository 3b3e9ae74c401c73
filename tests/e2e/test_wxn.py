"""``wxn`` against the stack: what a command prints, and its exit code."""

import json

from local.examples import addressed, examples
from tests.e2e.conftest import CommandLine, Service, eventually


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
