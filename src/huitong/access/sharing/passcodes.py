"""Passcodes of shares: digits, made here, kept as argon2id (RFC 9106). No database."""

from __future__ import annotations

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from huitong.catalog.sharing import SHARING

#: Digits are few: what keeps them is the count of tries. The least that OWASP names for argon2id: 19 MiB, 2 passes.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_MOST = 64


def new() -> str:
    """As many digits as the catalogue wants."""
    return f"{secrets.randbelow(10**SHARING.passcode_digits):0{SHARING.passcode_digits}d}"


def hashed(passcode: str) -> str:
    return _HASHER.hash(passcode)


def is_right(passcode: str, kept: str) -> bool:
    """Blanks do not count, and digits of any width are digits."""
    given = "".join(unicodedata.normalize("NFKC", passcode[:_MOST]).split())
    try:
        return _HASHER.verify(kept, given)
    except (VerificationError, InvalidHashError):
        return False
