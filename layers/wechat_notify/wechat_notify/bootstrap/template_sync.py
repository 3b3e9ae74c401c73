"""The parts of template_sync."""

from __future__ import annotations

import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.parameters import AccountNames, StoredTokens
from wechat_notify.core.templates.sync import TemplateSync
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.template_lists import MAX_ANSWER


@cache
def template_sync() -> TemplateSync:
    """The copier of WeChat's lists of templates."""
    settings = bootstrap.settings()
    limits = Limits(max_bytes=MAX_ANSWER)
    return TemplateSync(
        AccountNames(bootstrap.aws(), settings.parameter_path),
        StoredTokens(bootstrap.aws(), settings.parameter_path),
        WeChatClient(bootstrap.new_wechat_session(limits)),
        bootstrap.ledger_table(),
        now=time.time,
        writer=bootstrap.id_factory(),
    )
