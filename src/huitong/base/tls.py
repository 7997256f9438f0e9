"""TLS as all doors speak it: BCP 195 (RFC 9325), which is also DICOM's profile (PS3.15 B.12).

TLS 1.3, and 1.2 with forward secrecy and authenticated encryption alone. No compression, no renegotiation. Files that
change are read anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huitong.base.errors import SettingsError
from huitong.base.log import logger

log = logger(__name__)

#: RFC 9325 4.2 for TLS 1.2; the suites of 1.3 are all good. Level 2: keys of 2048 bits RSA, 224 bits EC, or more.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
#: From connecting to the end of the handshake.
HANDSHAKE_S = 10.0
#: Files are looked at for a handshake, but not more often than this.
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a door."""

    certificate: Path
    #: None where it is in the same file.
    key: Path | None = None
    #: Authorities by one of which a caller's certificate must be signed; None asks for none.
    clients: Path | None = None

    def state(self) -> object:
        """Is another when a file is."""
        found = []
        for file in (self.certificate, self.key, self.clients):
            if file is not None:
                seen = file.stat()
                found.append((seen.st_mtime_ns, seen.st_size, seen.st_ino))
        return found


class _Reloading(ssl.SSLContext):
    """Wraps each new connection by the context that was read from the files last."""

    _current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*args, **named)


class _Files:
    """The newest context that the files gave; what cannot be read is logged, and the one before stays."""

    def __init__(self, files: TlsFiles, name: str) -> None:
        self._files, self._name = files, name
        self._seen, self._context = _seen(files, name), _context(files, name)
        self._looked_s = time.monotonic()

    def current(self) -> ssl.SSLContext:
        if time.monotonic() - self._looked_s >= _LOOK_S:
            self._looked_s = time.monotonic()
            self._look()
        return self._context

    def _look(self) -> None:
        try:
            seen = _seen(self._files, self._name)
            if seen == self._seen:
                return
            self._seen, self._context = seen, _context(self._files, self._name)
        except SettingsError as error:
            log.warning("tls files cannot be used, those before stay", door=self._name, error=str(error))
        else:
            log.info("tls files read anew", door=self._name)


def server_context(files: TlsFiles, name: str) -> ssl.SSLContext:
    """For asyncio's servers; new connections have what the files hold now. Raises SettingsError naming the door."""
    context = _Reloading(ssl.PROTOCOL_TLS_SERVER)
    context._current = _Files(files, name).current
    return context


def _seen(files: TlsFiles, name: str) -> object:
    try:
        return files.state()
    except OSError as e:
        raise SettingsError(f"TLS for {name}: {e}") from e


def _context(files: TlsFiles, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.clients is not None:
            context.load_verify_locations(files.clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as e:  # ssl.SSLError is one
        raise SettingsError(f"TLS for {name}: {e}") from e
    return context


def fingerprint(transport: asyncio.BaseTransport) -> str:
    """SHA-256 of the certificate that the caller has shown, lower-case hex; empty where it has shown none."""
    spoken = transport.get_extra_info("ssl_object")
    shown = spoken.getpeercert(binary_form=True) if spoken is not None else None
    return hashlib.sha256(shown).hexdigest() if shown else ""
