from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class State:
    """The content of stack.json: all that a client needs."""

    pid: int
    stack_name: str
    api_url: str
    aws_endpoint_url: str
    region: str
    send_queue_url: str
    dead_letter_queue_url: str
    token_refresh_function: str
    event_bus_name: str
    schedule_group: str
    schedule_role_arn: str
    account: str
    wechat_api_base: str
    simulator_url: str | None
    access_key_id: str
    secret_access_key: str

    def write(self, path: Path) -> None:
        """Put the file in its place in one step, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(self), file, indent=2)
                file.write("\n")
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
