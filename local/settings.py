"""The choices about a stack.

Environment variables
---------------------
EMULATOR_PORT, SIMULATOR_PORT
    Where the two listen (4566 and 8066); 0 takes a free port.
WECHAT_API_BASE
    A server to send to in place of the simulator, with WECHAT_APP_ID and WECHAT_APP_SECRET.
RUNTIME_PYTHON
    The interpreter for the functions; python3.13 where there is one.
FRESH
    1 forgets what earlier stacks have kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from local.processes import LocalStackError


@dataclass(frozen=True)
class Settings:
    """What may be chosen about a stack. Port 0 is any free port."""

    emulator_port: int = 0
    simulator_port: int = 0
    wechat_api_base: str | None = None
    app_id: str = "wx0123456789abcdef"
    app_secret: str = ""
    fresh: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that the module's docstring lists."""
        base = environment.get("WECHAT_API_BASE", "").rstrip("/")
        if base and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", base):
            raise LocalStackError(f"WECHAT_API_BASE={base} is not an address such as http://127.0.0.1:9000")
        return cls(
            _port(environment, "EMULATOR_PORT", 4566),
            _port(environment, "SIMULATOR_PORT", 8066),
            base or None,
            environment.get("WECHAT_APP_ID") or cls.app_id,
            environment.get("WECHAT_APP_SECRET", ""),
            environment.get("FRESH", "") not in {"", "0"},
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the highest port
        raise LocalStackError(f"{name}={text} is not a port")
    return int(text)
