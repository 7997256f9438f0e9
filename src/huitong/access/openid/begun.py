"""A sign-in that has begun in a browser: all of it lies in a cookie there, nothing here.

The cookie holds 256 random bits. State, nonce and the verifier of PKCE (RFC 7636) are each made of them by HMAC, so
that whoever sees state and nonce learns nothing of the verifier; and only this browser can end what it began.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from huitong.access.openid.model import Reason, SignInFailed

#: From leaving for the provider to coming back.
LASTS_S = 600
#: What a browser keeps of one cookie (RFC 6265 6.1), less its name and attributes.
_MOST_CHARACTERS = 3000


@dataclass(frozen=True, slots=True)
class Begun:
    """What is remembered until the reader comes back."""

    secret: str
    at_s: int
    #: Where they wanted to go.
    target: str

    @classmethod
    def now(cls, target: str, at: datetime) -> Begun:
        whole = len(quote(target, safe="")) < _MOST_CHARACTERS
        return cls(secrets.token_urlsafe(32), int(at.timestamp()), target if whole else "/")

    @classmethod
    def read(cls, cookie: str, state: str, at: datetime) -> Begun:
        """Raises SignInFailed where it is not that of this state, or too long ago."""
        at_s, _, rest = cookie.partition(".")
        secret, _, target = rest.partition(".")
        if not (at_s.isascii() and at_s.isdigit() and len(at_s) < 12 and len(secret) >= 40):
            raise SignInFailed(Reason.STALE, "nothing was begun in this browser")
        begun = cls(secret, int(at_s), unquote(target))
        if not hmac.compare_digest(begun.state.encode(), state.encode("utf-8", "replace")):
            raise SignInFailed(Reason.STALE, "another state")
        if not -LASTS_S < at.timestamp() - begun.at_s < LASTS_S:
            raise SignInFailed(Reason.STALE, "begun too long ago")
        return begun

    @property
    def cookie(self) -> str:
        return f"{self.at_s}.{self.secret}.{quote(self.target, safe='')}"

    @property
    def state(self) -> str:
        return self._made("state")

    @property
    def nonce(self) -> str:
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        return self._made("verifier")

    @property
    def challenge(self) -> str:
        """S256 (RFC 7636 4.2)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _made(self, use: str) -> str:
        return _text(hmac.digest(self.secret.encode(), use.encode(), "sha256"))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
