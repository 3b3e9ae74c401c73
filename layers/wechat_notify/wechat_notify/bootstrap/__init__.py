"""The only place that puts the parts together; each part is made once a process, on first use.

Here are the parts of sending, which start with every function; those of the teams' API are in
``bootstrap.teams``, those of template_sync in a module of its name.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.consent_table import ConsentTable
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.hash_keys import StoredHashKeys
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.consents.consents import Consents
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.consented import UnsentEntries
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.messages.identifiers import new_id
from wechat_notify.core.openid_hashes import OpenidHashes
from wechat_notify.core.templates.registry import TemplateRegistry
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.settings import Settings, is_traced, starts_from_snapshot, trace_header, xray_daemon
from wechat_notify.telemetry import Telemetry
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.session import HttpSession, tls_context

if TYPE_CHECKING:
    from wechat_notify.xray import Tracer

_random = random.SystemRandom()
_DAY = 86400


@cache
def settings() -> Settings:
    """The environment's settings."""
    return Settings()


@cache
def telemetry() -> Telemetry:
    """The log and the metrics."""
    return Telemetry()


@cache
def hash_keys() -> StoredHashKeys:
    """The keys of openids' hashes; not even their secret's name is read here: broadcast has none."""
    return StoredHashKeys(aws(), lambda: settings().openid_hash_secret)


@cache
def openid_hasher() -> OpenidHashes:
    """Hashes openids for the ledger and for logs."""
    return OpenidHashes(hash_keys())


@cache
def id_factory() -> Callable[[], str]:
    """New ids for messages that came without one."""
    return partial(new_id, time.time, _random.getrandbits)


@cache
def wechat_session() -> HttpSession:
    """The connections to WeChat."""
    return new_wechat_session()


def new_wechat_session(limits: Limits | None = None) -> HttpSession:
    """Connections to WeChat within other limits than a sender's; in the trace, where there is one."""
    base, proxy = settings().wechat_api_base, settings().wechat_proxy
    if is_traced():
        from wechat_notify.wechat.traced import TracedSession  # noqa: PLC0415 - for those who pay for traces

        return TracedSession(tracer(), base, limits, proxy=proxy)
    return HttpSession(base, limits, proxy=proxy)


@cache
def tracer() -> Tracer:
    """The sender of subsegments to X-Ray's daemon."""
    from wechat_notify.xray import Daemon, Tracer  # noqa: PLC0415 - as above

    return Tracer(trace_header, Daemon(xray_daemon()).deliver)


@cache
def wechat() -> WeChatClient:
    """The client for WeChat."""
    return WeChatClient(wechat_session())


@cache
def aws() -> Clients:
    """boto3's clients."""
    key = settings().parameter_kms_key
    if is_traced():
        from wechat_notify.aws.traced import trace  # noqa: PLC0415 - as above

        return Clients(parameter_key=key, jitter=_random.uniform, trace=partial(trace, tracer=tracer()))
    return Clients(parameter_key=key, jitter=_random.uniform)


@cache
def ledger_table() -> LedgerTable:
    """The table of messages, circuits and templates."""
    return LedgerTable(
        aws(),
        settings().ledger_table,
        retention_seconds(),
        list_sent=settings().list_sent_messages,
        match_receipts=settings().receipts,
    )


def retention_seconds() -> float:
    """For how long the ledger keeps what is over, seconds."""
    return settings().ledger_retention_days * _DAY


@cache
def ledger() -> Ledger:
    """The ledger of messages."""
    return Ledger(ledger_table(), now=time.time, writer=id_factory(), keyed_hash=openid_hasher())


@cache
def refresh_function() -> RefreshFunction:
    """The function token_refresh."""
    return RefreshFunction(aws(), settings().token_refresh_function)


@cache
def access_tokens() -> AccessTokens:
    """The accounts' tokens, as a sender has them."""
    return AccessTokens(
        StoredTokens(aws(), settings().parameter_path),
        refresh_function(),
        now=time.time,
        sleep=time.sleep,
        jitter=_random.uniform,
    )


@cache
def dispatcher() -> Dispatcher:
    """The dispatcher: sends, queues, looks up and cancels messages."""
    circuits = Circuits(
        ledger_table(), now=time.time, writer=id_factory(), quota_reset=settings().quota_reset
    )
    sender = Sender(access_tokens(), wechat(), now=time.time, clock=time.perf_counter)
    return Dispatcher(
        ledger(),
        circuits,
        sender,
        send_queue(),
        consents(),
        now=time.time,
        jitter=_random.uniform,
        check=template_registry().check,
    )


@cache
def consent_table() -> ConsentTable:
    """The table of consents."""
    return ConsentTable(aws(), settings().ledger_table, retention_seconds())


@cache
def consents() -> Consents:
    """The consent ledger."""
    return Consents(
        consent_table(),
        UnsentEntries(ledger_table()),
        long_term=template_registry().is_long_term,
        keyed_hash=openid_hasher(),
        now=time.time,
        writer=id_factory(),
    )


@cache
def template_registry() -> TemplateRegistry:
    """The templates that messages are checked against."""
    return TemplateRegistry(ledger_table(), now=time.time)


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


def register_for_snapshots() -> None:
    """Register the hook of SnapStart, where the function starts from snapshots."""
    if starts_from_snapshot():
        # In Lambda's runtime and nowhere else: there is nothing to install it from.
        from snapshot_restore_py import register_before_snapshot  # noqa: PLC0415

        register_before_snapshot(before_snapshot)


def before_snapshot() -> None:
    """Make what takes long, and call nobody.

    So a snapshot has no connection that could be closed, and no token or circuit that could be out of date.
    The parts read the clock and ``SystemRandom`` with each use, and ids are made of these two.
    """
    for part in (telemetry, dispatcher, event_bus, tls_context):
        part()
    aws().make("dynamodb", "ssm", "secretsmanager", "sqs", "lambda", "events")
