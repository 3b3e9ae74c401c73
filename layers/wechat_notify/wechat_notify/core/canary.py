"""The canary: a message of the operator's own that goes the way of all messages, and is watched.

With a test person's openid it is sent. Without one it is a dry run, and WeChat is asked for the account's
quotas, which takes a token that it accepts and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.identifiers import AccountName

MAX_RECEIPT_WAIT = 60.0
"""Seconds for a receipt."""
_POLL = 3.0
"""Seconds between two looks at the message."""
_STAND_IN = "oCANARY000000000000000000000"
"""As long as an openid; no message to it leaves the service."""
_OK = 200


_Openid = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class CanaryOrder(BaseModel):
    """The canary's message and receiver: SSM's ``/wechat-notify/<Stage>/canary``, a SecureString, JSON.

    ``message`` is the body of a message without ``touser``. Without ``openid`` it is a dry run. With
    ``receipt`` WeChat's receipt has to come too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    account: AccountName
    message: Annotated[dict[str, Any], Field(repr=False)]
    openid: Annotated[_Openid | None, Field(repr=False)] = None
    receipt: bool = False

    @model_validator(mode="after")
    def _openid_is_beside(self) -> Self:
        if "touser" in self.message:
            raise ValueError("the openid belongs beside the message, not into it")
        if self.receipt and not self.openid:
            raise ValueError("a dry run has no receipt")
        return self


class Answer(NamedTuple):
    """An answer of the HTTP API; ``seconds`` from the request's beginning to its end."""

    status: int
    body: Mapping[str, Any]
    replayed: bool
    seconds: float


class NoAnswerError(Exception):
    """The HTTP API did not answer; its text is the cause's name."""


class Door(Protocol):
    """The HTTP API of this stack."""

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Make one request; ``key`` is its Idempotency-Key. Raises ``NoAnswerError``."""


class Orders(Protocol):
    """The stored order."""

    def read(self) -> CanaryOrder:
        """Return the order; raises ``StorageError``."""


class Sighting(NamedTuple):
    """The result of one run; ``latency`` is from the door to WeChat's answer and back, seconds.

    There is none where WeChat was not asked, or the message is one of an earlier run. ``step`` is where the
    run ended; ``problem`` names what was wrong.
    """

    arrived: bool
    step: str
    account: str | None = None
    dry_run: bool | None = None
    message_id: str | None = None
    latency: float | None = None
    status_code: int | None = None
    error_class: str | None = None
    errcode: int | None = None
    problem: str | None = None


class Canary:
    """Sends the message and follows it; never raises for anything that the door or WeChat does."""

    def __init__(
        self, orders: Orders, door: Door, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._orders = orders
        self._door = door
        self._clock = clock
        self._sleep = sleep

    def run(self, message_id: str) -> Sighting:
        """Do one run; the same id again sends nothing again."""
        try:
            order = self._orders.read()
        except StorageError as error:
            return Sighting(arrived=False, step="order", problem=error.code)
        path = f"/v1/accounts/{order.account}/"
        try:
            seen = self._send(order, path, message_id) if order.openid else self._rehearse(order, path)
        except NoAnswerError as error:
            seen = Sighting(arrived=False, step="door", problem=str(error))
        return seen._replace(
            account=order.account,
            dry_run=order.openid is None,
            message_id=message_id if order.openid else None,
        )

    def _send(self, order: CanaryOrder, path: str, message_id: str) -> Sighting:
        body = {**order.message, "touser": order.openid}
        answer = self._door.call("POST", path + "messages", body, key=message_id)
        latency = None if answer.replayed else answer.seconds
        if answer.status != _OK:
            return _refused("send", answer)._replace(latency=latency)
        sent = Sighting(arrived=True, step="sent", latency=latency, status_code=answer.status)
        return self._await_receipt(sent, f"{path}messages/{message_id}") if order.receipt else sent

    def _await_receipt(self, sent: Sighting, path: str) -> Sighting:
        deadline = self._clock() + MAX_RECEIPT_WAIT
        while True:
            answer = self._door.call("GET", path)
            status = answer.body.get("status")
            if status == "delivered":
                return sent._replace(step="delivered")
            if answer.status != _OK or status == "undelivered":
                return _refused("receipt", answer)._replace(latency=sent.latency)
            if self._clock() >= deadline:
                return sent._replace(arrived=False, step="receipt", problem="no_receipt")
            self._sleep(_POLL)

    def _rehearse(self, order: CanaryOrder, path: str) -> Sighting:
        body = {**order.message, "touser": _STAND_IN}
        answer = self._door.call("POST", path + "messages?dry_run=true", body)
        would = answer.body.get("would")
        if answer.status != _OK or would != "send":
            seen = _refused("dry_run", answer)
            return seen._replace(problem=f"would_{would}") if would else seen
        answer = self._door.call("GET", path + "quota")
        kinds = answer.body.get("kinds", [])
        if answer.status == _OK and any("wechat" in kind for kind in kinds):
            return Sighting(arrived=True, step="token", latency=answer.seconds, status_code=answer.status)
        refusal: Mapping[str, Any] = next((kind["refused"] for kind in kinds if "refused" in kind), {})
        return _refused("token", answer._replace(body={**answer.body, **refusal}))


def _refused(step: str, answer: Answer) -> Sighting:
    body = answer.body
    errcode = body.get("errcode", body.get("errCode"))
    kind = str(body.get("reason") or body.get("type") or "").rpartition("/")[2]
    return Sighting(
        arrived=False,
        step=step,
        status_code=answer.status,
        error_class=body.get("class"),
        errcode=errcode if isinstance(errcode, int) else None,
        problem=kind.rpartition("#")[2] or body.get("status") or f"HTTP {answer.status}",
    )
