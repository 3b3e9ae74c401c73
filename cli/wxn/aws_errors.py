"""Errors of AWS's library, as a command tells them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from wxn.errors import CommandError, ExitCode
from wxn.language import text

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "AuthorizationErrorException",
}
"""Error codes of a caller whose policies lack the action."""
CREDENTIALS = {
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
    "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "AuthFailure",
    "InvalidAccessKeyId", "InvalidToken",
}  # fmt: skip
"""Error codes of a caller whose keys or signature AWS does not accept."""
MAX_SILENCE: Final = 600.0
"""Seconds without an answer after which a command that follows something ends."""
_SKEWED: Final = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
_TIME_OF_SIGNATURE: Final = re.compile("Signature (expired|not yet current)")
_USER_INFO: Final = re.compile(r"//[^\s\"]*@")
"""Name and password of a proxy; botocore leaves them in the URLs that it cannot read."""
_BUSY = {429, 500, 502, 503, 504}
"""HTTP statuses of what can pass by itself."""
_BUSY_CODE = re.compile(r"Throttl|^RequestLimitExceeded|^ProvisionedThroughputExceeded")
"""Error codes of the same that come with another status."""


def translate(error: Exception) -> CommandError | None:  # noqa: PLR0911 - one for each kind of error
    """The reason that a command tells for an error of boto3; None if it is none of boto3's."""
    if "botocore" not in sys.modules:
        return None
    from botocore import exceptions as aws  # noqa: PLC0415 - imported already, or the error is another
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    sign_in = text(
        "Sign in (aws sso login, aws configure), or choose a --profile.",
        "请先登录（aws sso login 或 aws configure），或用 --profile 指定身份。",
    )
    if isinstance(error, aws.ProfileNotFound):
        return CommandError(
            str(error),
            text(
                "See what there is: aws configure list-profiles",
                "查看已有的：aws configure list-profiles",
            ),
            ExitCode.NO_ACCESS,
        )
    if isinstance(
        error,
        aws.NoCredentialsError
        | aws.PartialCredentialsError
        | aws.CredentialRetrievalError
        | aws.SSOError
        | aws.TokenRetrievalError,
    ):
        return CommandError(
            text("There are no AWS credentials.", "没有可用的 AWS 凭证。"), sign_in, ExitCode.NO_ACCESS
        )
    if isinstance(error, aws.NoRegionError):
        return CommandError(
            text("No AWS region is set.", "没有设置 AWS 区域。"),
            text("Give --region, or set AWS_REGION.", "请用 --region 指定，或设置 AWS_REGION。"),
            ExitCode.NO_ACCESS,
        )
    if isinstance(error, aws.ClientError):
        return _refused(error, sign_in)
    if isinstance(error, ResponseParserError):
        return CommandError(
            text("What answers is not AWS: its answer cannot be read.", "应答方不是 AWS：无法解析其响应。"),
            text("Check the network and the proxy.", "请检查网络和代理设置。"),
            ExitCode.UNAVAILABLE,
        )
    if isinstance(error, aws.ConnectionError | aws.HTTPClientError | aws.IncompleteReadError):
        told = _USER_INFO.sub("//", str(error))
        return CommandError(
            text(f"AWS does not answer: {told}", f"AWS 没有响应：{told}"),
            text(
                "Check the network and --region, and repeat the command; on this machine: is make up running?",
                "请检查网络和 --region，然后重试；若是本机环境，请确认 make up 正在运行。",
            ),
            ExitCode.UNAVAILABLE,
        )
    if isinstance(error, aws.BotoCoreError):
        return configuration_error(error)
    return None


def reason_to_wait(error: Exception) -> str:
    """The reason of an error that can pass; raises any other one again."""
    known = error if isinstance(error, CommandError) else translate(error)
    if known is None or known.exit_code is not ExitCode.UNAVAILABLE:
        raise error
    return known.message


def code_of(error: ClientError) -> str:
    """AWS's code of an error; empty where a proxy has answered in its place."""
    return error.response.get("Error", {}).get("Code") or ""


def configuration_error(error: Exception) -> CommandError:
    """The error to raise where the AWS configuration of this machine cannot be used."""
    return CommandError(
        text(f"The AWS configuration cannot be used: {error}", f"AWS 配置无法使用：{error}"),
        text(
            "Correct it, or the option; aws configure list shows what is in force.",
            "请修正配置或选项；aws configure list 可查看当前生效的配置。",
        ),
        ExitCode.NO_ACCESS,
    )


def clock_error() -> CommandError:
    """The error to raise where AWS refuses signatures for their time."""
    return CommandError(
        text(
            "AWS refuses the time of the signature: this machine's clock is wrong.",
            "AWS 拒绝签名的时间：本机时钟不准。",
        ),
        text("Set the clock, and repeat the command.", "请校准本机时钟后重试。"),
        ExitCode.NO_ACCESS,
    )


def _refused(error: ClientError, sign_in: str) -> CommandError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code_of(error) or f"HTTP {status}"
    told = error.response.get("Error", {}).get("Message") or ""
    operation = error.operation_name
    if code in DENIED:
        named = re.search(r"perform: ([\w-]+:\w+)", told)
        action = named[1] if named else operation
        return CommandError(
            text(f"AWS denies {action}.", f"AWS 拒绝执行 {action}。"),
            text(
                f"Ask for a policy that allows {action}, or choose another --profile.",
                f"请申请允许 {action} 的策略，或用 --profile 换一个身份。",
            ),
            ExitCode.NO_ACCESS,
        )
    if code in _SKEWED or (code in CREDENTIALS and _TIME_OF_SIGNATURE.search(told)):
        return clock_error()
    if code in CREDENTIALS:
        return CommandError(
            text(f"AWS does not accept the credentials ({code}).", f"AWS 不接受当前凭证（{code}）。"),
            sign_in,
            ExitCode.NO_ACCESS,
        )
    if operation in {"DescribeStacks", "ListStackResources"} and code == "ValidationError":
        return CommandError(
            text(f"{told}.", f"环境不存在：{told}"),
            text(
                "Check --stack, --region and --profile; see what there is: aws cloudformation list-stacks",
                "请检查 --stack、--region 和 --profile；查看已有的：aws cloudformation list-stacks",
            ),
            ExitCode.NO_ACCESS,
        )
    busy = status in _BUSY or _BUSY_CODE.search(code)
    return CommandError(
        f"{operation}: {code}" + (f": {told}" if told else ""),
        text("Repeat the command in a minute.", "请稍后重试。")
        if busy
        else text("Look for the cause: wxn doctor", "排查原因：wxn doctor"),
        ExitCode.UNAVAILABLE if busy else ExitCode.FAILED,
    )
