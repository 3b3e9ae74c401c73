"""HTTP responses about messages: handed over now, handed over before, looked up, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from functions.send_api import problems
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import Expired, IdReused, InFlight, Queued, Replayed, Result, Unknown
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.core.texts import without_none
from wechat_notify.core.violations import Violation
from wechat_notify.http.responses import ApiResponse


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """A message that came over HTTP, and what there is to say of it whatever became of it.

    ``keyed``: its id is its caller's own. Without one a repeat is another message.
    """

    request: SendRequest
    message: Message
    warnings: Sequence[Violation] = ()
    keyed: bool = False

    def answer(self, result: Result) -> ApiResponse:  # noqa: PLR0911 - one for each result
        """Return the answer to the message, whether this call or an earlier one gave it its status."""
        if result.attempted and isinstance(result, InFlight | Replayed) and result.outcome:
            # Its claim was given up while it was under way: its caller hears of its own attempt.
            if result.status is Status.UNKNOWN and result.outcome.status is not Status.UNKNOWN:
                return self._lost(result)
            return self._attempted(result.outcome, result.entry)
        match result:
            case InFlight():
                return problems.in_flight(**self._names)
            case IdReused():
                return problems.key_reused(**self._names)
            case Queued():
                return self._queued()
            case Expired():
                return problems.gone(Status.EXPIRED, **self._names)
            case Unknown() if not _is_last_word(result):
                return self._lost(result)
            case Replayed(entry=Entry() as entry):
                response = self._replayed(result, entry)
                return replace(response, headers={**response.headers, "Idempotent-Replayed": "true"})
        assert result.outcome  # noqa: S101 # nosec B101 # what was tried, or could not be, has one
        return self._attempted(result.outcome, result.entry)

    def _replayed(self, result: Replayed, entry: Entry) -> ApiResponse:
        """Return the answer that the message's entry gives."""
        match entry.status:
            case Status.QUEUED:
                return self._queued()
            case Status.EXPIRED | Status.CANCELLED:
                return problems.gone(entry.status, **self._names)
            case Status.UNKNOWN:
                return self._lost(result)
        if entry.outcome is None:
            return problems.refused_before(reason=entry.reason, **self._names)
        return self._attempted(entry.outcome, entry)

    def _attempted(self, outcome: Outcome, entry: Entry | None) -> ApiResponse:
        cloud_call = self.message.cloud_call
        if outcome.status is not Status.SENT:
            if entry and _given_up(entry):
                outcome = outcome._replace(retryable=False, retry_after=None)
            return problems.not_sent(outcome, cloud_call=cloud_call, kind=self.message.kind, **self._names)
        names = ("errCode", "errMsg") if cloud_call else ("errcode", "errmsg")
        wechat = dict(zip(names, (outcome.errcode, outcome.errmsg), strict=True))
        return ApiResponse(
            200, self._accepted(Status.SENT, wechat=without_none(**wechat, msgid=outcome.msgid))
        )

    def _queued(self) -> ApiResponse:
        location = f"/v1/accounts/{self.request.account}/messages/{quote(self.request.id, safe='')}"
        headers = {"Location": location, "Preference-Applied": "respond-async"}
        return ApiResponse(202, self._accepted(Status.QUEUED), headers)

    def _lost(self, result: Unknown | Replayed | InFlight) -> ApiResponse:
        repeat_after = None if isinstance(result, InFlight) else result.repeat_after
        return problems.answer_lost(
            repeat_in=repeat_after if self.keyed else None,
            cloud_call=self.message.cloud_call,
            kind=self.message.kind,
            **self._names,
        )

    def _accepted(self, status: Status, **more: Any) -> dict[str, Any]:
        body = {**self._names, "kind": self.message.kind, "status": status.value, **more}
        if self.warnings:
            body["warnings"] = [warning.as_dict() for warning in self.warnings]
        return body

    @property
    def _names(self) -> dict[str, str]:
        return {"id": self.request.id, "account": self.request.account}


def _is_last_word(result: Unknown) -> bool:
    """Return whether it was this attempt whose answer was lost, and that is the end of it."""
    outcome = result.outcome
    is_lost = result.attempted and outcome is not None and outcome.status is Status.UNKNOWN
    return is_lost and result.repeat_after is None


def _given_up(entry: Entry) -> bool:
    """Return whether the message failed for good: under its id nothing is tried any more."""
    return entry.status is Status.FAILED and not entry.awaits_caller
