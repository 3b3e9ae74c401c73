"""The page about all codes, in one of two languages: by symptom, by class, and a section for each code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from error_pages.classes import CLASSES
from error_pages.field_reports import NO_REPORT, REPORTS, Certainty, Place, Report
from error_pages.handling import KIND, Handling, of_platform, of_send, of_token
from error_pages.places import PLACES
from error_pages.symptoms import SYMPTOMS
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.advice import advice
from wechat_notify.wechat.error_codes import ERROR_CODES, ErrorCode, lookup

Language = Literal["en", "zh"]


def anchor(code: ErrorCode) -> str:
    """Return the anchor of a code's section: GitHub and the site make it from the heading."""
    return f"{code.code}-{code.name.lower()}"


def page(language: Language) -> str:
    """Return the page."""
    return "\n".join(_Page(language).lines())


def meaning(code: ErrorCode) -> Bilingual:
    """Return a code's meaning as a sentence, as hints begin with it."""
    text = code.meaning.en
    if "_" not in text.split(maxsplit=1)[0]:  # access_token is spelled that way
        text = text[:1].upper() + text[1:]
    return Bilingual(f"{text}.", f"{code.meaning.zh}。")


def advised(code: ErrorCode) -> Bilingual:
    """Return the advice; where it depends on what was asked for, both."""
    token, message = advice(code), advice(code, KIND)
    if token == message:
        return token
    return Bilingual(
        f"Where a token was asked for: {token.en} In the answer to a message: {message.en}",
        f"获取 access_token 时：{token.zh}发送消息时：{message.zh}",
    )


class _Page:
    def __init__(self, language: Language) -> None:
        self._language = language

    def _of(self, text: Bilingual) -> str:
        return text.en if self._language == "en" else text.zh

    def _said(self, name: str) -> str:
        return self._of(_WORDS[name])

    def lines(self) -> Iterator[str]:
        yield self._said("head")
        yield from self._symptoms()
        yield from self._classes()
        for error_class in CLASSES:
            codes = [code for code in ERROR_CODES.values() if code.error_class is error_class]
            if codes:
                yield from self._group(error_class, codes)
        yield from self._unknown()

    def _symptoms(self) -> Iterator[str]:
        yield self._said("symptoms")
        for symptom in SYMPTOMS:
            codes = self._links(symptom.codes)
            remark = self._of(symptom.remark).format(quota=self._said("quotas"))
            yield f"| {self._of(symptom.text)} | {codes} | {remark} |"
        yield ""

    def _classes(self) -> Iterator[str]:
        yield self._said("classes")
        for error_class, text in CLASSES.items():
            if error_class is ErrorClass.OTHER:
                continue
            statuses = sorted(
                {
                    of_send(code.code).status
                    for code in ERROR_CODES.values()
                    if code.error_class is error_class
                }
            )
            status = ", ".join(map(str, statuses))
            link = f"[{error_class.value}](#{error_class.value})"
            yield f"| {link} | {self._of(text.meaning)} | {self._of(text.remedy)} | {status} |"
        yield self._said("numbers")

    def _group(self, error_class: ErrorClass, codes: Sequence[ErrorCode]) -> Iterator[str]:
        text = CLASSES[error_class]
        yield f"## {error_class.value}\n"
        yield f"{self._joined(text.meaning, text.remedy)}\n"
        for code in codes:
            yield f"### {code.code} {code.name}\n"
            yield f"{self._of(meaning(code))}\n"
            yield from self._section(code, REPORTS.get(code.code, NO_REPORT))

    def _section(self, code: ErrorCode, report: Report) -> Iterator[str]:
        yield from self._handling(code, report)
        yield f"{self._said('advice')} {self._of(advised(code))}\n"
        for number, step in enumerate(report.steps, 1):
            yield f"{number}. {self._of(step.as_text())}"
        if report.steps:
            yield ""
        if report.causes:
            yield f"{self._said('causes')}\n"
            for cause in report.causes:
                yield f"- {self._of(cause.as_text())} *({self._of(_CERTAINTY[cause.certainty])})*"
            yield ""
        if report.errmsg:
            yield f"{self._said('errmsg')}\n"
            for text in report.errmsg:
                yield f"- `{text}`"
            yield ""
        if report.met:
            names = self._said("and").join(self._of(PLACES[place].name) for place in report.met)
            yield f"{self._said('met')} {names}{self._said('stop')}\n"
        if report.related:
            yield f"{self._said('related')} {self._links(report.related)}\n"

    def _handling(self, code: ErrorCode, report: Report) -> Iterator[str]:
        if report.met and not any(PLACES[place].ours for place in report.met):
            yield f"{self._said('foreign')}\n"
        if report.met != (Place.TOKEN,):
            yield f"{self._said('send')} {self._told(of_send(code.code))}\n"
        if Place.TOKEN in report.met:
            yield f"{self._said('token')} {self._told(of_token(code.code))}\n"
        if Place.PLATFORM in report.met:
            yield f"{self._said('platform')} {self._told(of_platform(code.code))}\n"

    def _told(self, handling: Handling) -> str:
        if handling.status == _OK:
            http = self._said("http_sent")
        else:
            problem = "[`not-sent`](problems.md#not-sent)"
            http = self._said("http_again" if handling.retryable else "http_failed").format(
                status=handling.status, problem=problem
            )
        return f"{self._of(handling.text)}{self._said('space')}{http}"

    def _joined(self, *parts: Bilingual) -> str:
        return self._said("space").join(map(self._of, parts))

    def _links(self, codes: Sequence[int]) -> str:
        return self._said("and").join(f"[{code}](#{anchor(ERROR_CODES[code])})" for code in codes)

    def _unknown(self) -> Iterator[str]:
        unknown = lookup(_UNKNOWN)
        yield self._said("unknown")
        yield f"{self._said('send')} {self._told(of_send(_UNKNOWN))}\n"
        yield f"{self._said('advice')} {self._of(advice(unknown))}"
        yield ""


