"""The documents that the stack serves."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.docs import publish, with_docs

FOLDER = Path(__file__).parents[3] / "local/docs"
PAGES = sorted((FOLDER.parents[1] / "docs").rglob("*.md"))


def get(path: str, folder: Path, method: str = "GET") -> tuple[dict[str, str], str]:
    """The headers and the content of an answer; both are empty where the emulator itself is asked."""
    sent: list[dict[str, Any]] = []

    async def emulator(_scope: object, _receive: object, _send: object) -> None:
        pass

    async def send(part: dict[str, Any]) -> None:
        sent.append(part)

    scope = {"type": "http", "method": method, "path": path}
    asyncio.run(with_docs(emulator, folder)(scope, None, send))
    if not sent:
        return {}, ""
    start, content = sent
    assert start["status"] == 200
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers["content-length"] == str(len(content["body"]))
    return headers, content["body"].decode()


def test_document_names_this_stack(tmp_path: Path) -> None:
    assert get("/openapi.json", tmp_path) == ({}, "")
    publish("http://127.0.0.1:4566/api", tmp_path)
    headers, content = get("/openapi.json", tmp_path)
    assert headers["content-type"] == "application/json"
    assert json.loads(content)["servers"][0]["url"] == "http://127.0.0.1:4566/api"


def test_page_and_its_script(tmp_path: Path) -> None:
    """Everything that the page loads is served here, and a browser may load nothing else."""
    headers, page = get("/docs", tmp_path)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    loaded = re.findall(r'(?:src|spec-url)="([^"]+)"', page)
    assert loaded == ["docs/openapi-explorer.min.js", "openapi.json"]
    headers, script = get("/docs/openapi-explorer.min.js", tmp_path)
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert "Apache" in (FOLDER / "openapi-explorer.LICENSE").read_text("utf-8")
    assert len(script) < 2_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_of_docs(tmp_path: Path, page: Path) -> None:
    path = page.relative_to(FOLDER.parents[1]).as_posix()
    headers, content = get(f"/{path}", tmp_path)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1" in content


def test_types_of_problems_have_anchors(tmp_path: Path) -> None:
    _, content = get("/docs/problems.md", tmp_path)
    assert '<h2 id="invalid-message">' in content


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/", "GET"),
        ("/docs", "POST"),
        ("/docs/none.md", "GET"),
        ("/docs/../README.md", "GET"),
        ("/docs/openapi.json", "GET"),
        ("/_aws/execute-api/abc/docs", "GET"),
    ],
)
def test_everything_else_is_the_emulators(tmp_path: Path, path: str, method: str) -> None:
    assert get(path, tmp_path, method) == ({}, "")
