"""A hardware security module (PKCS#11 2.40) that keeps the AES key under which the card keys lie wrapped (RFC 3394).

Opened to unwrap at start, and closed again. What it unwraps is in memory for as long as the server runs: why, and what
a module that speaks SM4 itself would change, is in docs/decisions/0011-card-keys.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huitong.base.errors import SettingsError
from huitong.base.settings import Settings
from huitong.people.cards.algorithm import KEY_BYTES
from huitong.people.cards.keys import Unwrap


@contextmanager
def opened(settings: Settings) -> Iterator[Unwrap]:
    """What unwraps one key, for as long as the block runs. Raises SettingsError naming what the module refused."""
    with _key(settings) as (pkcs11, key):

        def unwrap(wrapped: bytes) -> bytes:
            secret = key.unwrap_key(
                pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.KeyType.GENERIC_SECRET,
                wrapped,
                mechanism=pkcs11.Mechanism.AES_KEY_WRAP,
                template={pkcs11.Attribute.SENSITIVE: False, pkcs11.Attribute.EXTRACTABLE: True},
            )
            value = bytes(secret[pkcs11.Attribute.VALUE])
            if len(value) != KEY_BYTES:
                raise SettingsError(f"what `card_hsm` unwrapped has {len(value)} bytes, expected {KEY_BYTES}")
            return value

        yield unwrap


def wrap(settings: Settings, plain: bytes) -> bytes:
    """The key of 16 bytes as `card_keys` holds it, 24 bytes. Raises SettingsError."""
    with _key(settings) as (pkcs11, key):
        # Into the session only: it is gone with it.
        template = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.GENERIC_SECRET,
            pkcs11.Attribute.VALUE: plain,
            pkcs11.Attribute.TOKEN: False,
            pkcs11.Attribute.EXTRACTABLE: True,
        }
        given = key.session.create_object(template)
        return bytes(key.wrap_key(given, mechanism=pkcs11.Mechanism.AES_KEY_WRAP))


@contextmanager
def _key(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """The module `pkcs11` and the AES key in the token that the settings name."""
    try:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error
    except ImportError:
        raise SettingsError("`card_hsm` needs the package python-pkcs11: the extra `hsm`") from None
    try:
        token = pkcs11.lib(str(settings.card_hsm)).get_token(token_label=settings.card_hsm_token)
        with token.open(user_pin=settings.card_hsm_pin) as session:
            yield pkcs11, session.get_key(pkcs11.ObjectClass.SECRET_KEY, pkcs11.KeyType.AES, settings.card_hsm_key)
    except (PKCS11Error, RuntimeError) as e:
        # The class says what: no such token, wrong PIN, no such key. Its text may come from the module, and stays out.
        raise SettingsError(f"`card_hsm` {settings.card_hsm}: {type(e).__name__}") from None
