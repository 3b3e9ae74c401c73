"""Look before a deployment whether it can work: ``python -m operations.preflight --env default``.

Each check takes seconds, where the build and a stack that is rolled back take minutes. What is wrong is said
in one sentence with what to do; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess  # nosec B404 # no shell is started
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from operations.environments import PreflightError, environment, overrides, template_parameters

_ROOT: Final = Path(__file__).parents[1]
_LOCKS: Final = tuple(_ROOT / "layers" / name / "requirements.txt" for name in ("wechat_notify", "callback"))
_PLATFORMS: Final = ("aarch64-manylinux_2_28", "x86_64-manylinux_2_28")
"""Those that the layers' Makefiles build for."""
_MIN_UNRESERVED: Final = 100
"""Executions that Lambda keeps unreserved in every region.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
RESERVING: Final = {
    "SendApiFunction": "SendApiConcurrency",
    "TeamApiFunction": "TeamApiConcurrency",
    "CallbackFunction": "CallbackConcurrency",
}
"""The parameters that reserve executions for functions; token_refresh has one in any case."""
_PRODUCTION: Final = "prod"
_AWS_KEY: Final = "alias/aws/sns"
"""https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns"""
_USUAL_CONCURRENCY: Final = 1000
"""As the template's parameters have it."""
_REFRESHER: Final = "TokenRefreshFunction"
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
_MISSING: Final = frozenset({"ValidationError", "ResourceNotFoundException"})
"""No such stack, or no such function in it."""
_TIMEOUTS: Final = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})

AwsError = (BotoCoreError, ClientError)


def session(settings: dict[str, Any]) -> boto3.Session:
    """The session that the SAM CLI will have: it reads the profile and AWS_DEFAULT_REGION."""
    try:
        made = boto3.Session(profile_name=settings.get("profile"), region_name=settings.get("region") or None)
    except BotoCoreError as error:
        raise PreflightError(f"{error}: correct AWS_PROFILE, or the profile in samconfig.toml.") from None
    if not made.region_name:
        raise PreflightError(
            "No region is set: export AWS_DEFAULT_REGION=eu-west-1, for example, or give the AWS profile one "
            "(the SAM CLI does not read AWS_REGION)."
        )
    return made


def check_credentials(aws: Callable[[str], Any]) -> None:
    """Check that the credentials work."""
    try:
        aws("sts").get_caller_identity()
    except AwsError as error:
        raise PreflightError(
            f"AWS does not accept the credentials ({_code(error)}): sign in, for example with aws sso login, "
            "or set AWS_PROFILE."
        ) from None


def check_concurrency(
    aws: Callable[[str], Any], stack_name: str, parameters: Mapping[str, str]
) -> str | None:
    """Check that there are the executions to be reserved; a remark where that is not known."""
    wanted = {_REFRESHER: 1} | {name: int(parameters[given]) for name, given in RESERVING.items()}
    try:
        limits = aws("lambda").get_account_settings()["AccountLimit"]
    except AwsError as error:
        if _code(error) in _DENIED:
            return "May not look at the account's concurrency (lambda:GetAccountSettings): not checked."
        raise PreflightError(f"Lambda does not answer in this region ({_code(error)}): try again.") from None
    free, missing = limits["UnreservedConcurrentExecutions"], sum(wanted.values())
    if free - missing >= _MIN_UNRESERVED:
        return None
    try:
        missing -= sum(_reserved(aws, stack_name, name) for name in wanted)
    except AwsError as error:
        if _code(error) in _DENIED:
            return f"May not look at the stack {stack_name}: whether it has its reservations was not checked."
        raise PreflightError(f"AWS does not tell about {stack_name} ({_code(error)}): try again.") from None
    if free - missing >= _MIN_UNRESERVED:
        return None
    raise PreflightError(
        f"Lambda cannot reserve the {sum(wanted.values())} executions that this stack is to have "
        f"({', '.join(f'{name}: {count}' for name, count in wanted.items() if count)}): of "
        f"{limits['ConcurrentExecutions']} in this region {free} are unreserved, and {_MIN_UNRESERVED} must "
        f"stay so. Set {', '.join(RESERVING.values())} lower in samconfig.toml (0 reserves none; "
        "token_refresh needs its one), or ask for more: aws "
        "service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 "
        "--desired-value 1000"
    )


