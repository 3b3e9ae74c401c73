"""Write docs/openapi.json, docs/problems.md and the problems of ``wxn explain``."""

from __future__ import annotations

from openapi.document import FILES

for path, content in FILES.items():
    path.write_text(content(), encoding="utf-8")
