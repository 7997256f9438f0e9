"""TLS as all doors speak it: BCP 195 (RFC 9325), which is also DICOM's profile (PS3.15 B.12).

TLS 1.3, and 1.2 with forward secrecy and authenticated encryption alone. No compression, no renegotiation. Files that
change are read anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

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
    #: Certificates that those authorities have taken back (CRL); None where nobody looks.
    revoked: Path | None = None
    #: Whether a caller may also show none; one that is shown must be good all the same.
    optional: bool = False

    def state(self) -> object:
        """Is another when a file is."""
        found = []
        for file in (self.certificate, self.key, self.clients, self.revoked):
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
            context.verify_mode = ssl.CERT_OPTIONAL if files.optional else ssl.CERT_REQUIRED
            # A session that is taken up again shows what was good then: each caller shows its certificate anew.
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        if files.revoked is not None:
            context.load_verify_locations(files.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except OSError as e:  # ssl.SSLError is one
        raise SettingsError(f"TLS for {name}: {e}") from e
    return context


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a caller has shown over TLS, signed by an authority of the door."""

    #: Fingerprint, lower-case hex.
    sha256: str = ""
    #: Its names as `certificate_name` writes them: of the subject, and DNS names of subjectAltName.
    names: frozenset[str] = field(default_factory=frozenset)

    @property
    def known_as(self) -> frozenset[str]:
        """All by which it can be listed."""
        return self.names | ({self.sha256} if self.sha256 else set())


#: Shown by a caller who has shown none.
NO_CERTIFICATE = Certificate()


def shown(transport: asyncio.BaseTransport) -> Certificate:
    """What the caller has shown."""
    spoken = transport.get_extra_info("ssl_object")
    der = spoken.getpeercert(binary_form=True) if spoken is not None else None
    return certificate_of(der) if der else NO_CERTIFICATE


def certificate_of(der: bytes) -> Certificate:
    """What others know a certificate by; who signed it is not looked at here."""
    return Certificate(hashlib.sha256(der).hexdigest(), _names(der))


def certificate_name(text: str) -> str:
    """A name written in the one way in which names are compared: DNS:pacs.example, or RFC 4514 (CN=pacs,O=...).

    Raises ValueError for what is neither.
    """
    text = text.strip()
    if "=" in text:
        # People write a blank after the comma, which RFC 4514 has not.
        return x509.Name.from_rfc4514_string(re.sub(r"(?<!\\),\s+", ",", text)).rfc4514_string()
    marked = text[:4].upper() == "DNS:"
    name = text[4 if marked else 0 :].lower()
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name) or ("." not in name and not marked):
        raise ValueError("expected a DNS name, or a subject such as CN=pacs,O=Hospital,C=CN")
    return f"DNS:{name}"


def _names(der: bytes) -> frozenset[str]:
    """None of a certificate that OpenSSL reads and we do not: its fingerprint remains."""
    try:
        read = x509.load_der_x509_certificate(der)
        subject = read.subject.rfc4514_string()
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        dns = found.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        dns = []
    except ValueError:
        return frozenset()
    return frozenset([*([subject] if subject else []), *(f"DNS:{each.lower()}" for each in dns)])
