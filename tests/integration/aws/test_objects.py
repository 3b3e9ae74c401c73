"""The bucket of broadcasts: S3 as moto has it, and a server that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.conftest import REGION, ClientsAt
from tests.integration.contracts.samples import Aws
from tests.integration.raw_server import Connection, RawServer, Script, always, answer
from tests.integration.secrecy import CANARY, assert_clean, texts_of
from wechat_notify.aws import objects
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.objects import Bucket
from wechat_notify.core.errors import ObjectChangedError, StorageError

MIB = 1024 * 1024
KEY = f"shop/uploads/{CANARY}"


@pytest.fixture
def bucket(aws: Aws, clients: Clients) -> Bucket:
    aws("s3").create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    return Bucket(clients, "files")


def numbered(size: int) -> bytes:
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


@pytest.mark.parametrize(
    ("start", "end", "blocks"),
    [
        (0, None, [MIB, MIB, 7]),
        (0, MIB, [MIB]),
        (5, MIB + 6, [MIB, 1]),
        (MIB, 9 * MIB, [MIB, 7]),
        (2 * MIB + 7, None, []),
        (3 * MIB, 4 * MIB, []),
        (7, 7, []),
    ],
)
def test_read_of_a_range(bucket: Bucket, start: int, end: int | None, blocks: list[int]) -> None:
    data = numbered(2 * MIB + 7)
    bucket.write("key", data)
    read = list(bucket.read("key", start=start, end=end))
    assert [len(block) for block in read] == blocks
    assert b"".join(read) == data[start:end]


def test_object_that_ends_with_a_block(bucket: Bucket) -> None:
    bucket.write("key", b"x" * MIB)
    assert [len(block) for block in bucket.read("key")] == [MIB]


def test_replaced_while_it_is_read(bucket: Bucket) -> None:
    bucket.write("key", b"a" * 2 * MIB)
    head = bucket.head("key")
    assert head is not None
    blocks = bucket.read("key", etag=head.etag)
    assert next(blocks) == b"a" * MIB
    bucket.write("key", b"b" * 2 * MIB)
    with pytest.raises(ObjectChangedError) as raised:
        next(blocks)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("sizes", [[], [0], [3, 0, 5], [8 * MIB], [5 * MIB, 5 * MIB, 9 * MIB]])
def test_composed_of_parts(aws: Aws, bucket: Bucket, sizes: list[int]) -> None:
    contents = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    for number, content in enumerate(contents):
        bucket.write(f"part-{number}", content)
    bucket.compose("whole", [f"part-{number}" for number in range(len(sizes))])
    assert b"".join(bucket.read("whole")) == b"".join(contents)
    assert "Uploads" not in aws("s3").list_multipart_uploads(Bucket="files")


@pytest.mark.parametrize("before", [3, 9 * MIB])
def test_composed_of_a_missing_part(aws: Aws, bucket: Bucket, before: int) -> None:
    """No part of an upload is left behind, which would be paid for."""
    bucket.write("first", b"x" * before)
    with pytest.raises(ObjectChangedError):
        bucket.compose("whole", ["first", "missing"])
    assert bucket.head("whole") is None
    assert "Uploads" not in aws("s3").list_multipart_uploads(Bucket="files")


SIGNED = {
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Security-Token", "Signature")
}


@pytest.mark.parametrize(
    ("sign", "seconds", "more"),
    [
        (lambda bucket: bucket.presign_upload("shop/uploads/1", seconds=3600), "3600", {}),
        (
            lambda bucket: bucket.presign_download("shop/uploads/1", seconds=900, filename="a.csv"),
            "900",
            {"response-content-disposition": ['attachment; filename="a.csv"']},
        ),
    ],
)
def test_signed_url(
    clients: Clients, sign: Callable[[Bucket], str], seconds: str, more: dict[str, list[str]]
) -> None:
    """Version 4, for the bucket's region, and without a header that an upload would have to send."""
    url = urlsplit(sign(Bucket(clients, "files")))
    query = parse_qs(url.query, strict_parsing=True)
    assert (url.scheme, url.netloc, url.path) == (
        "https",
        f"files.s3.{REGION}.amazonaws.com",
        "/shop/uploads/1",
    )
    assert {name: value for name, value in query.items() if name not in SIGNED} == more
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == ([seconds], ["host"])


