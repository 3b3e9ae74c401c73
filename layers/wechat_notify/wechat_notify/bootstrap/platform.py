"""The way to token_refresh of the functions that act on third-party platforms."""

from __future__ import annotations

import random
import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.core.platform.requests import PlatformRequests

_random = random.SystemRandom()


@cache
def platform_requests() -> PlatformRequests:
    """Requests for platforms."""
    return PlatformRequests(
        bootstrap.refresh_function(), now=time.time, sleep=time.sleep, jitter=_random.uniform
    )
