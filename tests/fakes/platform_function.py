"""The function token_refresh, as those meet it that ask it for a third-party platform."""

from __future__ import annotations

from typing import Any

from wechat_notify.core.errors import RefresherBusyError


class FakePlatformFunction:
    """Answers each request; ``busy`` are turned away before, ``error`` is raised instead."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.busy = 0
        self.error: Exception | None = None

    def ask_platform(self, component: str, request: str, **fields: str | int) -> dict[str, Any]:
        if self.busy:
            self.busy -= 1
            raise RefresherBusyError(component)
        self.asked.append({"component": component, "request": request, **fields})
        if self.error:
            raise self.error
        match request:
            case "pre_auth_code":
                return {"result": request, "app_id": "wxp", "pre_auth_code": "pre@1", "expires_in": 600.0}
            case "authorize":
                return {"result": "authorized"}
            case "revoke":
                return {"result": "revoked"}
        return {"result": "sent"}