def test_parts_carry_no_unannounced_checksum(clients_at: ClientsAt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_PART", 8)
    begun = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            connection.write(_xml(begun if "uploads" in request.target else "<Done/>", 'ETag: "1"'))

    with RawServer(script) as server:
        Bucket(clients_at(server.url), "files").compose("key", ["part"] * 2)
    methods = [request.method for request in server.requests]
    assert (methods.count("POST"), "PUT" in methods) == (2, True)
    assert not [name for each in server.requests for name in each.headers if "checksum" in name]


def _xml(text: str, *headers: str, status: str = "200 OK") -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
    return answer(body, *headers, status=status, content_type="application/xml")


def refused(code: str, status: str = "400 Bad Request") -> bytes:
    text = f"<Code>{code}</Code><Message>{KEY}</Message><Key>{KEY}</Key>"
    # Otherwise the next request may meet the server's goodbye.
    return _xml(f"<Error>{text}</Error>", "Connection: close", status=status)


def test_broken_read_is_repeated(clients_at: ClientsAt, slept: list[float]) -> None:
    said = iter([answer(b"whole")[:-2], b"", refused("SlowDown", "503 Slow Down"), answer(b"whole")])

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(next(said))

    with RawServer(script) as server:
        assert list(Bucket(clients_at(server.url), "files").read("key")) == [b"whole"]
    assert {request.headers["range"] for request in server.requests} == {f"bytes=0-{MIB - 1}"}
    assert len(slept) == 3


def bare_heads(said: bytes) -> Script:
    """Say the same to every request, and of it the headers alone to HEAD."""

    def script(connection: Connection) -> None:
        while said and (request := connection.read_request()):
            head, end, _ = said.partition(b"\r\n\r\n")
            connection.write(head + end if request.method == "HEAD" else said)
        connection.read_request()

    return script


def calls(bucket: Bucket) -> list[Callable[[], object]]:
    return [
        lambda: bucket.head(KEY),
        lambda: list(bucket.read(KEY, etag=KEY)),
        lambda: bucket.write(KEY, KEY.encode()),
        lambda: bucket.compose(KEY, [KEY]),
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (refused("AccessDenied", "403 Forbidden"), {"AccessDenied", "403"}),
        (refused("KeyTooLongError"), {"KeyTooLongError", "400"}),
        (refused("InternalError", "500 Internal Server Error"), {"InternalError", "500"}),
        (refused(f"a b:{KEY}"), {"400"}),
        (answer(KEY.encode(), f"X-Seen: {KEY}", status="400 Bad Request"), {"400", "ResponseParserError"}),
        (b"", {"ConnectionClosedError"}),
    ],
)
@pytest.mark.usefixtures("heard")
def test_failure_quotes_nothing(clients_at: ClientsAt, said: bytes, code: set[str]) -> None:
    with RawServer(bare_heads(said)) as server:
        for call in calls(Bucket(clients_at(server.url), "files")):
            with pytest.raises(StorageError) as raised:
                call()
            assert raised.value.code in code
            assert_clean(texts_of(raised.value))
    assert CANARY in server.requests[0].target


@pytest.mark.usefixtures("heard")
def test_answer_without_what_was_asked(clients_at: ClientsAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """From something that is not S3."""
    monkeypatch.setattr(objects, "_PART", 2)
    with RawServer(bare_heads(answer(b"page", content_type="text/html"))) as server:
        bucket = Bucket(clients_at(server.url), "files")
        found: list[Any] = [lambda: bucket.head(KEY), lambda: bucket.compose(KEY, [KEY])]
        for call in found:
            with pytest.raises(StorageError):
                call()


def test_failing_bucket_has_its_retry_time(clients_at: ClientsAt, slept: list[float]) -> None:
    with RawServer(always(refused("SlowDown", "503 Slow Down"))) as server, pytest.raises(StorageError):
        Bucket(clients_at(server.url), "files").write("key", b"x")
    assert sum(slept) == pytest.approx(5.0, abs=0.01)
