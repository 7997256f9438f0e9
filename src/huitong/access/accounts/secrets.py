"""Passwords (argon2id, RFC 9106), codes of authenticators (RFC 6238), secrets of sessions. No database."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from functools import cache

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from huitong.base.errors import BadRequest
from huitong.catalog.sign_in import SIGN_IN

#: The library's own parameters are those of RFC 9106 for little memory: 64 MiB, 3 passes.
_HASHER = PasswordHasher()
_STEP_S = 30


def password_hash(password: str) -> str:
    """Raises BadRequest for one that is too short or too long."""
    if not SIGN_IN.min_password <= len(password) <= SIGN_IN.max_password:
        raise BadRequest(f"a password has {SIGN_IN.min_password} to {SIGN_IN.max_password} characters")
    return _HASHER.hash(password)


def password_is(password: str, kept: str) -> bool:
    """Takes as long for an account that is not there (`kept` empty) as for one that is."""
    try:
        return _HASHER.verify(kept or _nobody(), password[: SIGN_IN.max_password]) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_hex(16))


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a session's secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def new_totp() -> str:
    """A secret to enrol, in base32."""
    return pyotp.random_base32()


def totp_uri(secret: str, name: str) -> str:
    """What the QR code of an enrolment holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Huitong")


def totp_step(secret: str, code: str, at: datetime) -> int | None:
    """The step whose code this is, of this moment's and its two neighbours (RFC 6238 5.2); None when of none."""
    now, totp = int(at.timestamp()) // _STEP_S, pyotp.TOTP(secret)
    given = "".join(code.split())[:10].encode("utf-8", "replace")
    return next((n for n in (now, now - 1, now + 1) if hmac.compare_digest(totp.at(n * _STEP_S).encode(), given)), None)
