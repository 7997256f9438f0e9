"""The operator's file of institutions, and the two of the demo."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from ipaddress import ip_network
from itertools import combinations
from pathlib import Path
from typing import Any

from huitong.base.errors import SettingsError
from huitong.base.tls import certificate_name
from huitong.directory.codes import AE_PATTERN, CODE_PATTERN
from huitong.directory.model import Institution

_CODE = re.compile(CODE_PATTERN)
_AE = re.compile(AE_PATTERN)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_DEMO = (
    ("TAIYUAN", "太原市中心医院", "Taiyuan Central Hospital"),
    ("YUNCHENG", "运城市人民医院", "Yuncheng People's Hospital"),
)
_TEXTS = ("code", "name", "name_en")
_LISTS = ("ae_titles", "networks", "token_sha256", "certificate_sha256", "certificate_names")


def read_institutions(file: Path | None, *, demo: bool) -> list[Institution]:
    """The institutions as the settings have them; raises SettingsError naming what is wrong in the file."""
    institutions = list(_demo_institutions()) if demo else []
    if file is not None:
        institutions += _from_file(file)
    _check_apart(institutions)
    return institutions


def _check_apart(institutions: list[Institution]) -> None:
    """Whatever a caller shows must name one institution: with two, the first in the file would get all."""
    codes = [each.code for each in institutions]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise SettingsError(f"institutions listed twice: {', '.join(twice)}")
    for one, other in combinations(institutions, 2):
        both = f"{one.code} and {other.code}"
        if digests := sorted(one.token_sha256 & other.token_sha256):
            raise SettingsError(f"{both} have one token, token_sha256 {digests[0]}")
        for ae in sorted(one.ae_titles & other.ae_titles):
            if overlap := _overlap(one, other):
                raise SettingsError(f"{both} both call as {ae} from {overlap}")


def _overlap(one: Institution, other: Institution) -> str:
    """The networks that share addresses; empty when none do."""
    pairs = ((a, b) for a in one.networks for b in other.networks if a.version == b.version and a.overlaps(b))
    return next((str(a) if a == b else f"{a} and {b}" for a, b in pairs), "")


def _demo_institutions() -> Iterator[Institution]:
    for code, name, name_en in _DEMO:
        digest = hashlib.sha256(f"demo-{code}".encode()).hexdigest()
        yield Institution(code, name, name_en, frozenset({code}), _LOOPBACK, frozenset({digest}))


def _from_file(file: Path) -> list[Institution]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{file}: {e}") from e
    rows = content.pop("institution", [])
    if content:
        raise SettingsError(f"{file}: unknown {', '.join(sorted(content))}; an institution begins with [[institution]]")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"{file}: an institution begins with [[institution]]")
    return [_institution(row, f"{file}, institution {number}") for number, row in enumerate(rows, 1)]


def _institution(row: dict[str, Any], where: str) -> Institution:
    if unknown := sorted(set(row) - {*_TEXTS, *_LISTS}):
        raise SettingsError(f"{where}: unknown {', '.join(unknown)}")
    _check_types(row, where)
    code = row.get("code", "")
    if not _CODE.fullmatch(code):
        raise SettingsError(f"{where}: code {code!r} is not 1 to 32 of A-Z 0-9 _ -")
    aes = frozenset(row.get("ae_titles", []))
    if bad := sorted(ae for ae in aes if not _AE.fullmatch(ae)):
        raise SettingsError(f"{where}: AE title {bad[0]!r} is not 1 to 16 ASCII characters without backslash")
    digests = frozenset(d.lower() for d in row.get("token_sha256", []))
    if any(not re.fullmatch("[0-9a-f]{64}", d) for d in digests):
        raise SettingsError(f"{where}: token_sha256 must be SHA-256 in hexadecimal")
    shown = frozenset(d.lower().replace(":", "") for d in row.get("certificate_sha256", []))
    if any(not re.fullmatch("[0-9a-f]{64}", d) for d in shown):
        raise SettingsError(f"{where}: certificate_sha256 must be SHA-256 in hexadecimal")
    try:
        names = frozenset(map(certificate_name, row.get("certificate_names", [])))
        networks = tuple(ip_network(n) for n in row.get("networks", []))
    except ValueError as e:
        raise SettingsError(f"{where}: {e}") from e
    name = row.get("name", code)
    return Institution(
        code, name, row.get("name_en", name), aes, networks, digests, certificate_sha256=shown, certificate_names=names
    )


def _check_types(row: dict[str, Any], where: str) -> None:
    for key in _TEXTS:
        if not isinstance(row.get(key, ""), str):
            raise SettingsError(f"{where}: {key} must be a text in quotes")
    for key in _LISTS:
        value = row.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise SettingsError(f'{where}: {key} must be a list of texts, as in {key} = ["..."]')
