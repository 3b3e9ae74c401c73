"""The three doors of the dispatcher over fakes, and short names for what their results say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.fakes import START, Service, answer, body
from wechat_notify.core.delivery.circuit import Admission
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import BackToQueue, Held, Replayed, Result, Unknown
from wechat_notify.core.messages.envelope import SendRequest, with_options
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.outcomes import outcome_of

LEASE = 60 + 120.0
DAY = 86400.0
UNTIL_RESET = 8 * 3600 + 55 * 60 + 55 + 120.0
AT_LEAST_ONCE = body(delivery="at_least_once")
OTHER = body(page="pages/other")
ALREADY_EXPIRED = datetime.fromtimestamp(START, UTC)


@dataclass
class Door:
    """One door, through which the message ``order-1`` comes unless a test says otherwise."""

    name: str
    service: Service

    @property
    def is_queue(self) -> bool:
        return self.name == "queue"

    def __call__(
        self,
        content: dict[str, Any] | None = None,
        *,
        message_id: str = "order-1",
        account: str = "shop",
        seconds_left: float = 60.0,
        receive_count: int = 1,
        held_since: float | None = None,
        **options: Any,
    ) -> Result:
        content = content or body()
        message = parse_message(content, message_id)[0]
        request = with_options(SendRequest(message_id, account, content, **options), message)
        stopped_at = self.service.clock.now() + seconds_left

        def left() -> float:
            return stopped_at - self.service.clock.now()

        dispatcher = self.service.dispatcher
        if self.name == "http":
            return dispatcher.send_now(request, message, left)
        if self.name == "accept":
            return dispatcher.accept(request, message)
        dispatcher.prepare([account])
        return dispatcher.send_queued(
            request, message, left, receive_count=receive_count, held_since=held_since
        )

    @property
    def entry(self) -> Entry:
        return self.service.ledger_store.entries["shop", "order-1"]

    def plan(self, *outcomes: Outcome | int) -> None:
        """Let WeChat answer with these outcomes or errcodes."""
        self.service.wechat.plan.extend(answer(each) if isinstance(each, int) else each for each in outcomes)

    def advance(self, seconds: float | None) -> None:
        self.service.clock.advance(seconds or 0.0)

    @property
    def posts(self) -> int:
        return len(self.service.wechat.attempts)

    def hold(self, errcode: int = 45009) -> None:
        """Let the answer to another message open a circuit."""
        self.plan(errcode)
        self(message_id="the one before")
        self.service.forget()
        self.service.ledger_store.puts = self.service.ledger_store.reads = 0

    def trouble(self, name: str) -> float:
        """Let something keep every message from being sent; return the seconds that are left."""
        service = self.service
        if name == "held":
            service.circuits.prefetch(["shop"])
            service.circuits.record("shop", parse_message(body())[0], answer(45009), Admission())
        if name == "no token":
            service.clock.advance(7200)
            service.refresher.down = "ServiceException"
        return 10.0 if name == "no time" else 60.0

    def meanwhile(self, *given: Any, door: Door | None = None, **options: Any) -> list[Result]:
        """Let the message come again while its POST is under way; the list gets that result."""
        results: list[Result] = []

        def come_again(_message: object) -> None:
            self.service.wechat.while_in_flight = lambda _message: None
            results.append((door or self)(*given, **options))

        self.service.wechat.while_in_flight = come_again
        return results


def claim(service: Service, seconds: float = 60.0, message_id: str = "order-1") -> None:
    """Let another invocation have the message."""
    content = body()
    message = parse_message(content, message_id)[0]
    service.ledger.claim(SendRequest(message_id, "shop", content), message, seconds, takes_queued=True)


def real(errcode: int, kind: str = "subscription") -> Outcome:
    """The outcome that the client makes of an errcode."""
    return outcome_of(Answer(errcode, f"text {errcode}", "rid-1", None, None), kind)


def as_recorded(outcome: Outcome | None) -> Outcome | None:
    """An outcome as it is recorded where nothing is repeated: a lost answer's hint says what that means."""
    if outcome is None or outcome.status is not Status.UNKNOWN:
        return outcome
    en = f"{outcome.hint.en} A copy under a new id can reach the user as a second message."
    return outcome._replace(hint=Bilingual(en, f"{outcome.hint.zh}使用新的 id 重发可能造成用户收到两条。"))


def again_in(result: Result) -> float | None:
    """Seconds until the queue hands the message out again."""
    return result.after if isinstance(result, BackToQueue) else None


def held_for(result: Result) -> float | None:
    return result.after if isinstance(result, Held) else None


def repeat_after(result: Result) -> float | None:
    return result.repeat_after if isinstance(result, Unknown | Replayed) else None


def events(result: Result) -> list[str]:
    return [event.detail_type for event in result.events]


def outcome(result: Result) -> Outcome:
    assert result.outcome is not None
    return result.outcome
