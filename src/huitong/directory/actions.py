"""Which institutions take part: read from the operator's file, with the two of the demo in demo mode."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from huitong.base.errors import SettingsError
from huitong.directory.model import Institution

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}")
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_DEMO = (
    ("TAIYUAN", "太原市中心医院", "Taiyuan Central Hospital"),
    ("YUNCHENG", "运城市人民医院", "Yuncheng People's Hospital"),
)
_KEYS = {"code", "name", "name_en", "ae_titles", "networks", "token_sha256"}


class Directory:
    """The institutions, looked up by what they show at a door."""

    def __init__(self, institutions: list[Institution]) -> None:
        self._by_code = {each.code: each for each in institutions}
        self._by_ae: dict[str, list[Institution]] = {}
        self._by_token = {digest: each for each in institutions for digest in each.token_sha256}
        for each in institutions:
            for ae in each.ae_titles:
                self._by_ae.setdefault(ae, []).append(each)

    def all(self) -> list[Institution]:
        return list(self._by_code.values())

    def get(self, code: str) -> Institution | None:
        return self._by_code.get(code)

    def by_ae(self, ae_title: str, host: str) -> Institution | None:
        """Whose AE title this is, calling from `host`; an AE title alone proves nothing, so the address must fit."""
        return next((each for each in self._by_ae.get(ae_title, ()) if _within(host, each)), None)

    def by_token(self, token: str, host: str) -> Institution | None:
        """Whose token this is. Looked up by its digest, so that the time taken says nothing about the token."""
        found = self._by_token.get(hashlib.sha256(token.encode()).hexdigest())
        return found if found is not None and _within(host, found) else None


def _within(host: str, institution: Institution) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in institution.networks)


def read_directory(file: Path | None, *, demo: bool) -> Directory:
    """The directory as the settings have it; raises SettingsError naming what is wrong in the file."""
    institutions = list(_demo_institutions()) if demo else []
    if file is not None:
        institutions += _from_file(file)
    codes = [each.code for each in institutions]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise SettingsError(f"institutions listed twice: {', '.join(twice)}")
    return Directory(institutions)


def _demo_institutions() -> Iterator[Institution]:
    for code, name, name_en in _DEMO:
        digest = hashlib.sha256(f"demo-{code}".encode()).hexdigest()
        yield Institution(code, name, name_en, frozenset({code}), _LOOPBACK, frozenset({digest}))


def _from_file(file: Path) -> list[Institution]:
    try:
        rows = tomllib.loads(file.read_text("utf-8")).get("institution", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{file}: {e}") from e
    return [_institution(row, f"{file}, institution {number}") for number, row in enumerate(rows, 1)]


def _institution(row: dict[str, Any], where: str) -> Institution:
    if unknown := sorted(set(row) - _KEYS):
        raise SettingsError(f"{where}: unknown {', '.join(unknown)}")
    code = str(row.get("code", ""))
    if not _CODE.fullmatch(code):
        raise SettingsError(f"{where}: code {code!r} is not 1 to 32 of A-Z 0-9 _ -")
    digests = frozenset(str(d).lower() for d in row.get("token_sha256", []))
    if any(not re.fullmatch("[0-9a-f]{64}", d) for d in digests):
        raise SettingsError(f"{where}: token_sha256 must be SHA-256 in hexadecimal")
    try:
        networks = tuple(ip_network(str(n)) for n in row.get("networks", []))
    except ValueError as e:
        raise SettingsError(f"{where}: {e}") from e
    name = str(row.get("name", code))
    aes = frozenset(str(a) for a in row.get("ae_titles", []))
    return Institution(code, name, str(row.get("name_en", name)), aes, networks, digests)
