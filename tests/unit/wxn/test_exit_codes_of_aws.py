"""Errors of AWS as a command tells them."""

import pytest
from botocore.exceptions import ClientError

from wxn.aws_errors import translate
from wxn.errors import ExitCode


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("TooManyRequestsException", 429, ExitCode.UNAVAILABLE),  # Lambda, of token_refresh that runs already
        ("ProvisionedThroughputExceededException", 400, ExitCode.UNAVAILABLE),
        ("ThrottlingException", 400, ExitCode.UNAVAILABLE),
        ("RequestLimitExceeded", 400, ExitCode.UNAVAILABLE),
        ("SlowDown", 503, ExitCode.UNAVAILABLE),
        ("InternalError", 500, ExitCode.UNAVAILABLE),
        ("InvalidAccessKeyId", 403, ExitCode.NO_ACCESS),
        ("ExpiredTokenException", 403, ExitCode.NO_ACCESS),
        ("AccessDeniedException", 400, ExitCode.NO_ACCESS),
        ("ParameterLimitExceeded", 400, ExitCode.FAILED),
        ("ResourceNotFoundException", 404, ExitCode.FAILED),
    ],
)
def test_exit_code_of_an_error(code: str, status: int, exit_code: ExitCode) -> None:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    told = translate(ClientError(answer, "Invoke"))  # type: ignore[arg-type] # the part that is read

    assert told is not None
    assert told.exit_code is exit_code
