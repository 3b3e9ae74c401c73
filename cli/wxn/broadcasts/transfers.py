"""Files of recipients and results on their way to and from the stack's bucket.

The URLs are signed: they never stand in an error.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.system_errors import unreadable

if TYPE_CHECKING:
    import requests

MAX_BYTES: Final = 5 * 1024**3
"""Maximum size of one PUT: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html."""
_ATTEMPTS: Final = 3
_TIMEOUT: Final = (30, 60)
"""Seconds to connect, which also limit the sending of a block, and to wait for the answer."""
_BLOCK: Final = 256 * 1024
_FORMATS: Final = text(
    "Give a CSV file with a header, or JSON Lines (docs/recipients.md).",
    "请提供带表头的 CSV 或 JSON Lines 文件（见 docs/recipients.md）。",
)


@dataclass(frozen=True)
class RecipientsFile:
    """A file that can be uploaded; ``size`` in bytes, ``modified`` in nanoseconds since 1970."""

    path: Path
    size: int
    modified: int

    @classmethod
    def at(cls, path: Path) -> RecipientsFile:
        """The file at a path; CommandError if it cannot be read, is empty, or is too large."""
        try:
            found = path.stat()
            # To open a pipe would wait for its writer.
            if stat.S_ISREG(found.st_mode):
                path.open("rb").close()
            elif stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError
        except (OSError, ValueError) as error:
            raise unreadable(path, error, _FORMATS) from None
        if not stat.S_ISREG(found.st_mode):
            raise _unusable(path, text("is no file of a known size", "不是普通文件"))
        if not found.st_size:
            raise _unusable(path, text("is empty", "是空文件"))
        if found.st_size > MAX_BYTES:
            raise _unusable(path, text("is larger than 5 GB", "超过 5 GB"))
        return cls(path, found.st_size, found.st_mtime_ns)

    def has_changed(self) -> bool:
        """True where it has another size or time than before, or is gone."""
        with suppress(OSError):
            found = self.path.stat()
            return (found.st_size, found.st_mtime_ns) != (self.size, self.modified)
        return True


def _unusable(path: Path, reason: str) -> CommandError:
    return CommandError(text(f"{path} {reason}.", f"{path} {reason}。"), _FORMATS)


class _Reader:
    """The content of a file in the shape that requests streams."""

    def __init__(self, file: BinaryIO, size: int, moved: Callable[[int], None]) -> None:
        self._file = file
        self._size = size
        self._moved = moved
        self._at = 0
        self.digest = hashlib.sha256()

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        # No more than was announced: a file may grow meanwhile.
        block = self._file.read(min(size if size >= 0 else self._size, self._size - self._at))
        self.digest.update(block)
        self._at += len(block)
        self._moved(self._at)
        return block


def put(http: requests.Session, url: str, file: RecipientsFile, moved: Callable[[int], None]) -> str:
    """PUT a file to a presigned URL; the answer is the SHA-256 of its content, in hexadecimal digits.

    ``moved`` is told the bytes that are sent; they begin at 0 again where an attempt failed.

    Raises
    ------
    CommandError
        If the bucket cannot be reached or refuses, or the file changes meanwhile.
    """
    import requests  # noqa: PLC0415 - --help starts without it

    reason = ""
    for _ in range(_ATTEMPTS):
        with file.path.open("rb") as content:
            reader = _Reader(content, file.size, moved)
            try:
                answer = http.put(url, data=reader, timeout=_TIMEOUT)
            except requests.RequestException as error:
                answer, reason = None, type(error).__name__
        if file.has_changed():
            raise CommandError(
                text(
                    f"{file.path} changed while it was being uploaded.", f"{file.path} 在上传过程中被修改。"
                ),
                text("Nothing was sent. Repeat the command.", "没有发送任何消息。请重新执行。"),
                ExitCode.FAILED,
            )
        if answer is not None and answer.ok:
            return reader.digest.hexdigest()
        if answer is not None:
            reason = f"HTTP {answer.status_code}"
            if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
    raise CommandError(
        text(f"The upload of {file.path} failed ({reason}).", f"{file.path} 上传失败（{reason}）。"),
        text("Nothing was sent. Repeat the command.", "没有发送任何消息。请重新执行。"),
        ExitCode.UNAVAILABLE,
    )


def refuse_to_overwrite(target: Path, *, force: bool) -> None:
    """Raise CommandError where a file exists and ``force`` is not given."""
    if target.is_dir() or (target.exists() and not force):
        raise CommandError(
            text(f"{target} exists.", f"{target} 已存在。"),
            text(
                "Choose another --output, or overwrite it with --force.",
                "请用 --output 另选文件，或用 --force 覆盖。",
            ),
        )


def fetch(http: requests.Session, url: str, target: Path) -> int:
    """Download a presigned URL into a file that its owner alone can read; the answer is its size in bytes.

    Raises
    ------
    CommandError
        If the file cannot be written, or the bucket does not answer.
    """
    import requests  # noqa: PLC0415

    # A download that ends early leaves no file that looks whole.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with http.get(url, stream=True, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for block in answer.iter_content(_BLOCK):
                    file.write(block)
                size = file.tell()
        part.replace(target)
    except requests.RequestException as error:  # an OSError too
        raise CommandError(
            text(f"The download failed ({type(error).__name__}).", f"下载失败（{type(error).__name__}）。"),
            text("Repeat the command.", "请重新执行。"),
            ExitCode.UNAVAILABLE,
        ) from None
    except OSError as error:
        raise CommandError(
            text(f"{target} cannot be written: {error.strerror}.", f"无法写入 {target}：{error.strerror}。"),
            text("Choose another --output.", "请用 --output 另选文件。"),
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return size
