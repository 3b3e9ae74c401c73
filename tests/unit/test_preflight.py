from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from operations import preflight as module
from operations.preflight import (
    PreflightError,
    check_concurrency,
    check_credentials,
    check_wheels,
    environment,
    main,
    session,
)

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "samconfig.toml"


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "CANARY"}}, "Operation")


class FakeAws:
    """Clients by service; ``failing`` maps an operation to its error."""

    def __init__(self, *, limit: int = 1000, unreserved: int = 1000, reserved: int | None = None) -> None:
        self.limit, self.unreserved, self.reserved = limit, unreserved, reserved
        self.failing: dict[str, Exception] = {}

    def __call__(self, _service: str) -> Any:
        operations = {
            "get_caller_identity": {"Account": "123456789012"},
            "get_account_settings": {
                "AccountLimit": {
                    "ConcurrentExecutions": self.limit,
                    "UnreservedConcurrentExecutions": self.unreserved,
                }
            },
            "describe_stack_resource": {"StackResourceDetail": {"PhysicalResourceId": "refresh"}},
            "get_function_concurrency": (
                {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}
            ),
        }

        def operation(name: str) -> Any:
            def call(**_: Any) -> Any:
                if name in self.failing:
                    raise self.failing[name]
                return operations[name]

            return call

        return SimpleNamespace(**{name: operation(name) for name in operations})


def told(call: Any) -> str:
    with pytest.raises(PreflightError) as error:
        call()
    assert "CANARY" not in str(error.value)
    return str(error.value)


def test_an_environment_is_one_of_samconfig() -> None:
    assert environment("staging", CONFIG)["stack_name"] == "wechat-notify-staging"
    message = told(lambda: environment("typo", CONFIG))
    assert "ENV=typo is not in samconfig.toml: take one of default, staging, prod" in message


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("no_aws")
def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # which the SAM CLI does not read
    assert "AWS_DEFAULT_REGION" in told(lambda: session({}))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert session({}).region_name == "eu-west-1"
    assert session({"region": "cn-north-1"}).region_name == "cn-north-1"


@pytest.mark.usefixtures("no_aws")
def test_a_profile_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "AWS_PROFILE" in told(lambda: session({}))


@pytest.mark.parametrize("error", [NoCredentialsError(), refusal("ExpiredToken")])
def test_credentials_are_needed(error: Exception) -> None:
    aws = FakeAws()
    check_credentials(aws)
    aws.failing = {"get_caller_identity": error}
    assert "sign in" in told(lambda: check_credentials(aws))


def test_one_execution_can_be_reserved() -> None:
    assert check_concurrency(FakeAws(unreserved=101), "stack") is None


@pytest.mark.parametrize(("limit", "unreserved"), [(10, 10), (1000, 100)])
def test_a_small_account_is_told_to_ask_for_more(limit: int, unreserved: int) -> None:
    aws = FakeAws(limit=limit, unreserved=unreserved)
    aws.failing = {"describe_stack_resource": refusal("ValidationError")}
    message = told(lambda: check_concurrency(aws, "stack"))
    assert f"of {limit} in this region {unreserved} are unreserved" in message
    assert "request-service-quota-increase" in message


def test_a_stack_that_has_its_reservation_is_deployed_again() -> None:
    assert check_concurrency(FakeAws(unreserved=100, reserved=1), "stack") is None
    with pytest.raises(PreflightError):
        check_concurrency(FakeAws(unreserved=100), "stack")


def test_who_may_not_look_goes_on() -> None:
    aws = FakeAws()
    aws.failing = {"get_account_settings": refusal("AccessDeniedException")}
    assert "not checked" in str(check_concurrency(aws, "stack"))
    aws.failing = {"get_account_settings": refusal("ServiceException")}
    assert "try again" in told(lambda: check_concurrency(aws, "stack"))


def test_the_wheels_of_both_platforms_are_looked_for() -> None:
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command[command.index("--python-platform") + 1])
        missing = len(asked) == 2
        return SimpleNamespace(returncode=int(missing), stderr="no wheels\n  for pydantic-core" * missing)

    message = told(lambda: check_wheels(run))
    makefile = (ROOT / "layers/wechat_notify/Makefile").read_text("utf-8")
    assert all(f"PLATFORM := {platform}" in makefile for platform in asked)
    assert "cannot be had for x86_64" in message
    assert message.endswith("uv says: no wheels for pydantic-core")


@pytest.mark.usefixtures("no_aws")
def test_what_is_wrong_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "typo"]) == 1
    assert main([]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["ENV=typo", "No"]


@pytest.mark.usefixtures("no_aws")
def test_what_is_well_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = FakeAws()
    made = SimpleNamespace(region_name="eu-west-1", client=lambda service, **_: aws(service))
    monkeypatch.setattr(module, "session", lambda _parameters: made)
    monkeypatch.setattr(module, "check_wheels", lambda: None)
    assert main(["--env", "prod"]) == 0
    assert capsys.readouterr().err == "wechat-notify-prod can be deployed to eu-west-1\n"
