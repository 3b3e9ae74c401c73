"""State of a broadcast's check, stored from step to step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from wechat_notify.core.broadcasts.recipients import FileFormat
from wechat_notify.core.broadcasts.report import CheckReport
from wechat_notify.core.messages.strict_json import written_out


@dataclass(slots=True)
class CheckState:
    """The rows before ``next_row``, which begins at byte ``offset``, are checked.

    ``openid_runs`` and ``id_runs`` are the keys of their identities' runs. ``at_end``: there are no
    more rows.
    """

    file_format: FileFormat
    report: CheckReport
    offset: int
    next_row: int = 1
    openid_runs: list[str] = field(default_factory=list)
    id_runs: list[str] = field(default_factory=list)
    at_end: bool = False

    @property
    def by_id(self) -> bool:
        """Return whether the file has a column ``id``."""
        return "id" in self.file_format.columns

    def to_bytes(self) -> bytes:
        """Return the state as it is stored."""
        state = {
            "format": self.file_format._asdict(),
            "report": self.report.as_dict(),
            "offset": self.offset,
            "next_row": self.next_row,
            "openid_runs": self.openid_runs,
            "id_runs": self.id_runs,
            "at_end": self.at_end,
        }
        return json.dumps(state, default=written_out, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> CheckState:
        """The state that ``to_bytes`` gave."""
        state = json.loads(data)
        columns = tuple(state["format"]["columns"])
        return cls(
            FileFormat(**{**state["format"], "columns": columns}),
            CheckReport.from_dict(state["report"]),
            state["offset"],
            state["next_row"],
            state["openid_runs"],
            state["id_runs"],
            state["at_end"],
        )
