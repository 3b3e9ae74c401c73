"""A broadcast from a file: its upload, its id, and its creation as a dry run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wxn.api import ApiError, http_session, part
from wxn.broadcasts import transfers
from wxn.broadcasts.transfers import RecipientsFile
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.progress import Progress, ProgressView
from wxn.run import Run

_FILE_DIGITS, _OPTIONS_DIGITS = 12, 6
"""Hexadecimal digits of an id: those of the file and its message, and those of the options."""
_DRY_RUN: Final = {"dry_run": "true"}


def create(run: Run, path: Path, request: Mapping[str, Any], broadcast_id: str | None) -> dict[str, Any]:
    """Upload a file, and create its broadcast as a dry run; repeated, it finds the same broadcast.

    Parameters
    ----------
    path
        The recipients' file.
    request
        The body of the API without ``upload``.
    broadcast_id
        None derives one of the content: the same file, message and options have the same id.

    Raises
    ------
    CommandError
        If the file cannot be used, the request is refused, or the id belongs to another broadcast.
    """
    from rich.filesize import decimal  # noqa: PLC0415 - --help starts without it

    file = RecipientsFile.at(path)
    upload = run.api.call("POST", "uploads")
    _refuse_early(run, {**request, "upload": upload["id"]}, broadcast_id)
    with ProgressView(run.output) as view:

        def moved(sent: int) -> None:
            details = [f"{decimal(sent)} / {decimal(file.size)}"]
            view.show(
                Progress(text(f"Uploading {path.name}", f"正在上传 {path.name}"), sent, file.size, details)
            )

        digest = transfers.put(http_session(run.stack), upload["url"], file, moved)
    key = broadcast_id or derived_id(digest, request)
    body = {**request, "upload": upload["id"]}
    try:
        created: dict[str, Any] = run.api.call(
            "POST", "broadcasts", body, query=_DRY_RUN, headers={"Idempotency-Key": key}
        )
    except ApiError as error:
        raise _reused(error, key) from None
    return created


def create_retry(
    run: Run, original: str, broadcast_id: str | None, *, include_unknown: bool
) -> dict[str, Any]:
    """Create a dry run of what failed in a broadcast and can pass; repeated, it finds the same broadcast.

    Raises
    ------
    CommandError
        If the broadcast is not known or has not ended, or the id belongs to another one.
    """
    key = broadcast_id or _digest(f"retry {original} {include_unknown}")[: _FILE_DIGITS + _OPTIONS_DIGITS]
    query = {**_DRY_RUN, "include_unknown": str(include_unknown).lower()}
    try:
        created: dict[str, Any] = run.api.call(
            "POST", f"broadcasts/{part(original)}/retry", query=query, headers={"Idempotency-Key": key}
        )
    except ApiError as error:
        raise _reused(error, key) from None
    return created


def derived_id(digest: str, request: Mapping[str, Any]) -> str:
    """The id of a broadcast by its content: a command that was killed finds it again.

    Its first 12 characters belong to the file and the message, those behind the hyphen to the options.
    """
    options = {name: value for name, value in request.items() if name != "message"}
    content = _digest(f"{digest} {_canonical(request['message'])}")[:_FILE_DIGITS]
    return f"{content}-{_digest(_canonical(options))[:_OPTIONS_DIGITS]}"


def sent_before(run: Run, broadcast: Mapping[str, Any]) -> dict[str, Any] | None:
    """A broadcast of the same file and message with other options that was started; None if there is none.

    It is looked for among the last 100 broadcasts, and among those whose id was derived.
    """
    content, hyphen, _ = broadcast["id"].partition("-")
    if not hyphen or len(content) != _FILE_DIGITS or "retry_of" in broadcast:
        return None
    page = run.api.call("GET", "broadcasts", query={"limit": 100})
    for other in page["broadcasts"]:
        is_same = other["id"].startswith(f"{content}-") and other["id"] != broadcast["id"]
        if is_same and "started_at" in other:
            found: dict[str, Any] = other
            return found
    return None


def _refuse_early(run: Run, body: Mapping[str, Any], broadcast_id: str | None) -> None:
    """Raise what is wrong with a request before its file is uploaded: without it, it is refused in any case."""
    try:
        headers = {"Idempotency-Key": broadcast_id} if broadcast_id else {}
        run.api.call("POST", "broadcasts", body, query=_DRY_RUN, headers=headers)
    except ApiError as error:
        if error.name != "unknown-upload":
            raise


def _reused(error: ApiError, key: str) -> CommandError:
    if error.name != "broadcast-id-reused":
        return error
    return CommandError(
        text(
            f"The id {key} belongs to a broadcast of another file, message or options.",
            f"ID {key} 已用于另一个群发（文件、消息或选项不同）。",
        ),
        text(
            f"Give another --id, or look at that one: wxn broadcast --follow {key}",
            f"请换一个 --id，或查看原群发：wxn broadcast --follow {key}",
        ),
        ExitCode.FAILED,
        error.problem,
    )


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
