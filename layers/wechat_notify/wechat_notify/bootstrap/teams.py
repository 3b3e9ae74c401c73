"""The parts of the teams' API."""

from __future__ import annotations

import hmac
import random
import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.message_index import MessageIndex
from wechat_notify.aws.schedules import Schedules
from wechat_notify.core.consents.consents import Links
from wechat_notify.core.consents.links import Signer
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.delivery.holds import OpenHolds
from wechat_notify.core.delivery.listing import MessageList
from wechat_notify.core.delivery.quotas import Quotas
from wechat_notify.core.schedules.schedule import Content
from wechat_notify.core.templates.template import TemplateStore

_random = random.SystemRandom()


@cache
def message_list() -> MessageList:
    """Lists of an account's messages."""
    return MessageList(
        MessageIndex(bootstrap.aws(), bootstrap.settings().ledger_table), bootstrap.ledger_table()
    )


@cache
def cursors() -> Cursors:
    """Cursors of lists; their keys are the openids' with a word of its own."""
    return Cursors(
        lambda: [hmac.digest(key, b"cursors", "sha256") for key in bootstrap.hash_keys().load().all]
    )


@cache
def consent_links() -> Links:
    """Confirmation links; their keys are the openids' with a word of its own."""
    return Links(
        bootstrap.consent_table(),
        bootstrap.consents(),
        Signer(
            lambda: [hmac.digest(key, b"consent links", "sha256") for key in bootstrap.hash_keys().load().all]
        ),
        keyed_hash=bootstrap.openid_hasher(),
        now=time.time,
        writer=bootstrap.id_factory(),
        random_bits=_random.getrandbits,
    )


@cache
def template_store() -> TemplateStore:
    """The stored templates of accounts."""
    return bootstrap.ledger_table()


@cache
def open_holds() -> OpenHolds:
    """The holds of accounts, for people."""
    return OpenHolds(bootstrap.ledger_table(), now=time.time, writer=bootstrap.id_factory())


@cache
def quotas() -> Quotas:
    """The quotas of accounts."""
    settings = bootstrap.settings()
    return Quotas(
        bootstrap.access_tokens(),
        bootstrap.wechat(),
        MessageIndex(bootstrap.aws(), settings.ledger_table),
        open_holds(),
        now=time.time,
        reset=settings.quota_reset,
        lists_sent=settings.list_sent_messages,
    )


@cache
def schedules() -> Schedules:
    """The accounts' schedules."""
    settings = bootstrap.settings()
    return Schedules(
        bootstrap.aws(),
        group=settings.schedule_group,
        role_arn=settings.schedule_role_arn,
        queue_arns={
            Content.MESSAGE: settings.send_queue_arn,
            Content.BROADCAST: settings.broadcast_step_queue_arn,
        },
        dead_letter_arn=settings.event_dead_letter_queue_arn,
    )
