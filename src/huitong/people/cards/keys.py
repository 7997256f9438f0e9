"""The keys of the health card: versions of a root and a protection key, from a file, or unwrapped by an HSM.

A version is never changed, only added: a card id names no key, so each card remembers the version it was made with
(docs/decisions/0011-card-keys.md). No key is ever shown, logged or put into an error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huitong.base.errors import SettingsError
from huitong.base.settings import Settings
from huitong.people.cards.algorithm import KEY_BYTES

#: The key of the published vector. Everybody knows it, so it is for demonstration alone.
SAMPLE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
_KEYS = ("root", "protection")
#: RFC 3394: what is wrapped is 8 bytes longer.
_WRAPPED_BYTES = KEY_BYTES + 8

Unwrap = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """One version; `repr` shows neither key."""

    version: int
    #: Makes card ids.
    root: bytes
    #: Makes what is dynamic in codes.
    protection: bytes

    def __repr__(self) -> str:
        return f"<version {self.version} of the card keys>"


@dataclass(frozen=True, slots=True)
class Keys:
    """All versions that are known here."""

    #: What new cards and codes are made with.
    current: KeyPair
    versions: dict[int, KeyPair]

    def protections(self) -> Iterator[bytes]:
        """Protection keys, that of now first: codes live for a minute, and another process may have rotated already."""
        yield self.current.protection
        yield from (pair.protection for pair in self.versions.values() if pair is not self.current)


def read_keys(settings: Settings) -> Keys | None:
    """The keys in force; None where this server has no health cards. Raises SettingsError."""
    if settings.card_keys is None:
        if settings.card_hsm is not None:
            raise SettingsError("`card_hsm` is there to unwrap what `card_keys` holds, and that is empty")
        return _of_sample() if settings.demo else None
    if settings.card_hsm is None:
        return _from_file(settings.card_keys, None, demo=settings.demo)
    from huitong.people.cards.hsm import opened

    with opened(settings) as unwrap:
        return _from_file(settings.card_keys, unwrap, demo=settings.demo)


def _of_sample() -> Keys:
    pair = KeyPair(1, SAMPLE, SAMPLE)
    return Keys(pair, {1: pair})


def _from_file(file: Path, unwrap: Unwrap | None, *, demo: bool) -> Keys:
    content = _read(file, secret=unwrap is None)
    rows = content.pop("key", None)
    current = content.pop("current", None)
    if content or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"{file}: expected `current` and, for each version, [[key]] with version, root, protection")
    pairs = [_pair(row, f"{file}, key {number}", unwrap) for number, row in enumerate(rows, 1)]
    versions = {pair.version: pair for pair in pairs}
    if len(versions) != len(pairs):
        raise SettingsError(f"{file}: a version is there twice")
    if current not in versions:
        raise SettingsError(f"{file}: `current` must name one of the versions {sorted(versions)}")
    if not demo and any(SAMPLE in (pair.root, pair.protection) for pair in pairs):
        raise SettingsError(f"{file} holds the sample key, which everybody knows; it is for demo mode alone")
    return Keys(versions[current], versions)


def _read(file: Path, *, secret: bool) -> dict[str, Any]:
    """The table in the file. What is wrong with its text is said by line alone: the parser would quote the rest."""
    try:
        if secret and file.stat().st_mode & 0o007:
            raise SettingsError(f"{file} holds keys and may be read by everybody on this machine: chmod o= it")
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise SettingsError(f"{file} is not TOML in UTF-8") from None


def _pair(row: dict[str, Any], where: str, unwrap: Unwrap | None) -> KeyPair:
    version = row.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1 or set(row) != {"version", *_KEYS}:
        raise SettingsError(f"{where}: expected version (a number from 1), root and protection, and nothing else")
    root, protection = (_key(row[name], f"{where}: {name}", unwrap) for name in _KEYS)
    return KeyPair(version, root, protection)


def _key(text: object, where: str, unwrap: Unwrap | None) -> bytes:
    wanted = KEY_BYTES if unwrap is None else _WRAPPED_BYTES
    if not isinstance(text, str) or not re.fullmatch(f"[0-9A-Fa-f]{{{2 * wanted}}}", text):
        what = "the key" if unwrap is None else "the key as `huitong card wrap` gives it"
        raise SettingsError(f"{where} must be {what}, {2 * wanted} hexadecimal digits")
    return bytes.fromhex(text) if unwrap is None else unwrap(bytes.fromhex(text))