def _reserved(aws: Callable[[str], Any], stack_name: str, function: str) -> int:
    """The executions that an earlier deployment has reserved for a function already."""
    try:
        resource = aws("cloudformation").describe_stack_resource(
            StackName=stack_name, LogicalResourceId=function
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        reserved = aws("lambda").get_function_concurrency(FunctionName=name)
    except ClientError as error:
        if _code(error) in _MISSING:
            return 0
        raise
    return int(reserved.get("ReservedConcurrentExecutions", 0))


def check_quota(aws: Callable[[str], Any], given: Mapping[str, str]) -> str | None:
    """Compare the quota that ConcurrencyAlarm reckons with with the account's; a remark where they differ."""
    try:
        quota = aws("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    except AwsError:
        return None  # check_concurrency has said so
    reckoned = given.get("AccountConcurrency", str(_USUAL_CONCURRENCY))
    if reckoned == str(quota):
        return None
    return (
        f"ConcurrencyAlarm reckons with {reckoned} concurrent executions, and the account has {quota} in "
        f"this region: give AccountConcurrency={quota}."
    )


def check_alarms(aws: Callable[[str], Any], name: str, given: Mapping[str, str]) -> str | None:
    """Check that somebody hears of production's alarms; a remark elsewhere, or where that is not known."""
    topic, in_production = given.get("AlarmTopicArn"), given.get("Stage") == _PRODUCTION
    if not topic:
        if in_production and not given.get("AlarmEmail"):
            raise PreflightError(
                "Nobody would hear of production's alarms: add AlarmEmail=<address>, or AlarmTopicArn=<ARN> "
                f"of a topic with a subscriber, to the parameter_overrides of ENV={name} in samconfig.toml."
            )
        return None
    sns = aws("sns")
    try:
        key = sns.get_topic_attributes(TopicArn=topic)["Attributes"].get("KmsMasterKeyId", "")
        if key.endswith(_AWS_KEY):
            raise PreflightError(
                f"CloudWatch cannot publish to {topic}, which is encrypted under {_AWS_KEY}: give it a key "
                "of your own whose policy allows cloudwatch.amazonaws.com kms:Decrypt and "
                "kms:GenerateDataKey*."
            )
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        # In the place of its ARN a subscription that nobody confirmed has a word.
        if any(
            each["SubscriptionArn"].startswith("arn:") for page in pages for each in page["Subscriptions"]
        ):
            return None
    except AwsError as error:
        if _code(error) in _DENIED:
            actions = "sns:GetTopicAttributes, sns:ListSubscriptionsByTopic"
            return f"May not look at the alarms' topic ({actions}): not checked."
        raise PreflightError(
            f"The topic of AlarmTopicArn cannot be looked at ({_code(error)}): correct its ARN; it must be "
            "in this account and region."
        ) from None
    problem = (
        f"Nobody has confirmed a subscription to {topic}: aws sns subscribe --topic-arn {topic} --protocol "
        "email --notification-endpoint <address>, and follow the link in the mail."
    )
    if in_production:
        raise PreflightError(problem)
    return problem


def check_wheels(run: Callable[..., Any] = subprocess.run) -> None:
    """Check that the locks have a wheel of every library for both of Lambda's platforms.

    They are installed into a folder that is thrown away, in about a second, and the build finds them in
    uv's cache. A dry run does not compare the files with the hashes of the locks.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with tempfile.TemporaryDirectory() as target:
        for platform in _PLATFORMS:
            command = [
                *(uv, "pip", "install", "--quiet", "--no-config", "--python-version", "3.13"),
                *("--python-platform", platform, "--only-binary", ":all:", "--require-hashes"),
                *(option for lock in _LOCKS for option in ("--requirements", str(lock))),
                *("--target", str(Path(target, platform))),
            ]
            try:
                done = run(command, capture_output=True, text=True, check=False)
            except OSError:
                raise PreflightError("uv is missing: remove .venv-sam, and make installs it anew.") from None
            if done.returncode:
                why = " ".join(done.stderr.split())[-500:]
                raise PreflightError(
                    f"The layers' libraries cannot be had for {platform}: check the way to the package index "
                    f"or choose versions with wheels and lock them anew (make lock). uv says: {why}"
                )


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"].get("Code"))
    return type(error).__name__


def preflight(name: str, config: Path, say: Callable[[str], object]) -> None:
    """Every check in turn, the cheap ones first; raises ``PreflightError`` at the first that fails."""
    settings = environment(name, config)
    parameters = template_parameters(settings, (_ROOT / "template.yaml").read_text("utf-8"))
    made = session(settings)

    def aws(service: str) -> Any:
        return made.client(service, config=_TIMEOUTS)  # type: ignore[call-overload] # any of five services

    check_credentials(aws)
    remarks = (
        check_alarms(aws, name, overrides(settings)),
        check_concurrency(aws, settings["stack_name"], parameters),
        check_quota(aws, overrides(settings)),
    )
    for remark in filter(None, remarks):
        say(remark)
    check_wheels()
    say(f"{settings['stack_name']} can be deployed to {made.region_name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; the exit code."""
    parser = argparse.ArgumentParser(description="Look before a deployment whether it can work.")
    parser.add_argument("--env", default="default", help="an environment of samconfig.toml")
    parser.add_argument("--config", type=Path, default=_ROOT / "samconfig.toml", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        preflight(options.env, options.config, lambda text: print(text, file=sys.stderr))
    except PreflightError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
