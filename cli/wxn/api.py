"""Signed calls to the stack's HTTP API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from wxn.aws_errors import clock_error
from wxn.errors import CommandError, ExitCode
from wxn.language import text, translated
from wxn.stacks import Stack

if TYPE_CHECKING:
    import requests

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 35
"""API Gateway answers after 30 seconds at the latest."""
_MAX_PAGE: Final = 100
"""Items that the API lists at a time."""
_MAX_SKEW_SECONDS: Final = 240
"""AWS refuses signatures that are 5 minutes off."""
_PAUSES: Final = (0.5, 1.0, 2.0)
"""Seconds after a request that API Gateway has throttled."""


class ApiError(CommandError):
    """A refusal of the service; ``details`` is its problem document, ``status`` its HTTP status."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        told = hint_of(problem) or problem.get("detail") or ""
        title = problem.get("title") or _phrase(status)
        broken = violations(problem.get("errors"))
        errcode = errcode_of(problem)
        codes = f"{status}" if errcode is None else f"{status}, errcode {errcode}"
        # The title is English, the hint is not; a refusal of API Gateway has no hint.
        summary = text(f"{title} ({codes}). {told}".rstrip(), f"{told or title}（HTTP {codes}）")
        if _is_throttled(status, problem):
            summary = text(
                "The stack's HTTP API gets more requests than it takes, and turned this one away (429). Nothing "
                "was done.",
                "该环境的 HTTP API 收到的请求超过上限，本次请求被拒绝（HTTP 429），未执行任何操作。",
            )
        message = "\n  ".join([summary, *broken])
        code = ExitCode.USAGE if broken else _exit_code(status)
        super().__init__(message, _next_step(status, problem), code, problem)

    @property
    def name(self) -> str:
        """The name of the problem, such as ``unknown-upload`` (docs/problems.md); empty where it has none."""
        return _name(self.problem)


def _name(problem: Mapping[str, Any]) -> str:
    return re.split("[#/]", problem.get("type", ""))[-1]


def _is_throttled(status: int, problem: Mapping[str, Any]) -> bool:
    """True where API Gateway has refused a request, before the service saw it; WeChat's limits have a problem."""
    return status == HTTPStatus.TOO_MANY_REQUESTS and not problem


def _phrase(status: int) -> str:
    """The name of an HTTP status; proxies answer with some that have none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "HTTP"


def _exit_code(status: int) -> ExitCode:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ExitCode.NO_ACCESS
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ExitCode.UNAVAILABLE
    return ExitCode.FAILED


_LISTS: Final = {
    "unknown-account": "wxn account list",
    "unknown-broadcast": "wxn broadcast --list",
    "unknown-hold": "wxn holds list",
    "unknown-message": "wxn messages",
    "unknown-schedule": "wxn schedule list",
    "unknown-template": "wxn templates list",
}
"""The commands that list what there is, by the problem's name."""


def _next_step(status: int, problem: Mapping[str, Any]) -> str:
    name = _name(problem)
    if name in _LISTS:
        return text(f"See what there is: {_LISTS[name]}", f"查看已有的：{_LISTS[name]}")
    errcode = errcode_of(problem)
    if errcode is not None:
        return text(f"Read more: {explain(errcode)}", f"了解详情：{explain(errcode)}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return text(
            "Ask for execute-api:Invoke on this account's routes (docs/deploy.md), or choose another --profile.",
            "请申请该账号路由的 execute-api:Invoke 权限（见 docs/zh/deploy.md），或用 --profile 换一个身份。",
        )
    if _exit_code(status) is ExitCode.UNAVAILABLE:
        return text(
            "Repeat the command in a minute; look for the cause: wxn doctor",
            "请稍后重试；排查原因：wxn doctor",
        )
    return text("Correct it and repeat the command.", "请修正后重新执行。")


def errcode_of(problem: Mapping[str, Any]) -> int | None:
    """WeChat's errcode in a problem document, in either spelling; None where there is none."""
    errcode: int | None = problem.get("errcode", problem.get("errCode"))
    return errcode


def hint_of(answer: Mapping[str, Any]) -> str | None:
    """The hint of an answer, in the language of this process; None where it has none."""
    return translated(answer.get("hint"))


def violations(found: Iterable[Mapping[str, str]] | None) -> list[str]:
    """The errors or warnings of an answer, each with the path of its field."""
    return [f"{each.get('path')}: {translated(each)}" for each in found or ()]


def explain(errcode: int) -> str:
    """The command that explains an errcode; a negative one would be read as an option."""
    return f"wxn explain {'-- ' if errcode < 0 else ''}{errcode}"


