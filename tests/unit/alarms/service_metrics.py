"""The service's own metrics, as its functions write them on a day and when something is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.broadcast.handler import lambda_handler as broadcast
from functions.callback_events.handler import lambda_handler as callback_events
from functions.send_queue.handler import lambda_handler as send_queue
from functions.template_sync.handler import lambda_handler as template_sync
from functions.token_refresh.handler import lambda_handler as token_refresh
from tests.fakes import FakeContext, Metric, Service, answer, body, break_down, metrics
from wechat_notify.core.delivery.records import HELD_SINCE
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.templates.template import Family

Written = list[Metric]
ACCOUNTS = ("bank", "cafe", "gym", "inn", "zoo")
_UNKNOWN_ERRCODE = 99999


class Functions:
    """The functions over fakes: each method lets them run, and returns the metrics that were written."""

    def __init__(
        self, service: Service, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.service = service
        self._capsys = capsys
        self._patch = patch
        for account in ACCOUNTS:
            service.add_account(account)
        self._sent = 0

    def _written(self) -> Written:
        return metrics(self._capsys.readouterr().out)

    def _record(self, text: str, *, age: float = 0.0, receives: int = 1, held: float | None = None) -> Any:
        """A record that came to its queue ``age`` seconds ago; ``held`` so long ago it was held first."""
        self._sent += 1
        now = self.service.clock.now()
        value = {"stringValue": str(int(now - (held or 0.0))), "dataType": "String"}
        return {
            "messageId": f"m{self._sent}",
            "receiptHandle": f"r{self._sent}",
            "body": text,
            "attributes": {
                "ApproximateReceiveCount": str(receives),
                "SentTimestamp": str(int((now - age) * 1000)),
            },
            "messageAttributes": {} if held is None else {HELD_SINCE: value},
        }

    def _message(self, account: str = "shop", **record: Any) -> Any:
        """A record with a message to somebody new."""
        content = {"account": account, "message": body(touser=f"openid-{self._sent:020}")}
        return self._record(json.dumps(content), **record)

    def _send(self, *records: Any) -> Written:
        send_queue({"Records": list(records)}, FakeContext())
        return self._written()

    # ------------------------------------------------------------------ a day

    def messages_sent(self) -> Written:
        """Ten messages of several accounts, one of which nobody gets."""
        self.service.wechat.plan.append(answer(43101))
        return self._send(*(self._message(account) for account in ("shop", *ACCOUNTS) for _ in range(2)))

    def tokens_refreshed(self) -> Written:
        token_refresh({}, FakeContext(120.0))
        return self._written()

    def templates_synced(self) -> Written:
        template_sync({}, FakeContext(600.0))
        return self._written()

    def held_by_a_quota(self) -> Written:
        """Hours after an account used up its day's."""
        self.hold_opened()
        return self._send(self._message(held=8 * 3600.0, age=800.0))

    # ------------------------------------------------------------------ faults of sending

    def hold_opened(self) -> Written:
        self.service.wechat.plan.append(answer(45009))
        return self._send(self._message())

    def held_for_days(self) -> Written:
        self.hold_opened()
        return self._send(self._message(held=26 * 3600.0, age=800.0))

    def message_returned(self, age: float = 40 * 60.0) -> Written:
        """A message that WeChat has no time for, again and again."""
        self.service.wechat.plan.append(answer(-1))
        return self._send(self._message(age=age, receives=9))

    def poison(self) -> Written:
        """A body that nobody can read; a message that a bug stops, the last time."""
        return self._send(self._record("not JSON", age=5.0))

    def unforeseen(self) -> Written:
        with self._patch.context() as patch:
            patch.setattr(self.service.sender, "token", break_down)
            return self._send(self._message(age=1728.0, receives=5))

    def message_failed(self) -> Written:
        self.service.wechat.plan.append(answer(43101))
        return self._send(self._message())

    def mostly_failed(self) -> Written:
        """Twelve of an account's last twenty; the others' arrive."""
        written: Written = []
        for number in range(20):
            self.service.wechat.plan.append(answer(43101 if number % 5 < 3 else 0))
            written += self._send(self._message("zoo"))
        return written

    def unknown_errcode(self) -> Written:
        self.service.wechat.plan.append(answer(_UNKNOWN_ERRCODE))
        return self._send(self._message())

    def not_recorded(self) -> Written:
        def fail(_message: Message) -> None:
            self.service.ledger_store.failing = {"put": "ServiceUnavailable"}

        self.service.wechat.while_in_flight = fail
        return self._send(self._message())

    def not_published(self) -> Written:
        self.service.bus.failing = "InternalFailure"
        return self.hold_opened()

    # ------------------------------------------------------------------ faults of other queues' messages

    def step_returned(self) -> Written:
        """A step that cannot be done: its table does not answer."""
        self.service.broadcast_store.failing = {"read": "InternalServerError"}
        text = json.dumps({"account": "shop", "broadcast": "b", "step": 1})
        broadcast({"Records": [self._record(text, age=2400.0, receives=9)]}, FakeContext())
        return self._written()

    def callback_returned(self) -> Written:
        """A callback that is not understood."""
        record = self._record(json.dumps({"account": "shop", "fields": {}}), age=2400.0, receives=5)
        callback_events({"Records": [record]}, FakeContext())
        return self._written()

    # ------------------------------------------------------------------ faults of tokens and templates

    def tokens_refused(self, *accounts: str) -> Written:
        for account in accounts:
            self.service.wechat.refuse_tokens(f"wx-{account}", answer(40125))
        return self.tokens_refreshed()

    def tokens_run_out(self, *accounts: str) -> Written:
        self.tokens_refused(*accounts)
        self.service.clock.advance(7200.0)
        return self.tokens_refreshed()

    def tokens_not_stored(self) -> Written:
        self.service.store.failing = {"save": "ThrottlingException"}
        self.service.wechat.renew("wx-shop")
        return self.tokens_refreshed()

    def templates_not_read(self) -> Written:
        self.service.wechat.lists = {
            (f"wx-{account}", family): answer(-1) for account in ("shop", *ACCOUNTS) for family in Family
        }
        return self.templates_synced()
