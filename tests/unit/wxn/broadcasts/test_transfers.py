from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests

from wxn.broadcasts import transfers
from wxn.broadcasts.transfers import RecipientsFile
from wxn.errors import CommandError

CONTENT = b"openid\n" + b"openid-1\n" * 1000
URL = "https://bucket.invalid/file?X-Amz-Signature=secret"


class Bucket(requests.Session):
    """Answers each PUT with the next status, or raises the next error; keeps what it was sent."""

    def __init__(self, *answers: int | Exception, content: bytes = b"") -> None:
        super().__init__()
        self._answers = list(answers)
        self._content = content
        self.received: list[bytes] = []

    def request(self, *_: Any, **options: Any) -> requests.Response:
        if "data" in options:
            self.received.append(b"".join(iter(lambda: options["data"].read(4096), b"")))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.raw = answer, BytesIO(self._content)
        return response


@pytest.fixture
def file(tmp_path: Path) -> RecipientsFile:
    path = tmp_path / "recipients.csv"
    path.write_bytes(CONTENT)
    return RecipientsFile.at(path)


def test_upload_begins_again_after_an_error(file: RecipientsFile) -> None:
    bucket, moved = Bucket(requests.ConnectionError(URL), 503, 200), list[int]()

    digest = transfers.put(bucket, URL, file, moved.append)

    assert bucket.received == [CONTENT] * 3
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert moved.count(len(CONTENT)) >= 3


@pytest.mark.parametrize(
    ("answers", "attempts"), [((403,), 1), ((requests.ConnectionError(URL), requests.Timeout(URL), 503), 3)]
)
def test_failed_upload_hides_its_url(
    file: RecipientsFile, answers: tuple[int | Exception, ...], attempts: int
) -> None:
    bucket = Bucket(*answers)
    with pytest.raises(CommandError) as error:
        transfers.put(bucket, URL, file, lambda _: None)

    assert len(bucket.received) == attempts
    assert "upload" in error.value.message
    assert "secret" not in error.value.message + error.value.next_step


def test_file_that_changes_meanwhile(file: RecipientsFile) -> None:
    def moved(_: int) -> None:
        file.path.write_bytes(CONTENT * 2)

    with pytest.raises(CommandError, match="changed while it was being uploaded"):
        transfers.put(Bucket(200), URL, file, moved)


@pytest.mark.parametrize(
    ("name", "told"), [("missing.csv", "There is no file"), ("", "is a directory"), ("empty.csv", "is empty")]
)
def test_unusable_file(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(CommandError, match=told):
        RecipientsFile.at(tmp_path / name)


def test_download_is_the_owners_alone(tmp_path: Path) -> None:
    target = tmp_path / "results.csv"

    assert transfers.fetch(Bucket(200, content=CONTENT), URL, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("answer", [403, requests.ConnectionError(URL)])
def test_failed_download_leaves_no_file(tmp_path: Path, answer: int | Exception) -> None:
    with pytest.raises(CommandError) as error:
        transfers.fetch(Bucket(answer), URL, tmp_path / "results.csv")

    assert "secret" not in error.value.message
    assert list(tmp_path.iterdir()) == []


def test_existing_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "results.csv"
    target.touch()
    transfers.refuse_to_overwrite(target, force=True)
    with pytest.raises(CommandError, match="exists"):
        transfers.refuse_to_overwrite(target, force=False)


def test_pipe_without_writer(tmp_path: Path) -> None:
    """It is refused at once: to open it would wait for its writer."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CommandError, match="no file of a known size"):
        RecipientsFile.at(tmp_path / "pipe")