class Api:
    """The routes of one account."""

    def __init__(self, stack: Stack, account: str) -> None:
        self._stack = stack
        self._account = account

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON object of the answer.

        Parameters
        ----------
        method
            Of HTTP.
        path
            After ``/v1/accounts/{account}/``, its parts escaped where they need it (``part``).
        body
            Sent as JSON; None sends none.
        query
            Parameters; those that are None are left out.
        headers
            More headers.

        Raises
        ------
        ApiError
            If the service refuses.
        CommandError
            If it does not answer, or something else answers in its place.
        """
        return self.respond(method, path, body, query=query, headers=headers)[1]

    def listed(
        self, path: str, name: str, *, limit: int, query: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """The answer of a list, with the items of as many pages as are needed; raises as `call` does.

        Parameters
        ----------
        path
            Of the list.
        name
            The field of the answer that has the items.
        limit
            Maximum number of items.
        query
            More parameters.

        Returns
        -------
        dict
            The last page with all items under ``name``; its ``next`` is None, or there are more.
        """
        items: list[Any] = []
        cursor: str | None = None
        while True:
            wanted = min(limit - len(items), _MAX_PAGE)
            page = self.call("GET", path, query={**(query or {}), "limit": wanted, "cursor": cursor})
            items += page[name]
            cursor = page["next"]
            if cursor is None or len(items) >= limit:
                return {**page, name: items}

    def respond(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The HTTP status and the JSON of the answer; otherwise as `call`."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self._stack.api_url}/v1/accounts/{part(self._account)}/{path}"
        # A plus sign for a blank would break the signature.
        url += f"?{urlencode(given, quote_via=quote)}" if given else ""
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        response = self._send(method, url, data, sent | dict(headers or {}))
        for pause in _PAUSES:
            if response.status_code < HTTPStatus.BAD_REQUEST:
                break
            if not _is_throttled(response.status_code, _problem(response)):
                break
            time.sleep(pause)
            response = self._send(method, url, data, sent | dict(headers or {}))
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            problem = _problem(response)
            if response.status_code == HTTPStatus.FORBIDDEN and not problem:
                self._refuse_skew(response)
            raise ApiError(response.status_code, problem)
        return response.status_code, self._document(response)

    def _send(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> requests.Response:
        import requests  # noqa: PLC0415 - --help starts without it
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

        credentials = self._stack.session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        request = AWSRequest(method, url, data=data, headers=headers)
        SigV4Auth(credentials, "execute-api", self._stack.region).add_auth(request)
        try:
            return self._http.request(
                method,
                url,
                data=data,
                headers=dict(request.headers),
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,  # the service has none, and a session token goes along
            )
        except requests.RequestException as error:
            raise CommandError(
                text(
                    f"{self._stack.title} does not answer ({type(error).__name__}).",
                    f"{self._stack.title}没有响应（{type(error).__name__}）。",
                ),
                self._when_silent,
                ExitCode.UNAVAILABLE,
            ) from None

    @property
    def _when_silent(self) -> str:
        if self._stack.laptop is not None:
            return text("Is make up running?", "请确认 make up 正在运行。")
        return text(
            "Check the network and the proxy, and repeat the command.", "请检查网络和代理设置，然后重试。"
        )

    def _document(self, response: requests.Response) -> dict[str, Any]:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise CommandError(
                text(
                    f"The answer (HTTP {response.status_code}) is not the service's: something else answers at "
                    f"{self._stack.api_url}.",
                    f"响应（HTTP {response.status_code}）并非来自本服务：{self._stack.api_url} 由其他程序应答。",
                ),
                self._when_silent,
                ExitCode.UNAVAILABLE,
            )
        return document

    def _refuse_skew(self, response: requests.Response) -> None:
        """Raise CommandError where the clock of this machine is the reason of a refusal: API Gateway has none."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - --help starts without it

        try:
            ahead = time.time() - parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except ValueError:
            return
        if abs(ahead) > _MAX_SKEW_SECONDS:
            raise clock_error()

    @cached_property
    def _http(self) -> requests.Session:
        from requests.adapters import HTTPAdapter  # noqa: PLC0415
        from urllib3 import Retry  # noqa: PLC0415

        session = http_session(self._stack)
        # What did not reach the service is repeated; what may have reached it, only where that is harmless.
        retry = Retry(
            3,
            backoff_factor=0.3,
            status_forcelist=(502, 503),
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        session.mount("https://", HTTPAdapter(max_retries=retry))
        session.mount("http://", HTTPAdapter(max_retries=retry))
        return session


def http_session(stack: Stack) -> requests.Session:
    """A session for requests to a stack and its bucket; it repeats nothing."""
    import requests  # noqa: PLC0415 - --help starts without it

    session = requests.Session()
    # .netrc must not replace the signature; proxies count in AWS alone.
    session.trust_env = False
    if stack.laptop is None:
        session.proxies = requests.utils.get_environ_proxies(stack.api_url)
        session.verify = stack.ca_bundle
    return session


def part(name: str) -> str:
    """One part of a path.

    Raises
    ------
    CommandError
        If the path would be another one with it.
    """
    if name in {"", ".", ".."}:
        raise CommandError(
            text(f'"{name}" is no name or id.', f"“{name}” 不能用作名称或 id。"),
            text("Give the name or id of one thing.", "请给出一个有效的名称或 ID。"),
        )
    return quote(name, safe="")


def _problem(response: requests.Response) -> dict[str, Any]:
    """The problem document of the service; empty where a gateway or a proxy has refused.

    What those write is not shown: a message on a signature can repeat the session token.
    """
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
