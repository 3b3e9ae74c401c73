from __future__ import annotations

import pytest
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from wxn.aws_errors import translate
from wxn.errors import ExitCode


def refusal(code: str, message: str = "told", operation: str = "GetItem", status: int = 400) -> ClientError:
    error = {"Code": code, "Message": message}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[typeddict-item]


GONE = "Stack [x] does not exist"
EXPIRED = "Signature expired: 20261121T100000Z is now earlier than 20261121T100500Z"


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (refusal("ValidationError", GONE, "DescribeStacks"), GONE, ExitCode.NO_ACCESS),
        (refusal("ValidationError", GONE, "ListStackResources"), GONE, ExitCode.NO_ACCESS),
        (refusal("SignatureDoesNotMatch", EXPIRED), "clock is wrong", ExitCode.NO_ACCESS),
        (refusal("RequestTimeTooSkewed"), "clock is wrong", ExitCode.NO_ACCESS),
        (refusal("SignatureDoesNotMatch"), "does not accept the credentials", ExitCode.NO_ACCESS),
        (refusal("ThrottlingException"), "GetItem: ThrottlingException: told", ExitCode.UNAVAILABLE),
        (refusal("TooManyRequestsException", status=429), "TooManyRequests", ExitCode.UNAVAILABLE),
        (ResponseParserError("<html>"), "What answers is not AWS", ExitCode.UNAVAILABLE),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "does not answer", ExitCode.UNAVAILABLE),
        (aws.ConfigParseError(path="/config"), "configuration cannot be used", ExitCode.NO_ACCESS),
    ],
)
def test_translation(error: Exception, told: str, code: ExitCode) -> None:
    found = translate(error)

    assert found is not None
    assert told in found.message
    assert found.exit_code is code


def test_password_of_proxy() -> None:
    """Of a URL that botocore itself cannot mask."""
    error = translate(aws.ProxyConnectionError(proxy_url="http://socks5h://user:hidden@127.0.0.1:9"))

    assert error is not None
    assert "127.0.0.1:9" in error.message
    assert "hidden" not in error.message
