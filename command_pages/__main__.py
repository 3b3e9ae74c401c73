"""Print the page in one language: ``python -m command_pages --lang zh``."""

from __future__ import annotations

import sys

from command_pages.page import page

sys.stdout.write(page())