_OK: Final = 200
_UNKNOWN: Final = 1
"""A code that is not in the table."""
_CERTAINTY: Final[Mapping[Certainty, Bilingual]] = {
    Certainty.DOCUMENTED: Bilingual("documented", "官方文档"),
    Certainty.SDK: Bilingual("SDK source", "SDK 源码"),
    Certainty.REPORTED: Bilingual("reported", "社区反馈"),
    Certainty.INFERRED: Bilingual("inferred", "推断"),
}
_WORDS: Final[Mapping[str, Bilingual]] = {
    "head": Bilingual(
        """\
# Error codes

WeChat answers each call with an `errcode`. This page has a section for every code that a sender can meet: what it means,
what this service does about it, and what to do. It is made by `make error-pages` from the table that the service itself
decides by. Behind each statement about causes stands its source: *documented* (WeChat's documentation), *SDK source*,
*reported* (threads and issues of people who met it; nobody at WeChat confirmed it) or *inferred*.

In `errmsg` examples, addresses and ids are replaced. A real text ends with `rid: …` or `hint: [...]`, and texts vary:
go by the code.
""",
        """\
# 错误码

微信的每次应答都带有 `errcode`。本页列出发送消息时可能遇到的全部错误码：含义、本服务的处理方式以及解决办法。
内容由 `make error-pages` 根据服务自身所用的错误码表生成。每条原因后注明来源：*官方文档*、*SDK 源码*、
*社区反馈*（开发者在社区或 issue 中的反馈，未经微信确认）或*推断*。

示例 `errmsg` 中的 IP 地址和 ID 均已替换。实际文本末尾通常带有 `rid: …` 或 `hint: [...]`，且措辞并不固定，
请以错误码为准。
""",
    ),
    "symptoms": Bilingual(
        "## By symptom\n\n| symptom | look at | |\n|---|---|---|",
        "## 按现象查找\n\n| 现象 | 错误码 | 说明 |\n|---|---|---|",
    ),
    "classes": Bilingual(
        "## Classes\n\nThe class of a code decides what the service does. It is `class` in answers, log lines, metrics and events.\n\n"
        "| class | what is wrong | what helps | HTTP status |\n|---|---|---|---|",
        "## 分类\n\n服务按错误码的分类决定如何处理。应答、日志、指标和事件中的 `class` 即此分类。\n\n"
        "| class | 问题 | 由谁处理 | HTTP 状态码 |\n|---|---|---|---|",
    ),
    "numbers": Bilingual(
        """
Over HTTP a repeat is the caller's; with `retryable` the answer has `Retry-After`. From the queue the service repeats by
itself: [decision 6](decisions/0006-what-is-repeated-and-when.md) has the waits. While something is
[held](reliability.md#holds), its other messages wait on the queue, and HTTP callers are told to repeat them later;
[`GET …/holds`](teams-api.md#holds) lists what is held, and `DELETE` ends a hold once its cause is mended.
""",
        """
通过 HTTP 提交的消息由调用方重试；`retryable` 为 true 时应答带有 `Retry-After`。队列中的消息由服务自动重试，
间隔见[决策 6](../decisions/0006-what-is-repeated-and-when.md)。某个范围[暂停发送](../reliability.md#holds)期间，
范围内的其他消息在队列中等待，HTTP 调用方会收到稍后重试的提示；[`GET …/holds`](teams-api.md#暂停发送)
列出当前的暂停，原因排除后可用 `DELETE` 立即解除。
""",
    ),
    "unknown": Bilingual(
        "## A code that is not in the table\n\nWeChat adds codes without notice. The metric `UnknownErrcode` counts them.\n",
        "## 表中没有的错误码\n\n微信会不经通知新增错误码，指标 `UnknownErrcode` 会统计此类应答。\n",
    ),
    "quotas": Bilingual("teams-api.md#quotas", "teams-api.md#额度"),
    "advice": Bilingual("**What to do.**", "**解决办法。**"),
    "causes": Bilingual("**What is known.**", "**已知情况。**"),
    "errmsg": Bilingual("**`errmsg`, for example.**", "**`errmsg` 示例。**"),
    "met": Bilingual("**Met at**", "**出现的接口：**"),
    "and": Bilingual(", ", "、"),
    "stop": Bilingual(".", "。"),
    "space": Bilingual(" ", ""),
    "related": Bilingual("**See also**", "**相关错误码：**"),
    "foreign": Bilingual(
        "This service does not call the APIs that are known to answer it.",
        "已知返回此错误码的接口均不由本服务调用。",
    ),
    "send": Bilingual("**As the answer to a message.**", "**发送消息时返回：**"),
    "token": Bilingual("**As the answer to the question for a token.**", "**获取 access_token 时返回：**"),
    "platform": Bilingual("**As the answer to a call of a platform.**", "**调用第三方平台接口时返回：**"),
    "http_sent": Bilingual("Over HTTP: 200.", "HTTP 调用方收到 200。"),
    "http_failed": Bilingual(
        "Over HTTP: {status}, {problem}, `retryable` is false.",
        "HTTP 调用方收到 {status}（{problem}），`retryable` 为 false。",
    ),
    "http_again": Bilingual(
        "Over HTTP: {status}, {problem}, `retryable` is true.",
        "HTTP 调用方收到 {status}（{problem}），`retryable` 为 true。",
    ),
}
