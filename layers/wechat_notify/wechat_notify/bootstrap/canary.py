"""The parts of the function canary."""

from __future__ import annotations

import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.canary_order import StoredOrder
from wechat_notify.aws.own_api import SignedApi
from wechat_notify.core.canary import Canary


@cache
def canary() -> Canary:
    """The canary of this stack."""
    settings = bootstrap.settings()
    orders = StoredOrder(bootstrap.aws(), settings.canary_parameter)
    return Canary(orders, SignedApi(settings.api_url), clock=time.monotonic, sleep=time.sleep)
