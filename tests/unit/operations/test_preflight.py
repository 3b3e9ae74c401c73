from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from samtranslator.yaml_helper import yaml_parse

from operations import environments, preflight
from operations.environments import template_parameters

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "samconfig.toml"
PARAMETERS = template_parameters({}, (ROOT / "template.yaml").read_text("utf-8"))


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "CANARY"}}, "Operation")


class FakeAws:
    """Clients by service; ``failing`` maps an operation to its error."""

    def __init__(self, *, limit: int = 1000, unreserved: int = 1000, reserved: int | None = None) -> None:
        self.failing: dict[str, Exception] = {}
        account = {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}
        self._answers: dict[str, Any] = {
            "get_caller_identity": {"Account": "123456789012"},
            "get_account_settings": {"AccountLimit": account},
            "describe_stack_resource": {"StackResourceDetail": {"PhysicalResourceId": "refresh"}},
            "get_function_concurrency": {"ReservedConcurrentExecutions": reserved} if reserved else {},
            "list_subscriptions_by_topic": {"Subscriptions": []},
            "get_topic_attributes": {"Attributes": {}},
        }

    def subscribe(self, *arns: str) -> None:
        subscriptions = [{"SubscriptionArn": arn} for arn in arns]
        self._answers["list_subscriptions_by_topic"] = {"Subscriptions": subscriptions}

    def encrypt(self, key: str) -> None:
        self._answers["get_topic_attributes"] = {"Attributes": {"KmsMasterKeyId": key}}

    def paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=lambda **asked: [self._operation(name)(**asked)])

    def __call__(self, _service: str) -> Any:
        operations = {name: self._operation(name) for name in self._answers}
        return SimpleNamespace(get_paginator=self.paginator, **operations)

    def _operation(self, name: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            if name in self.failing:
                raise self.failing[name]
            return self._answers[name]

        return call


def told(check: Callable[..., object], *arguments: object) -> str:
    """The one thing that is wrong."""
    with pytest.raises(environments.PreflightError) as error:
        check(*arguments)
    assert "CANARY" not in str(error.value)
    return str(error.value)


def test_environments_are_those_of_samconfig() -> None:
    assert environments.environment("staging", CONFIG)["stack_name"] == "wechat-notify-staging"
    message = told(environments.environment, "typo", CONFIG)
    assert "ENV=typo is not in samconfig.toml: take one of default, staging, prod" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("[default", "samconfig.toml cannot be read"),
        ("[default.deploy.parameters]", "needs a stack_name"),
        (f'[default.global.parameters]\nstack_name = "{"x" * 65}"', "1 to 64 characters"),
    ],
)
def test_wrong_configuration(text: str | None, message: str, tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    if text is not None:
        config.write_text(text, "utf-8")
    assert message in told(environments.environment, "default", config)


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the AWS configuration of whoever runs the tests."""
    for name in ("DEFAULT_REGION", "REGION", "PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("no_aws")
def test_session_needs_region_and_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # which the SAM CLI does not read
    assert "AWS_DEFAULT_REGION" in told(preflight.session, {})
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert preflight.session({}).region_name == "eu-west-1"
    assert preflight.session({"region": "cn-north-1"}).region_name == "cn-north-1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "AWS_PROFILE" in told(preflight.session, {})


@pytest.mark.parametrize("error", [NoCredentialsError(), refusal("ExpiredToken")])
def test_credentials_are_needed(error: Exception) -> None:
    aws = FakeAws()
    preflight.check_credentials(aws)
    aws.failing = {"get_caller_identity": error}
    assert "sign in" in told(preflight.check_credentials, aws)


@pytest.mark.parametrize(("unreserved", "reserved"), [(271, None), (267, 1), (100, 170)])
def test_executions_can_be_reserved(unreserved: int, reserved: int | None) -> None:
    """Or they are, by an earlier deployment."""
    aws = FakeAws(unreserved=unreserved, reserved=reserved)
    assert preflight.check_concurrency(aws, "stack", PARAMETERS) is None


def test_fewer_are_needed_where_fewer_are_wanted() -> None:
    nothing = dict.fromkeys(preflight.RESERVING.values(), "0")
    assert preflight.check_concurrency(FakeAws(unreserved=101), "stack", nothing) is None
    assert "SendApiConcurrency" in told(
        preflight.check_concurrency, FakeAws(unreserved=270), "stack", PARAMETERS
    )


@pytest.mark.parametrize("missing", ["describe_stack_resource", "get_function_concurrency", None])
def test_small_account_asks_for_more(missing: str | None) -> None:
    aws = FakeAws(limit=1000, unreserved=100)
    if missing:
        aws.failing = {missing: refusal("ValidationError")}
    message = told(preflight.check_concurrency, aws, "stack", PARAMETERS)
    assert "of 1000 in this region 100 are unreserved" in message
    assert "request-service-quota-increase" in message


@pytest.mark.parametrize(
    ("operation", "denied"),
    [
        ("get_account_settings", "AccessDeniedException"),
        ("describe_stack_resource", "AccessDenied"),
        ("get_function_concurrency", "AccessDenied"),
    ],
)
def test_unseen_concurrency_stops_no_deployment(operation: str, denied: str) -> None:
    """What may not be looked at is remarked; its reservation may be why so little is left."""
    aws = FakeAws(unreserved=100, reserved=1)
    aws.failing = {operation: refusal(denied)}
    assert "not checked" in str(preflight.check_concurrency(aws, "stack", PARAMETERS))
    aws.failing = {operation: refusal("Throttling")}
    assert "try again" in told(preflight.check_concurrency, aws, "stack", PARAMETERS)


@pytest.mark.parametrize(
    "given", [["Stage=prod", "AlarmEmail=ops@example.com"], 'Stage="prod" AlarmEmail="ops@example.com"']
)
def test_overrides_as_sam_reads_them(given: object) -> None:
    expected = {"Stage": "prod", "AlarmEmail": "ops@example.com"}
    assert environments.overrides({"parameter_overrides": given}) == expected
    assert environments.overrides({}) == {}


TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CONFIRMED = f"{TOPIC}:1"
PROD = {"Stage": "prod", "AlarmTopicArn": TOPIC}


@pytest.mark.parametrize(
    "given", [{"Stage": "prod", "AlarmEmail": "ops@example.com"}, PROD, {"Stage": "dev"}, {}]
)
def test_somebody_hears_of_alarms(given: dict[str, str]) -> None:
    """Or need not, outside of production."""
    aws = FakeAws()
    aws.subscribe("PendingConfirmation", CONFIRMED)
    assert preflight.check_alarms(aws, "prod", given) is None


def test_production_needs_somebody_who_hears() -> None:
    message = told(preflight.check_alarms, FakeAws(), "prod", {"Stage": "prod"})
    assert "add AlarmEmail=<address>" in message
    assert "ENV=prod" in message


@pytest.mark.parametrize("arns", [(), ("PendingConfirmation",)])
def test_topic_needs_a_confirmed_subscription(arns: tuple[str, ...]) -> None:
    aws = FakeAws()
    aws.subscribe(*arns)
    assert "sns subscribe --topic-arn" in told(preflight.check_alarms, aws, "prod", PROD)
    remark = preflight.check_alarms(aws, "staging", PROD | {"Stage": "staging"})
    assert "Nobody has confirmed" in str(remark)


@pytest.mark.parametrize("key", ["alias/aws/sns", "arn:aws:kms:eu-west-1:123456789012:alias/aws/sns"])
def test_topic_that_cloudwatch_cannot_publish_to(key: str) -> None:
    aws = FakeAws()
    aws.subscribe(CONFIRMED)
    aws.encrypt(key)
    assert "CloudWatch cannot publish" in told(preflight.check_alarms, aws, "staging", PROD)
    aws.encrypt("alias/alarms")
    assert preflight.check_alarms(aws, "prod", PROD) is None


def test_topic_that_cannot_be_looked_at() -> None:
    """One that is not there stops a deployment; that nobody may look does not."""
    aws = FakeAws()
    aws.failing = {"list_subscriptions_by_topic": refusal("AuthorizationError")}
    assert "not checked" in str(preflight.check_alarms(aws, "prod", PROD))
    aws.failing = {"list_subscriptions_by_topic": refusal("NotFound")}
    assert "correct its ARN" in told(preflight.check_alarms, aws, "prod", PROD)


def test_quota_that_the_alarm_reckons_with() -> None:
    assert preflight.check_quota(FakeAws(limit=1000), {}) is None
    assert preflight.check_quota(FakeAws(limit=5000), {"AccountConcurrency": "5000"}) is None
    assert "AccountConcurrency=5000" in str(preflight.check_quota(FakeAws(limit=5000), {}))
    aws = FakeAws()
    aws.failing = {"get_account_settings": refusal("AccessDenied")}
    assert preflight.check_quota(aws, {}) is None
    template = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))
    assert template["Parameters"]["AccountConcurrency"]["Default"] == preflight._USUAL_CONCURRENCY


class Uv:
    """An installer that has wheels for the first platforms only."""

    def __init__(self, platforms: int = 2) -> None:
        self.commands: list[list[str]] = []
        self._platforms = platforms

    def __call__(self, command: list[str], **_: Any) -> Any:
        self.commands.append(command)
        missing = len(self.commands) > self._platforms
        return SimpleNamespace(returncode=int(missing), stderr="no wheels\n  for pydantic-core" * missing)

    def given(self, option: str) -> list[str]:
        return [command[command.index(option) + 1] for command in self.commands]


def test_wheels_of_both_platforms() -> None:
    """They are compared with the lock: a dry run takes one that lacks a hash of a platform's wheel."""
    uv = Uv()
    preflight.check_wheels(uv)
    makefile = (ROOT / "layers/wechat_notify/Makefile").read_text("utf-8")
    assert all(f"PLATFORM := {platform}" in makefile for platform in uv.given("--python-platform"))
    assert all("--require-hashes" in command and "--dry-run" not in command for command in uv.commands)
    assert uv.given("--only-binary") == [":all:"] * 2
    assert len(set(uv.given("--target"))) == 2


def test_missing_wheels() -> None:
    message = told(preflight.check_wheels, Uv(platforms=1))
    assert "cannot be had for x86_64" in message
    assert message.endswith("uv says: no wheels for pydantic-core")


def test_missing_installer() -> None:
    def run(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("uv")

    assert "remove .venv-sam" in told(preflight.check_wheels, run)


@pytest.mark.usefixtures("no_aws")
def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main(["--env", "typo"]) == 1
    assert preflight.main([]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["ENV=typo", "No"]


@pytest.mark.usefixtures("no_aws")
def test_what_is_well_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    aws = FakeAws()
    made = SimpleNamespace(region_name="eu-west-1", client=lambda service, **_: aws(service))
    monkeypatch.setattr(preflight, "session", lambda _parameters: made)
    monkeypatch.setattr(preflight, "check_wheels", lambda: None)
    assert preflight.main(["--env", "staging"]) == 0
    assert capsys.readouterr().err == "wechat-notify-staging can be deployed to eu-west-1\n"
    assert preflight.main(["--env", "prod"]) == 1  # until somebody is named who hears of its alarms
    assert capsys.readouterr().err.startswith("Nobody would hear")
