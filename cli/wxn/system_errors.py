"""Errors of the operating system, as a command tells them."""

from __future__ import annotations

from wxn.errors import CommandError, ExitCode
from wxn.language import text


def translate(error: Exception) -> CommandError | None:
    """The reason that a command tells for a disk that is full and the like; None if it is another error."""
    if isinstance(error, UnicodeEncodeError):
        # Files are checked when they are read, so it is an argument.
        return CommandError(
            text(
                "An argument is not text in the character set of this terminal.",
                "参数中有当前终端字符集无法识别的文字。",
            ),
            text("Use UTF-8: export LC_ALL=C.UTF-8", "请改用 UTF-8：export LC_ALL=C.UTF-8"),
        )
    # Libraries derive theirs from OSError too, without the system's own text.
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return CommandError(
            f"{where}{error.strerror}.",
            text("Correct it and repeat the command.", "请排除后重试。"),
            ExitCode.FAILED,
        )
    return None


def unreadable(path: object, error: OSError | ValueError, next_step: str) -> CommandError:
    """The error to raise where a file that a person named cannot be read."""
    if isinstance(error, FileNotFoundError):
        return CommandError(text(f"There is no file {path}.", f"文件 {path} 不存在。"), next_step)
    if isinstance(error, IsADirectoryError):
        return CommandError(text(f"{path} is a directory.", f"{path} 是目录。"), next_step)
    reason = getattr(error, "strerror", None) or str(error)
    return CommandError(text(f"{path} cannot be read: {reason}.", f"无法读取 {path}：{reason}。"), next_step)
