"""Texts for people come in two languages, and the Chinese one is Chinese throughout."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "layers/wechat_notify/wechat_notify").rglob("*.py")),
    *sorted((ROOT / "functions").rglob("*.py")),
]
"""The table of error codes has a test of its own."""
SOURCES = [path for path in SOURCES if path.stem not in {"error_codes", "advice"}]
NAMES = re.compile(
    r"access_token|refresh_token|(?:api_)?component_\w+|authorizer_\w+|template_id|template/subscribe|form_id"
    r"|prepay_id|clear_quota|clientmsgid|errcode|errmsg|openid|OpenID|App(?:ID|Secret)|app_(?:id|secret)|APIs?"
    r"|\bIP\b|IDC|URL|JSON|XML|HTTPS?|GET|POST|SDK|ICP|kidList|sceneDesc|cgi_path|WeChatApiBase|Retry-After"
    r"|Content-(?:Encoding|Type)|application/json|Idempotency-Key|request_id|mp\.weixin\.qq\.com"
    r"|api\.weixin\.qq\.com|UTF-8|GBK|BOM|ASCII|SQS|EventBridge|KiB|\bid\b|\berrors\b|\bdata\b|\btoken\b|a-z"
    r"|keyword1(?:\.DATA)?|\.DATA|thing1|\bvalue\b|\bpage\b|\brid\b|\burl\b|\btid\b|\bids\b|\bstart\b|\blimit\b"
    r"|Unicode|\bIDs?\b|config\.json|permissions\.openapi|AppID"
    r"|token API|\bcode\b|HH:MM|T18:00:00|U\+FFFD|\btype\b|\bapp\b|NaN|\buXXXX\b|#FF0000|\btrue\b|\bfalse\b"
    r"|CSV|CRLF|LF|\bCR\b|MiB|GB18030|UTF-16|Mac|Lines|\.xlsx?\b|,name\b|IANA|Asia/Shanghai"
    r"|\bscene\b|\breserved\b|\brecipients\b|\bupload\b|\bstarts_at\b|\bcursor\b|\btime_zone\b"
    r"|\bat\b|\bcron\b|\brate\b|\bminutes\b|\bScheduler\b|\btrue\b|\bfalse\b"
    r"|\bcallback\b|authorization-link|\bcomponent\b|https?://|\bappid\b|\bwx1234\b"
    r"|\bexpires_at\b|\bsend_window\b|\bmissing_columns\b|\bon_invalid\b|\babort\b|\bPUT\b|\bstate\b|\bbroadcast\b|\bmessage\b"
)
"""Names that have no Chinese."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The Chinese texts of a module, without what is filled in."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield node.lineno, " ".join(map(str, parts))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_chinese_is_chinese_throughout(path: Path) -> None:
    found = []
    for line, text in texts(path):
        if re.search(r"[\u4e00-\u9fff]{2}", text) and not re.search(r"\\u|\(\?", text):
            found += [(line, word) for word in re.findall("[A-Za-z]{2,}", NAMES.sub(" ", text))]
    assert found == []


def test_an_english_word_is_noticed() -> None:
    assert re.findall("[A-Za-z]{2,}", NAMES.sub(" ", "请求失败：timeout")) == ["timeout"]
