"""The connections to WeChat with a subsegment for each call."""

from __future__ import annotations

from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer
from wechat_notify.xray import Tracer


class TracedSession(HttpSession):
    """An ``HttpSession`` whose calls are in the trace."""

    def __init__(
        self, tracer: Tracer, base_url: str, limits: Limits | None = None, *, proxy: str | None = None
    ) -> None:
        super().__init__(base_url, limits, proxy=proxy)
        self._tracer = tracer
        self._traced_url = base_url

    def _send(self, method: str, path: str, body: bytes | None) -> HttpResponse | NoAnswer:
        began = self._tracer.now()
        answer = super()._send(method, path, body)
        status = answer.status if isinstance(answer, HttpResponse) else None
        self._tracer.wechat(method, self._traced_url + path, began, status)
        return answer
