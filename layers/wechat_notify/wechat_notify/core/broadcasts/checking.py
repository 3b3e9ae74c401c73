"""The check of a broadcast: every row is read and rendered before the first one is sent.

::

    (retry: rows that failed) ─► rows, some in each step ─► rows listed twice ─► checked, running or refused
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.check_state import CheckState
from wechat_notify.core.broadcasts.duplicates import Selection, merge, run_of
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.formats import HEAD_BYTES, detect
from wechat_notify.core.broadcasts.pace import opening_for
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.recipients import UnreadableFileError
from wechat_notify.core.broadcasts.records import Records
from wechat_notify.core.broadcasts.rendering import BadRow, MessageTemplate, check_row
from wechat_notify.core.broadcasts.report import CheckReport
from wechat_notify.core.broadcasts.retries import rows_to_retry
from wechat_notify.core.broadcasts.source import rows_of
from wechat_notify.core.broadcasts.spec import BroadcastSpec
from wechat_notify.core.texts import Bilingual

MAX_ROWS = 100_000
"""Rows that one step checks at most: their identities are kept until its end, 20 MB."""
STEP_SECONDS = 40.0
"""Seconds after which a step checks no further row."""
RUN_BLOCK = 256 * 1024
"""Bytes of a run that are read at a time: 10 million rows have 100 runs."""
_ROWS_A_LOOK = 500
"""Rows between two looks at the clock."""


class Checker:
    """Does the steps of a check."""

    def __init__(self, services: Services, files: Files, records: Records) -> None:
        self._services = services
        self._files = files
        self._records = records

    def step(self, broadcast: Broadcast) -> Broadcast:
        """Do one step; return the record.

        Raises
        ------
        ObjectChangedError
            The recipients' file is gone, or another one.
        SupersededError, StorageError
            The step is to be done again.
        """
        if broadcast.retried and broadcast.selection is None:
            lines = self._services.objects.read(broadcast.retried)
            rows = rows_to_retry(lines, include_unknown=broadcast.include_unknown)
            key = self._files.write(broadcast, "selection", rows.to_bytes())
            return self._records.write(broadcast, selection=key)
        spec = self._files.spec(broadcast)
        template = MessageTemplate(spec.message)
        try:
            state = self._files.check_state(broadcast) or self._first_state(broadcast, template)
            # JSON Lines may name a column in a later row.
            lacks_columns = state.file_format.kind == "csv" and state.report.missing_columns
            if lacks_columns or state.at_end:
                return self._decide(broadcast, spec, state)
            self._read(broadcast, template, state)
        except UnreadableFileError as error:
            return self._refuse(broadcast, error.reason, error.text)
        key = self._files.write(broadcast, "check.json", state.to_bytes())
        return self._records.write(broadcast, check=key)

    def _first_state(self, broadcast: Broadcast, template: MessageTemplate) -> CheckState:
        blocks = self._services.objects.read(broadcast.source, end=HEAD_BYTES, etag=broadcast.etag)
        file_format = detect(b"".join(blocks), complete=broadcast.size <= HEAD_BYTES)
        return CheckState(file_format, CheckReport.of(file_format, template), file_format.first_row_at)

    def _read(self, broadcast: Broadcast, template: MessageTemplate, state: CheckState) -> None:
        """Check some rows."""
        openids: list[tuple[str, int]] = []
        ids: list[tuple[str, int]] = []
        by_id, last = state.by_id, state.next_row + MAX_ROWS
        only = self._files.selection(broadcast.selection, state.next_row, last)
        # Only here: what is released was written down before, and must not depend on what is known by then.
        known = self._services.templates(broadcast.account)
        stop_at = self._services.now() + STEP_SECONDS
        for row in rows_of(self._services, broadcast, state):
            if row.number >= last or (not row.number % _ROWS_A_LOOK and self._services.now() > stop_at):
                break
            state.offset, state.next_row = row.end, row.number + 1
            if broadcast.selection and row.number not in only:
                continue
            checked = check_row(template, row, broadcast.id, by_id=by_id, known=known)
            state.report.add(row, checked)
            if isinstance(checked, BadRow):
                continue
            openids.append((checked.openid, row.number))
            if checked.own_id is not None:
                ids.append((checked.own_id, row.number))
        else:
            state.at_end = True
        for runs, identities, name in (
            (state.openid_runs, openids, "runs/openids"),
            (state.id_runs, ids, "runs/ids"),
        ):
            if identities:
                runs.append(self._files.write(broadcast, name, run_of(identities)))

    def _decide(self, broadcast: Broadcast, spec: BroadcastSpec, state: CheckState) -> Broadcast:
        report = state.report
        if report.missing_columns:
            return self._refuse(broadcast, "missing_columns", _MISSING_COLUMNS, state)
        if state.id_runs and broadcast.repeated_ids is None:  # in a step of its own: it takes a while
            repeated = merge(self._runs(state.id_runs))
            key = self._files.write(broadcast, "repeated-ids", repeated.to_bytes())
            return self._records.write(broadcast, repeated_ids=key)
        repeated_ids = Selection()
        if broadcast.repeated_ids:
            repeated_ids = Selection(self._files.read(broadcast.repeated_ids))
        duplicates = merge(self._runs(state.openid_runs), without=repeated_ids)
        report.add_repeated_ids(repeated_ids)
        report.add_duplicates(duplicates)
        refusal = self._refusal(spec, report)
        if refusal is not None:
            return self._refuse(broadcast, *refusal, state)
        once = spec.duplicates == "once"
        now = self._services.now()
        runs = not broadcast.dry_run
        left_out = self._files.write(broadcast, "repeated-openids", duplicates.to_bytes()) if once else None
        return self._records.write(
            broadcast,
            state=State.RUNNING if runs else State.CHECKED,
            check=self._files.write(broadcast, "check.json", state.to_bytes()),
            repeated_openids=left_out,
            rows=report.rows,
            invalid=report.invalid,
            duplicates=len(duplicates) if once else 0,
            offset=state.file_format.first_row_at,
            started_at=now if runs else None,
            next_release_at=now if runs else None,
        )

    def _runs(self, keys: Iterable[str]) -> list[Iterator[bytes]]:
        return [self._run(key) for key in keys]

    def _run(self, key: str) -> Iterator[bytes]:
        """The blocks of a run: small ones, since all runs are read side by side."""
        for start in count(0, RUN_BLOCK):
            block = b"".join(self._services.objects.read(key, start=start, end=start + RUN_BLOCK))
            yield block
            if len(block) < RUN_BLOCK:
                return

    def _refusal(self, spec: BroadcastSpec, report: CheckReport) -> tuple[str, Bilingual] | None:
        if report.invalid and spec.on_invalid == "abort":
            return "invalid_rows", _INVALID_ROWS
        if not report.valid:
            return "no_valid_rows", _NO_VALID_ROWS
        if opening_for(spec, self._services.now()):
            return None
        return "expires_too_early", _EXPIRES_TOO_EARLY

    def _refuse(
        self, broadcast: Broadcast, reason: str, problem: Bilingual, state: CheckState | None = None
    ) -> Broadcast:
        check = self._files.write(broadcast, "check.json", state.to_bytes()) if state else broadcast.check
        return self._records.write(
            broadcast,
            state=State.REFUSED,
            reason=reason,
            problem=problem,
            check=check,
            rows=state.report.rows if state else None,
            invalid=state.report.invalid if state else 0,
            finished_at=self._services.now(),
        )


_MISSING_COLUMNS = Bilingual(
    "The message has placeholders that are no columns of the recipients: see missing_columns of the report.",
    "消息中的占位符在收件人文件中没有对应的列，见报告中的 missing_columns。",
)
_INVALID_ROWS = Bilingual(
    "Some rows are invalid, and on_invalid is abort: correct the rows that the report lists.",
    "存在无效的行，且 on_invalid 为 abort：请修正报告中列出的行。",
)
_NO_VALID_ROWS = Bilingual("There is no row that can be sent.", "没有可以发送的行。")
_EXPIRES_TOO_EARLY = Bilingual(
    "It expires before anything could be sent: see expires_at, starts_at and send_window.",
    "在可以发送之前已过期：请检查 expires_at、starts_at 和 send_window。",
)
