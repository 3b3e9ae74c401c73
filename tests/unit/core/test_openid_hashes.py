from __future__ import annotations

from tests.fakes import OPENID, FakeHashKeys, hashes
from wechat_notify.core.openid_hashes import HashKeys, OpenidHashes, hash_openid


def test_look_ups_know_every_key_and_writes_the_current_one() -> None:
    hashed = hashes(b"new", b"old", b"oldest")
    assert hashed(OPENID) == hash_openid(OPENID, b"new")
    assert hashed.every(OPENID) == tuple(hash_openid(OPENID, key) for key in (b"new", b"old", b"oldest"))


def test_a_rotation_is_seen() -> None:
    source = FakeHashKeys(b"first")
    hashed = OpenidHashes(source)
    before = hashed(OPENID)
    source.keys = HashKeys(b"second", (b"first",))
    assert hashed(OPENID) != before
    assert before in hashed.every(OPENID)
