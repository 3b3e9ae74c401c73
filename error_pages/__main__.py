"""Write the pages and the data of the command line."""

from __future__ import annotations

from error_pages.files import FILES

for path, content in FILES.items():
    path.write_text(content(), encoding="utf-8")
