"""Calls to a stack that is up: its API, as AWS's clients sign them, and the simulator's control API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.state_file import State


def http(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """Make one request, past the host's proxies: they do not reach the loopback interface."""
    import requests  # noqa: PLC0415 - with boto3, when the stack is up and has imported it already

    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method, url, data=body, headers=dict(headers or {}), timeout=30, allow_redirects=False
        )


def call_api(
    state: State,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Call the API as a client of AWS does, signed with SigV4; the ``requests`` response."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - imported while the stack starts
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    url = state.api_url + path
    request = AWSRequest(method, url, data=body, headers=dict(headers or {}))
    keys = Credentials(state.access_key_id, state.secret_access_key)
    SigV4Auth(keys, "execute-api", state.region).add_auth(request)
    return http(method, url, body, dict(request.headers))


def post_message(
    state: State, message: object, account: str | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """POST a message to the API."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    path = f"/v1/accounts/{account or state.account}/messages"
    return call_api(state, "POST", path, body, {"Content-Type": "application/json", **(headers or {})})


def get_json(url: str) -> Any:
    """The answer of the simulator's control API."""
    return http("GET", url).json()


def post_json(url: str, /, **order: object) -> None:
    """Give the simulator an order."""
    headers = {"Content-Type": "application/json"}
    http("POST", url, json.dumps(order).encode(), headers).raise_for_status()


def accepted(state: State, path: str | None = None) -> list[str]:
    """The receivers of the messages that WeChat (the simulator) accepted, at one of its paths or at all."""
    url = f"{state.simulator_url}/_sim/messages?limit=10000{f'&path={path}' if path else ''}"
    return [json.loads(m["body"])["touser"] for m in get_json(url)["messages"] if m["accepted"]]
