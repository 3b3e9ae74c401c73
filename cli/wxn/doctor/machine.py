"""Checks of this machine: its keys, its clock, its way to AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from wxn.aws_errors import CREDENTIALS, code_of, translate
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text
from wxn.times import duration

_MAX_SKEW: Final = timedelta(minutes=4)
"""AWS refuses signatures that are 5 minutes off."""


def identity(context: Context) -> Iterator[Finding]:
    """Ask AWS who calls, which needs no permission, and compare the clocks."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    refused: ClientError | None = None
    try:
        answer = context.call("sts", "get_caller_identity")
    except ClientError as error:
        refused, answer = error, error.response
    except BotoCoreError as error:
        yield _unreachable(context, error)
        return
    skew = _skew(context, answer)
    if skew is not None and abs(skew) > _MAX_SKEW:
        shown = duration(abs(skew).total_seconds())
        yield Finding(
            "clock-skew",
            text(
                f"This machine's clock is {shown} {'ahead of' if skew > timedelta() else 'behind'} AWS's.",
                f"本机时钟比 AWS {'快' if skew > timedelta() else '慢'} {shown}。",
            ),
        )
    elif refused is not None:
        code = code_of(refused)
        if code not in CREDENTIALS:
            raise refused
        if context.stack.laptop is not None:
            yield _stale(text("its keys belong to a stack that is gone", "其中的密钥属于已停止的环境"))
        else:
            yield Finding(
                "credentials-rejected",
                text(f"AWS does not accept the credentials ({code}).", f"AWS 不接受当前凭证（{code}）。"),
            )


def _skew(context: Context, answer: Any) -> timedelta | None:
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return context.now() - parsedate_to_datetime(date) if date else None


def _unreachable(context: Context, error: Exception) -> Finding:
    from botocore.exceptions import (  # noqa: PLC0415
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
        TokenRetrievalError,
    )

    if context.stack.laptop is not None:
        return _stale(text("nothing answers at its address", "其中的地址没有响应"))
    told = translate(error)
    seen = told.message if told else type(error).__name__
    without = (
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
        TokenRetrievalError,
    )
    return Finding("credentials-rejected" if isinstance(error, without) else "aws-unreachable", seen)


def _stale(reason: str) -> Finding:
    return Finding(
        "state-file-stale",
        text(
            f".local/stack.json names a stack, but {reason}.", f".local/stack.json 中记录了环境，但{reason}。"
        ),
    )
