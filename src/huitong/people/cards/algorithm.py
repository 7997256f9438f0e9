"""The algorithm of the electronic health card (电子健康卡), pure: keys and names in, numbers out.

    mindex    = SM3(certificate type ‖ certificate number ‖ name), UTF-8                      主索引ID
    factor    = XOR of the four 8-byte groups of mindex                                        分散因子
    user key  = SM4-ECB(root key, factor ‖ NOT factor)                                         用户身份认证密钥
    card id   = SM4-ECB(user key, certificate type ‖ certificate number, zeros to 16n)         电子健康卡ID
    validity  = SM4-ECB(protection key, yyyyMMddHHmmss as BCD, zeros to 16)                    二维码有效性信息

As deployed systems have it; the technical specification of the electronic card itself (beside WS/T 543-2017) is not
public. The first four steps are held by a vector that deployed code carries; of the validity no vector is known, and
that its time is Beijing time and the last one at which the code is good is our reading of its name
(docs/decisions/0011-card-keys.md). SM3 is GB/T 32905-2016, SM4 GB/T 32907-2016, ECB GB/T 17964-2021.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SM3, Hash

from huitong.base.clock import CHINA

KEY_BYTES = 16
_BLOCK = 16
_CERTIFICATE = re.compile(r"(\d\d)([^\x00-\x20]{1,62})")
_STAMP = "%Y%m%d%H%M%S"


def mindex(kind: str, number: str, name: str) -> bytes:
    """The 32 bytes that stand for a certificate and the name on it; `kind` has two digits (CV02.01.101)."""
    digest = Hash(SM3())
    digest.update(f"{kind}{number}{name}".encode())
    return digest.finalize()


def factor(index: bytes) -> bytes:
    """The 8 bytes by which keys differ from card to card."""
    groups = [int.from_bytes(index[at : at + 8], "big") for at in range(0, 32, 8)]
    return (groups[0] ^ groups[1] ^ groups[2] ^ groups[3]).to_bytes(8, "big")


def user_key(root_key: bytes, index: bytes) -> bytes:
    """The 16-byte key of one card holder."""
    spread = factor(index)
    return _encrypt(root_key, spread + bytes(each ^ 0xFF for each in spread))


def card_id(key: bytes, kind: str, number: str) -> str:
    """The card id in upper-case hexadecimal, 32 digits for each 16 bytes of certificate; `key` is the user key."""
    plain = f"{kind}{number}".encode()
    return _encrypt(key, plain + bytes(-len(plain) % _BLOCK)).hex().upper()


def certificate_of(key: bytes, text: str) -> tuple[str, str] | None:
    """(type, number) that a card id was made of; None where it is no card id or was made with another key."""
    try:
        plain = _decrypt(key, bytes.fromhex(text)).rstrip(b"\0").decode()
    except ValueError:
        return None
    found = _CERTIFICATE.fullmatch(plain)
    return (found[1], found[2]) if found else None


def validity(protection_key: bytes, until: datetime) -> str:
    """The last part of a dynamic code: the second until which it is good, as 32 upper-case hexadecimal digits."""
    stamp = bytes.fromhex(until.astimezone(CHINA).strftime(_STAMP))
    return _encrypt(protection_key, stamp + bytes(_BLOCK - len(stamp))).hex().upper()


def valid_until(protection_key: bytes, text: str) -> datetime | None:
    """The time in what `validity` gave, aware, UTC; None where it was made with another key or altered.

    Of the 128 bits that altered text decrypts to, 72 have to be zero and the rest to be a time.
    """
    try:
        plain = _decrypt(protection_key, bytes.fromhex(text))
    except ValueError:
        return None
    if len(plain) != _BLOCK or plain[7:] != bytes(_BLOCK - 7):
        return None
    try:
        return datetime.strptime(plain[:7].hex(), _STAMP).replace(tzinfo=CHINA).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _encrypt(key: bytes, plain: bytes) -> bytes:
    worker = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()  # noqa: S305 - what the card is defined with
    return worker.update(plain) + worker.finalize()


def _decrypt(key: bytes, secret: bytes) -> bytes:
    """Raises ValueError where the length is none of whole blocks."""
    worker = Cipher(algorithms.SM4(key), modes.ECB()).decryptor()  # noqa: S305
    return worker.update(secret) + worker.finalize()
