"""Errors of AWS's library, as a command tells them."""

from __future__ import annotations

import re
import sys

from wxn.errors import CommandError, ExitCode
from wxn.language import text

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
_BUSY = {429, 500, 502, 503, 504}
"""HTTP statuses of what can pass by itself."""
_BUSY_CODE = re.compile(r"Throttl|^RequestLimitExceeded|^ProvisionedThroughputExceeded")
"""Error codes of the same that come with another status."""


def translate(error: Exception) -> CommandError | None:  # noqa: PLR0911 - one for each kind of error
    """The reason that a command tells for an error of boto3; None if it is none of boto3's."""
    if "botocore" not in sys.modules:
        return None
    from botocore import exceptions as aws  # noqa: PLC0415 - imported already, or the error is another

    sign_in = text(
        "Sign in (aws sso login, aws configure), or choose a --profile.",
        "请先登录（aws sso login 或 aws configure），或用 --profile 指定身份。",
    )
    if isinstance(error, aws.ProfileNotFound):
        return CommandError(
            str(error),
            text(
                "aws configure list-profiles shows what there is.",
                "可用 aws configure list-profiles 查看已有的配置。",
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
    if isinstance(error, aws.BotoCoreError):
        return CommandError(
            text(f"AWS does not answer: {error}", f"AWS 没有响应：{error}"),
            text(
                "Check the network and --region, and repeat the command.", "请检查网络和 --region，然后重试。"
            ),
            ExitCode.UNAVAILABLE,
        )
    return None


def _refused(error: object, sign_in: str) -> CommandError:
    code = error.response["Error"].get("Code", "")  # type: ignore[attr-defined]
    told = error.response["Error"].get("Message", "")  # type: ignore[attr-defined]
    operation = error.operation_name  # type: ignore[attr-defined]
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
    if code in CREDENTIALS:
        return CommandError(
            text(f"AWS does not accept the credentials ({code}).", f"AWS 不接受当前凭证（{code}）。"),
            sign_in,
            ExitCode.NO_ACCESS,
        )
    if operation == "DescribeStacks" and code == "ValidationError":
        return CommandError(
            text(f"{told}.", f"环境不存在：{told}"),
            text(
                "Check --stack, --region and --profile; aws cloudformation list-stacks shows what there is.",
                "请检查 --stack、--region 和 --profile；aws cloudformation list-stacks 可列出已有环境。",
            ),
            ExitCode.NO_ACCESS,
        )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # type: ignore[attr-defined]
    busy = status in _BUSY or _BUSY_CODE.search(code)
    return CommandError(
        f"{operation}: {code}: {told}",
        text("Repeat the command in a minute.", "请稍后重试。")
        if busy
        else text("wxn doctor looks for the cause.", "wxn doctor 可以排查原因。"),
        ExitCode.UNAVAILABLE if busy else ExitCode.FAILED,
    )
