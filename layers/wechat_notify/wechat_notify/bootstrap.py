"""The only place that puts the parts together; each part is made once a process, on first use."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from functools import cache, partial

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, AppCredentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.messages.identifiers import new_id
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import Grant
from wechat_notify.settings import Settings
from wechat_notify.telemetry import Telemetry, hash_openid
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.session import HttpSession

_random = random.SystemRandom()
_DAY = 86400
_heap_frozen = False


@cache
def settings() -> Settings:
    """The environment's settings."""
    return Settings()


@cache
def telemetry() -> Telemetry:
    """The log and the metrics."""
    return Telemetry()


@cache
def openid_hash() -> Callable[[str], str]:
    """The function that hashes an openid for logs."""
    return partial(hash_openid, key=settings().openid_hash_key)


@cache
def message_id() -> Callable[[], str]:
    """New ids for messages that came without one."""
    return partial(new_id, time.time, _random.getrandbits)


@cache
def wechat() -> WeChatClient:
    """The client for WeChat."""
    return WeChatClient(HttpSession(settings().wechat_api_base, proxy=settings().wechat_proxy))


@cache
def aws() -> Clients:
    """boto3's clients."""
    return Clients()


@cache
def ledger_table() -> LedgerTable:
    """The table of messages and circuits."""
    return LedgerTable(aws(), settings().ledger_table, settings().ledger_retention_days * _DAY)


@cache
def ledger() -> Ledger:
    """The ledger of messages."""
    return Ledger(ledger_table(), now=time.time, writer=message_id(), keyed_hash=openid_hash())


@cache
def dispatcher() -> Dispatcher:
    """The dispatcher: sends, queues, looks up and cancels messages."""
    tokens = AccessTokens(
        StoredTokens(aws(), settings().parameter_path),
        RefreshFunction(aws(), settings().token_refresh_function),
        now=time.time,
        sleep=time.sleep,
        jitter=_random.uniform,
    )
    circuits = Circuits(
        ledger_table(), now=time.time, writer=message_id(), quota_reset=settings().quota_reset
    )
    sender = Sender(tokens, wechat(), now=time.time, clock=time.perf_counter)
    return Dispatcher(ledger(), circuits, sender, send_queue(), now=time.time, jitter=_random.uniform)


@cache
def send_queue() -> Queue:
    """The queue of messages to be sent."""
    return Queue(aws(), settings().send_queue_url)


@cache
def event_bus() -> EventBus:
    """The event bus for the team's own automation."""
    return EventBus(aws(), settings().event_bus_name)


@cache
def batch_sender() -> BatchSender:
    """The sender of batches of queued messages."""
    dead_letters = Queue(aws(), settings().dead_letter_queue_url)
    returns = Returns(send_queue(), dead_letters, now=time.time, jitter=_random.uniform)
    return BatchSender(dispatcher(), returns)


class _AppTokens:
    """The token source of credentials of the type ``app``: WeChat's ``stable_token``."""

    def __init__(self, credentials: AppCredentials) -> None:
        self._credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        return wechat().fetch_token(self._credentials.app_id, self._credentials.app_secret, force=force)


@cache
def token_refresher() -> TokenRefresher:
    """The refresher of the stored tokens."""
    return TokenRefresher(Accounts(aws(), settings().parameter_path, _AppTokens), now=time.time)


def freeze_heap() -> None:
    """After the first event: what the process has made by now stays, so no garbage is looked for in it.

    A full collection of all that takes 4 ms, and what is under way waits for it.
    """
    global _heap_frozen  # noqa: PLW0603 - once a process
    if not _heap_frozen:
        gc.freeze()
        _heap_frozen = True
