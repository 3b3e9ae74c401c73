"""A stack that answers what a test tells it, for commands of ``wxn``."""

from collections.abc import Mapping
from typing import Any

from wxn.api import Api
from wxn.run import Run
from wxn.stacks import Stack


class FakeApi(Api):
    """Answers by method and path, such as ``{"GET quota": {...}}``; an exception is raised.

    A list has the answers to one request after another, the last one again and again.

    ``calls`` are the requests as (method, path, body, query, headers).
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(Stack("fake"), "shop")
        self._answers = answers
        self.calls: list[tuple[str, str, Any, dict[str, object], dict[str, str]]] = []

    def respond(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        self.calls.append((method, path, body, dict(query or {}), dict(headers or {})))
        answer = self._answers[f"{method} {path}"]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, BaseException):
            raise answer
        return 200, answer


class FakeRun(Run):
    """A run of a command over a `FakeApi`, for the account ``shop``."""

    def __init__(self, answers: Mapping[str, Any], *, as_json: bool = False) -> None:
        super().__init__(as_json=as_json, account="shop")
        self.stack = Stack("fake", region="eu-west-1")
        self.api = api = FakeApi(answers)
        self.calls = api.calls
