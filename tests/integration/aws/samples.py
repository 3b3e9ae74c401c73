"""An entry, a token and helpers that the tests of the AWS adapters share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.integration.raw_server import (
    RawServer,
    json_answer,
)
from wechat_notify.aws.parameters import AppCredentials
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.outcomes import (
    ErrorClass,
    Outcome,
    Status,
)
from wechat_notify.core.tokens.token import AccessToken, Grant
from wechat_notify.wechat.outcomes import hint_for

Aws = Callable[[str], Any]


HINT = hint_for(0)


SENT = Entry(
    account="shop",
    id="019ca8d13f2b7c3e8a4d5e6f70819203",
    status=Status.SENT,
    fingerprint="5e884898da28047151d0e56f8dc62927",
    writer="c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e",
    created_at=1_772_348_645.123,
    updated_at=1_772_348_645.5,
    version=2,
    kind="subscription",
    template_id="ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    openid_hash="0123456789abcdef",
    attempts=1,
    outcome=Outcome(
        Status.SENT,
        ErrorClass.SUCCESS,
        HINT,
        errcode=0,
        errmsg="ok",
        msgid=1_864_323_726_461_255_680,
    ),
    timeline=(
        Change(Status.SENDING, 1_772_348_645.123),
        Change(Status.SENT, 1_772_348_645.5, errcode=0),
    ),
)


TOKEN = AccessToken("57_token", 2_000_000_000.5, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.25)


class Source:
    """A token source that remembers its credentials."""

    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


def asked(server: RawServer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in server.requests]


def sent(*numbers: int) -> bytes:
    return json_answer(Successful=[{"Id": str(number)} for number in numbers], Failed=[{"Id": "3"}])


def item(aws: Aws, key: str) -> dict[str, Any]:
    found: dict[str, Any] = aws("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": key}})["Item"]
    return found


def keys_asked(server: RawServer) -> list[list[str]]:
    """The keys of each call."""
    calls = [call["RequestItems"]["ledger"] for call in asked(server)]
    assert all(call["ConsistentRead"] for call in calls)
    return [[key["pk"]["S"] for key in call["Keys"]] for call in calls]
