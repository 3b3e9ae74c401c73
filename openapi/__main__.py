"""Write docs/openapi.json, docs/problems.md, events/schemas and the problems of ``wxn explain``."""

from __future__ import annotations

from openapi import document, events

for path, content in {**document.FILES, **events.FILES}.items():
    path.write_text(content(), encoding="utf-8")
