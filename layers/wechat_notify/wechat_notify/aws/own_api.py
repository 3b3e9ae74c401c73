"""The HTTP API of this stack, called as a team's system calls it: signed, over the network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from wechat_notify.core.canary import Answer, NoAnswerError

_TIMEOUT = 30
"""Seconds for a connection, and for the answer; API Gateway gives up after 30."""


class SignedApi:
    """Requests to ``url``, signed with the function's own credentials (SigV4); each is made once."""

    def __init__(self, url: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._url = url
        self._clock = clock

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Make one request; an answer that is no JSON object has an empty body.

        Raises
        ------
        NoAnswerError
            With the name of botocore's exception.
        """
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - with botocore, when the first call is made
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, HTTPClientError  # noqa: PLC0415
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415
        from botocore.session import get_session  # noqa: PLC0415

        session = get_session()
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        request = AWSRequest(method, self._url + path, data=data, headers=headers)
        region = session.get_config_variable("region")
        credentials = session.get_credentials()
        if credentials is None:
            raise NoAnswerError("NoCredentials")
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        began = self._clock()
        try:
            answer = URLLib3Session(timeout=_TIMEOUT).send(request.prepare())
            content = answer.content
        except (BotoCoreError, HTTPClientError) as error:
            raise NoAnswerError(type(error).__name__) from None
        seconds = self._clock() - began
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return Answer(answer.status_code, _document(content), replayed, seconds)


def _document(content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
