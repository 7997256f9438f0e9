"""Secrets of authenticators as the database has them: AES-256-GCM under a key that is not in the database.

Whoever reads a backup or the database alone makes no codes. A sealed secret is bound to its account's name, so that
it is nothing under another. Those from before there was a key are plain, and taken as they are.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from huitong.base.errors import SettingsError
from huitong.store.secret_files import make_secret, read_secret
from huitong.store.store import Store

_MARK = "1:"
_NONCE_BYTES = 12
_KEY_BYTES = 32
#: In the data folder, where the setting `account_key` is empty.
KEY_FILE = "account.key"


class Sealing:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, name: str) -> str:
        """As it is kept for the account of this name; empty stays empty."""
        if not secret:
            return ""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), name.encode())
        return _MARK + base64.b64encode(sealed).decode()

    def open(self, kept: str, name: str) -> str:
        """The secret; raises SettingsError for what was sealed with another key."""
        if not is_sealed(kept):
            return kept
        sealed = base64.b64decode(kept.removeprefix(_MARK))
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()).decode()
        except InvalidTag:
            raise SettingsError(
                "an authenticator was enrolled under another `account_key`, or its row was altered"
            ) from None


def is_sealed(kept: str) -> bool:
    return kept.startswith(_MARK)


def sealing(store: Store) -> Sealing:
    """One for each store. Raises SettingsError for a key that is none."""
    return store.once("access.sealing", lambda: Sealing(_key(store)))


def _key(store: Store) -> bytes:
    if store.settings.account_key is not None:
        return _read(store.settings.account_key)
    file = store.layout.root / KEY_FILE
    if not file.exists():
        make_secret(file, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
    return _read(file)


def _read(file: Path) -> bytes:
    try:
        key = bytes.fromhex(read_secret(file).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{file}: expected {2 * _KEY_BYTES} hexadecimal digits, as `openssl rand -hex 32` makes")
    return key
