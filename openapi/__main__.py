"""Write docs/openapi.json and docs/problems.md."""

from __future__ import annotations

from openapi.document import FILES

for path, content in FILES.items():
    path.write_text(content(), encoding="utf-8")
