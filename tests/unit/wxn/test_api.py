"""Requests to the service as they leave this machine."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from wxn.api import Api, http_session, part
from wxn.errors import CommandError, ExitCode
from wxn.stacks import Stack

LAPTOP = {"access_key_id": "AKIA", "secret_access_key": "s", "region": "eu-west-1", "api_url": "http://api"}


class SentApi(Api):
    """Keeps the URLs of its requests."""

    def __init__(self) -> None:
        super().__init__(Stack("fake", laptop=LAPTOP), "shop")
        self.urls: list[str] = []
        self._http: Any = SimpleNamespace(request=self._request)

    def _request(self, _method: str, url: str, **_: Any) -> Any:
        self.urls.append(url)
        return SimpleNamespace(status_code=200, json=dict)


class AnsweredApi(Api):
    """Gives prepared answers, and keeps the signatures of its requests."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(Stack("fake", laptop=LAPTOP), "shop")
        self.signatures: list[str] = []
        self._answers = iter(answers)
        self._http: Any = SimpleNamespace(request=self._request)

    def _request(self, _method: str, _url: str, *, headers: dict[str, str], **_: Any) -> Any:
        self.signatures.append(headers["Authorization"])
        return next(self._answers)


def answered(status: int, document: dict[str, Any], kind: str = "application/json") -> Any:
    return SimpleNamespace(status_code=status, headers={"Content-Type": kind}, json=lambda: document)


THROTTLED = answered(429, {"message": "Too Many Requests"})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("wxn.api.time.sleep", slept.append)
    return slept


def test_throttled_request_is_repeated(pauses: list[float]) -> None:
    """API Gateway has turned it away before any function ran, so that a POST is harmless too."""
    api = AnsweredApi(THROTTLED, THROTTLED, answered(202, {"id": "m"}))

    assert api.call("POST", "messages", {}) == {"id": "m"}
    assert pauses == [0.5, 1.0]


def test_gateway_that_goes_on_throttling(pauses: list[float]) -> None:
    api = AnsweredApi(*[THROTTLED] * 4)
    with pytest.raises(CommandError, match="gets more requests than it takes") as caught:
        api.call("POST", "messages", {})

    assert caught.value.exit_code is ExitCode.UNAVAILABLE
    assert (len(pauses), len(api.signatures)) == (3, 4)


def test_limit_of_wechat_is_not_repeated(pauses: list[float]) -> None:
    """The service says when it ends."""
    problem = {"title": "Not sent", "type": "docs/problems.md#not-sent", "detail": "quota"}
    api = AnsweredApi(answered(429, problem, "application/problem+json"))
    with pytest.raises(CommandError, match="Not sent"):
        api.call("POST", "messages", {})

    assert pauses == []


def test_blanks_in_queries_can_be_signed() -> None:
    """SigV4 wants %20: AWS signs a + as %20, and refuses the signature of what was sent."""
    api = SentApi()
    api.call("GET", f"messages/{part('a b')}", query={"broadcast": "a b+c", "since": None})

    (url,) = api.urls
    assert "+" not in url
    assert urlsplit(url).path == "/v1/accounts/shop/messages/a%20b"
    assert parse_qs(urlsplit(url).query) == {"broadcast": ["a b+c"]}


@pytest.mark.parametrize(
    ("variables", "verify"),
    [({}, True), ({"AWS_CA_BUNDLE": "/company.pem"}, "/company.pem"), ({"REQUESTS_CA_BUNDLE": "/c"}, "/c")],
)
def test_certificates_are_those_of_boto3(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, verify: str | bool
) -> None:
    """A company's proxy that reads TLS: boto3 reaches AWS through it, and so must the calls of the API."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"AWS_CONFIG_FILE": "/dev/null"} | variables).items():
        monkeypatch.setenv(name, value)
    stack = Stack("fake", region="eu-west-1")
    stack.outputs = {"ApiUrl": "https://api"}

    assert http_session(stack).verify == verify


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_change_the_path(name: str) -> None:
    """Such as a variable of a shell that is empty: DELETE must not reach another route."""
    with pytest.raises(CommandError, match="is no name or id"):
        part(name)
