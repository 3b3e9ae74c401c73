"""The encryption of callbacks: AES-256-CBC under the EncodingAESKey.

The plain text is 16 random bytes, the length of the message in 4 bytes (big endian), the message, and the
appid. It is padded to a multiple of 32 bytes, so that a padding of 17 to 32 is right too.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_BLOCK: Final = 32
_AES_BLOCK: Final = 16
_RANDOM: Final = 16
_LENGTH: Final = 4
KEY_CHARACTERS: Final = 43


class CipherError(ValueError):
    """The text is not encrypted as WeChat does, or under another key, or for another appid.

    Its message has no part of the text: the cases must look the same from outside.
    """

    def __init__(self) -> None:
        super().__init__("the encrypted part is not WeChat's for this account")


class CallbackCipher:
    """Encrypt and decrypt under one EncodingAESKey; ``appid`` is the receiver's own.

    Raises
    ------
    ValueError
        If the key is not 43 characters of Base64.
    """

    def __init__(self, encoding_aes_key: str, appid: str) -> None:
        self._key = _decoded_key(encoding_aes_key)
        self._appid = appid.encode()

    def decrypt(self, encrypted: str) -> bytes:
        """The message of an encrypted part.

        Raises
        ------
        CipherError
            In each other case.
        """
        try:
            data = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise CipherError from None
        if not data or len(data) % _AES_BLOCK:
            raise CipherError
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        padding = padded[-1]
        start = _RANDOM + _LENGTH
        if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise CipherError
        plain = padded[:-padding]
        end = start + int.from_bytes(plain[_RANDOM:start])
        if len(plain) < start or end > len(plain) or plain[end:] != self._appid:
            raise CipherError
        return plain[start:end]

    def encrypt(self, message: bytes, random: bytes | None = None) -> str:
        """The encrypted part of an answer; ``random`` is 16 bytes, chosen here without it."""
        plain = (
            (random or secrets.token_bytes(_RANDOM)) + len(message).to_bytes(_LENGTH) + message + self._appid
        )
        padding = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher().encryptor()
        encrypted = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
        return base64.b64encode(encrypted).decode()

    def _cipher(self) -> Cipher[CBC]:
        return Cipher(AES(self._key), CBC(self._key[:_AES_BLOCK]))


def _decoded_key(encoding_aes_key: str) -> bytes:
    # The last character has two bits too many, which WeChat's pages leave as they were generated.
    if (
        len(encoding_aes_key) != KEY_CHARACTERS
        or not encoding_aes_key.isascii()
        or not encoding_aes_key.isalnum()
    ):
        raise ValueError(f"an EncodingAESKey is {KEY_CHARACTERS} letters and digits")
    return base64.b64decode(encoding_aes_key + "=")
