from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.simulator.faults import Fault


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as WeChat looks at it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """WeChat's answer, and the fault that it is to suffer on its way."""

    payload: Mapping[str, Any]
    status: int = 200
    fault: Fault | None = None
