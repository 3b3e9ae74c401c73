import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wechat.callbacks.samples import (
    APPID,
    COMPONENT,
    KEY,
    PLATFORM,
    PLATFORM_MESSAGE,
    SECURE,
    SECURE_MESSAGE,
)
from wechat_notify.wechat.callbacks.cipher import CallbackCipher, CipherError

OWN = CallbackCipher(KEY, APPID)


@pytest.mark.parametrize(
    ("appid", "sample", "message"),
    [(APPID, SECURE, SECURE_MESSAGE), (COMPONENT, PLATFORM, PLATFORM_MESSAGE)],
)
def test_samples_are_decrypted(appid: str, sample: tuple[str, str, str], message: bytes) -> None:
    """Their padding is 19 and 22 bytes, which a check of AES's own padding refuses."""
    assert CallbackCipher(KEY, appid).decrypt(sample[2]) == message


@pytest.mark.parametrize(
    ("appid", "random", "message", "encrypted"),
    [
        (
            APPID,
            b"707722b803182950",
            b'{"demo_resp":"good luck"}',
            "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
        ),
        (
            COMPONENT,
            b"999951349e8ee746",
            b"<xml><demo_resp>[CDATA[good luck]]</demo_resp></xml>",
            (
                "hE8R6mGXHkJJjU72KxzKUd1GEkKJaEZq7vRL8XgK3o+00k8JGq6+pZJUIlTSyhsX+bxIBQ72g3GyvDdIZcr6+3HAZbSvPT9t/o11MI7d6W"
                "ELwqrGd7jMnV0zv3Zc9Nq7"
            ),
        ),
    ],
)
def test_sample_answers(appid: str, random: bytes, message: bytes, encrypted: str) -> None:
    assert CallbackCipher(KEY, appid).encrypt(message, random) == encrypted


@given(st.binary(max_size=200))
def test_each_length_comes_back(message: bytes) -> None:
    assert OWN.decrypt(OWN.encrypt(message)) == message


@given(st.binary(max_size=96).map(lambda data: base64.b64encode(data).decode()) | st.text(max_size=80))
def test_anything_else_is_refused(encrypted: str) -> None:
    with pytest.raises(CipherError):
        OWN.decrypt(encrypted)


@pytest.mark.parametrize(
    ("key", "appid"), [(KEY, COMPONENT), (KEY, APPID + "0"), (KEY, APPID[:-1]), (KEY, ""), ("B" * 43, APPID)]
)
def test_other_receivers_are_refused(key: str, appid: str) -> None:
    with pytest.raises(CipherError):
        CallbackCipher(key, appid).decrypt(SECURE[2])


def test_one_changed_byte_is_refused() -> None:
    """CBC has no checksum: a change of the message alone would pass, and the signature is for that."""
    data = bytearray(base64.b64decode(SECURE[2]))
    data[-1] ^= 1

    with pytest.raises(CipherError):
        OWN.decrypt(base64.b64encode(data).decode())


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "é", "+" * 43])
def test_keys_of_another_form(key: str) -> None:
    with pytest.raises(ValueError, match="43 letters and digits"):
        CallbackCipher(key, APPID)


def test_key_with_stray_bits() -> None:
    """Keys end in any letter; a strict decoder refuses all but four of sixteen."""
    cipher = CallbackCipher("A" * 42 + "B", APPID)

    assert cipher.decrypt(cipher.encrypt(b"message")) == b"message"
