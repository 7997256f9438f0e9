"""Heads of transparency logs as they are published: checkpoints (C2SP tlog-checkpoint), which are signed notes
(C2SP signed-note) with signatures of Ed25519 (RFC 8032), type 0x01.

Pure. Of the private key it knows only that somebody signs with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ED25519 = b"\x01"
_KEY_BYTES, _HASH_BYTES, _ID_BYTES = 32, 32, 4
_DASH = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had `size` leaves, and this was the root of their tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """Of the text of a note; lines after the third are passed over. Raises ValueError."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise ValueError("a checkpoint has three lines: origin, size, root")
        origin, size, root = lines[:3]
        if not _SIZE.fullmatch(size):
            raise ValueError(f"{size[:40]!r} is no size of a log")
        decoded = _bytes(root)
        if len(decoded) != _HASH_BYTES:
            raise ValueError("a root is 32 bytes in base64")
        return cls(origin, int(size), decoded)


@dataclass(frozen=True, slots=True)
class Signature:
    """A line of signature: by whom it says it is, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a newline, and who signed it; a head of a log without a key has no signature."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.signatures))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name, written as `name+id+key`: what whoever verifies has to be told once."""

    name: str
    #: As RFC 8032 encodes it.
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def read(cls, text: str) -> VerifierKey:
        """Raises ValueError."""
        name, _, rest = text.strip().partition("+")
        said_id, _, encoded = rest.partition("+")
        data = _bytes(encoded)
        key = cls(name, data[1:])
        if not is_key_name(name) or data[:1] != _ED25519 or len(key.public) != _KEY_BYTES:
            raise ValueError("expected name+id+key of an Ed25519 key, as `huitong audit key` prints it")
        if said_id.lower() != key.key_id.hex():
            raise ValueError("the id is not that of the name and the key: something was left out")
        return key

    def has_signed(self, signature: Signature) -> bool:
        """Whether the line says so; `verifies` says whether it is true."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def verifies(self, note: Note, signature: Signature) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature.signature, note.text.encode())
        except InvalidSignature:
            return False
        return True


def is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(each.isspace() or not each.isprintable() for each in name)


def sign(text: str, key: VerifierKey, signing: Callable[[bytes], bytes]) -> Note:
    """The note, signed with the private key of `key`."""
    return Note(text, (Signature(key.name, key.key_id, signing(text.encode())),))


def is_signed_by(note: Note, keys: Iterable[VerifierKey]) -> bool | None:
    """Whether one of the keys has signed it; None where none of them says so. One false signature spoils it."""
    found = [key.verifies(note, each) for each in note.signatures for key in keys if key.has_signed(each)]
    return all(found) if found else None


def read_notes(text: str) -> Iterator[Note]:
    """Checkpoints one after another, as somebody appended them to a file; raises ValueError."""
    lines = iter(text.split("\n"))
    line = next(lines, None)
    while line is not None:
        if not line:
            line = next(lines, None)
            continue
        body: list[str] = []
        while line:
            body.append(line)
            line = next(lines, None)
        if line is None:
            raise ValueError("a note ends without the empty line behind its text")
        line, signatures = next(lines, None), list[Signature]()
        while line is not None and line.startswith(_DASH):
            signatures.append(_signature(line))
            line = next(lines, None)
        yield Note("".join(f"{each}\n" for each in body), tuple(signatures))


def read_note(text: str) -> Note:
    """The one note; raises ValueError."""
    found = list(read_notes(text))
    if len(found) != 1:
        raise ValueError("expected one note")
    return found[0]


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = _bytes(encoded)
    if not is_key_name(name) or len(data) <= _ID_BYTES:
        raise ValueError(f"{line[:60]!r} is no signature of a note")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{text[:40]!r} is no base64") from None
