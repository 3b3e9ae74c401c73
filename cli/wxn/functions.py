"""Run a function of the stack, and wait for its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wxn.errors import CommandError, ExitCode
from wxn.language import text


class FunctionFailedError(CommandError):
    """A function ended with an error of its own."""

    def __init__(self, function: str, error_type: str | None) -> None:
        kind = error_type or "?"
        super().__init__(
            text(f"{function} ended with an error: {kind}.", f"{function} 运行出错：{kind}。"),
            text(
                f"Its log tells the reason: wxn tail --function {function} --since 10m",
                f"请查看日志：wxn tail --function {function} --since 10m",
            ),
            ExitCode.UNAVAILABLE,
        )


def invoke(client: Any, name: str, event: Mapping[str, Any], *, function: str) -> Any:
    """The answer of a function.

    Parameters
    ----------
    client
        A boto3 client of Lambda, which waits long enough for the answer.
    name
        The function's name in Lambda.
    event
        Its event.
    function
        Its name to people, such as ``token_refresh``.

    Raises
    ------
    FunctionFailedError
        If it ended with an error.
    """
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    content = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise FunctionFailedError(function, content.get("errorType") if isinstance(content, dict) else None)
    return content
