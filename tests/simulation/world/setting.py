"""Where and when every world is: its dates, names and limits, and the template that is deployed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

START = 1772375400.0
"""2026-03-01 22:30 in Beijing: a daily quota that is reached holds for an hour and a half."""
EARLY_START = START - 4 * 3600.0
"""Where one world in four begins: a quota holds for more rounds than Lambda has patience with a loop."""
MIDNIGHT = START + 5400.0
LATE_RESET = 1200.0
"""Seconds after midnight at which every other world's daily quotas start again."""
MAX_CHAIN = 16
"""Invocations in one chain, after which Lambda takes it for a loop."""
GATEWAY_DROPS_AFTER = 60.0
"""Seconds after which a gateway forgets an idle connection, and tells nobody."""
_TEMPLATE = Path(__file__).parents[3] / "template.yaml"
CANARY = "CANARY"
"""Stands in every secret, token and openid, and in the text of every error that a library raises."""
PATH = "/wechat-notify/simulation/accounts"
TABLE = "ledger"
SEND_QUEUE, DEAD_LETTERS = "https://sqs/send", "https://sqs/dead"
ENVIRONMENT = {
    "PARAMETER_PATH": PATH,
    "WECHAT_API_BASE": "https://api.weixin.qq.com",
    "WECHAT_PAGES_BASE": "https://mp.weixin.qq.com",
    "TOKEN_REFRESH_FUNCTION": "token-refresh",
    "SEND_QUEUE_URL": SEND_QUEUE,
    "DEAD_LETTER_QUEUE_URL": DEAD_LETTERS,
    "LEDGER_TABLE": TABLE,
    "LEDGER_RETENTION_DAYS": "30",
    "LIST_SENT_MESSAGES": "true",
    "RECEIPTS": "false",
    "EVENT_BUS_NAME": "default",
    "QUOTA_RESET": "00:00+08:00",
}
BATCH_SIZE = 10
QUEUE_WORKERS = 10
TIMEOUTS = {"SendQueueFunction": 67.0, "SendApiFunction": 29.0, "TokenRefreshFunction": 120.0}
"""Seconds, as the template has them."""
SEND_QUEUE_FUNCTION = "send-queue"
MAX_SKEW = 60.0
"""Seconds by which a clock may be wrong."""


def template() -> str:
    """What is deployed."""
    return _TEMPLATE.read_text("utf-8")


@cache
def loops_allowed(text: str, name: str = "SendQueueFunction") -> bool:
    """Whether a function may put messages on its own queue for as long as it takes.

    Read as text: a parser of CloudFormation takes longer to load than a world takes.
    """
    function = re.search(rf"^  {name}:\n((?: {{4}}.*\n|\n)+)", text, re.MULTILINE)
    assert function
    return re.search(r"^ {6}RecursiveLoop:.*\bAllow\b", function[1], re.MULTILINE) is not None
