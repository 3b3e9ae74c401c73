"""The bucket of broadcasts: the fake, and S3."""

from __future__ import annotations

import time

import pytest

from tests.fakes import FakeObjects
from tests.integration.conftest import REGION
from tests.integration.contracts.samples import Aws
from wechat_notify.aws.objects import Bucket
from wechat_notify.core.broadcasts.ports import Objects
from wechat_notify.core.errors import ObjectChangedError


@pytest.fixture(params=["fake", "S3"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "fake":
        return FakeObjects(time.time)
    aws: Aws = request.getfixturevalue("aws")
    aws("s3").create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    return Bucket(request.getfixturevalue("clients"), "files")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 9000])
def test_written_and_read(objects: Objects, data: bytes) -> None:
    key = "shop/uploads/a b+c/深.csv"
    objects.write(key, b"earlier")
    objects.write(key, data)
    assert b"".join(objects.read(key)) == data
    head = objects.head(key)
    assert head is not None
    assert head.size == len(data)
    assert head.modified_at == pytest.approx(time.time(), abs=60)
    assert b"".join(objects.read(key, start=5, end=2_000_000, etag=head.etag)) == data[5:2_000_000]
    assert list(objects.read(key, start=len(data), etag=head.etag)) == []
    assert list(objects.read(key, start=len(data) + 9, end=len(data) + 99)) == []


def test_etag_is_the_version(objects: Objects) -> None:
    heads = []
    for data in (b"first", b"second", b"first"):
        objects.write("key", data)
        heads.append(objects.head("key"))
    first, second, again = (head.etag if head else "" for head in heads)
    assert first == again != second
    with pytest.raises(ObjectChangedError):
        list(objects.read("key", etag=second))


def test_nothing_under_a_key(objects: Objects) -> None:
    objects.write("key/longer", b"x")
    assert objects.head("key") is None
    missing = objects.read("key")
    with pytest.raises(ObjectChangedError):
        next(missing)
    with pytest.raises(ObjectChangedError):
        objects.compose("whole", ["key/longer", "key"])
    assert objects.head("whole") is None


@pytest.mark.parametrize(("parts", "whole"), [([], b""), (["a"], b"1"), (["b", "empty", "a", "b"], b"23123")])
def test_composed(objects: Objects, parts: list[str], whole: bytes) -> None:
    for key, data in {"a": b"1", "b": b"23", "empty": b""}.items():
        objects.write(key, data)
    objects.compose("whole", parts)
    assert b"".join(objects.read("whole")) == whole


def test_signed_urls_name_the_object(objects: Objects) -> None:
    for url in (
        objects.presign_upload("shop/uploads/1", seconds=60),
        objects.presign_download("shop/uploads/1", seconds=60, filename="a.csv"),
    ):
        assert url.startswith("https://")
        assert "/shop/uploads/1?" in url
