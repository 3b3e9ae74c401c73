"""The documents that the stack serves: the OpenAPI document, a page that shows it, and docs/ as pages.

They are at the emulator's address, so that the relative types of problems lead to them. Nothing comes from
elsewhere: the page's script stands in this folder, from the npm package openapi-explorer.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parent
_DOCS: Final = _FOLDER.parents[1] / "docs"
_DOCUMENT: Final = "openapi.json"
_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)

_Scope = dict[str, Any]
_Application = Callable[[_Scope, Any, Any], Awaitable[None]]
_Content = tuple[str, bytes]


def publish(api_url: str, folder: Path) -> None:
    """Put the document into a folder of this stack, with the address of its API."""
    document: dict[str, Any] = json.loads((_DOCS / _DOCUMENT).read_text("utf-8"))
    document["servers"] = [{"url": api_url, "description": "The stack on this machine."}]
    (folder / _DOCUMENT).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def with_docs(
    application: _Application, folder: Path
) -> Callable[[_Scope, Any, Any], Coroutine[Any, Any, None]]:
    """Answer GET requests for the documents; the rest is the application's (ASGI)."""

    async def application_with_docs(scope: _Scope, receive: Any, send: Any) -> None:
        content = _content(scope["path"], folder) if _is_get(scope) else None
        if content is None:
            await application(scope, receive, send)
            return
        media_type, body = content
        headers = {
            "content-type": media_type,
            "content-length": str(len(body)),
            "content-security-policy": _SECURITY_POLICY,
        }
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return application_with_docs


def _is_get(scope: Mapping[str, Any]) -> bool:
    return bool(scope["type"] == "http" and scope["method"] == "GET")


def _content(path: str, folder: Path) -> _Content | None:
    """The media type and the bytes of a document, None where there is none of this path."""
    match path:
        case "/openapi.json" if (folder / _DOCUMENT).exists():
            return "application/json", (folder / _DOCUMENT).read_bytes()
        case "/docs":
            return "text/html; charset=utf-8", (_FOLDER / "page.html").read_bytes()
        case "/docs/openapi-explorer.min.js":
            return "text/javascript; charset=utf-8", (_FOLDER / "openapi-explorer.min.js").read_bytes()
    page = re.fullmatch(r"/docs/((?:(?:decisions|zh)/)?[\w-]+\.md)", path)
    if page and (_DOCS / page[1]).exists():
        return "text/html; charset=utf-8", _page((_DOCS / page[1]).read_text("utf-8")).encode()
    return None


def _page(text: str) -> str:
    """A page of docs/ as HTML, with the anchors that GitHub gives to its headings."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - for whoever reads it

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for heading, title in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrs["id"] = re.sub(r"[^\w -]", "", title.content.lower()).replace(" ", "-")
    return _PAGE.format(markdown.renderer.render(tokens, markdown.options, {}))


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>WeChat Notify</title><link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }}
td, th {{ border: 1px solid #ccc; padding: .3rem .6rem; text-align: left }}
pre, code {{ background: #f4f4f4 }} pre {{ padding: 1rem; overflow: auto }}
:target {{ background: #fff3bf }}
</style>
{}
</html>
"""
