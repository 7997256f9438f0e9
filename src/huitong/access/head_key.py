"""The key that signs heads of the audit. It lies outside the database: who can write that cannot sign."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from huitong.base.errors import SettingsError
from huitong.base.settings import Settings
from huitong.store.secret_files import make_secret, read_secret
from huitong.store.store import Layout
from huitong.wire.checkpoint import Checkpoint, Note, VerifierKey, sign

#: In the data folder, in demo mode.
KEY_FILE = "audit.key"


class Signer:
    """Signs under the name of the log."""

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key = VerifierKey(origin, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, head: Checkpoint) -> Note:
        return sign(head.text(), self.key, self._private.sign)


def signer_of(settings: Settings) -> Signer | None:
    """None where no key is set: heads are not signed then. Raises SettingsError for a key that is none."""
    file = settings.audit_key
    if file is None:
        if not settings.demo:
            return None
        file = Layout(settings.data.absolute()).root / KEY_FILE
        if not file.exists():
            make_secret(file, new_key())
    private = _private(read_secret(file))
    if private is None:
        raise SettingsError(f"{file}: expected a private key as `openssl genpkey -algorithm ed25519` makes")
    return Signer(settings.audit_origin, private)


def _private(pem: bytes) -> Ed25519PrivateKey | None:
    try:
        found = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PrivateKey) else None


def new_key() -> bytes:
    """A private key, as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
