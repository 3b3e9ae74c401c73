"""One HTTP answer, in the form that API Gateway wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """One page for a person's browser, which nothing is loaded into and nobody keeps."""

    status: int
    html: str

    def for_api_gateway(self, _request_id: str) -> dict[str, Any]:
        """The page in payload format 2.0."""
        return {"statusCode": self.status, "headers": _PAGE_HEADERS, "body": self.html}


_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    # The address has the openid in it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One HTTP answer before it has API Gateway's form."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def for_api_gateway(self, request_id: str) -> dict[str, Any]:
        """The answer in payload format 2.0; a problem document carries the request's id."""
        problem = self.status >= 400  # noqa: PLR2004 - HTTP's own border
        content_type = "application/problem+json" if problem else "application/json"
        body = {**self.body, "request_id": request_id} if problem else self.body
        return {
            "statusCode": self.status,
            "headers": {"Content-Type": content_type, **self.headers},
            "body": json.dumps(body, ensure_ascii=False),
        }
