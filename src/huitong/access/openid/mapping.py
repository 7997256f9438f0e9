"""Which account somebody is, by the claims of a provider: the operator's table, and nothing else.

Only when a provider names somebody for the first time, and for accounts that were made by it. An e-mail address names
no account: it is given to another when its owner leaves, and many providers let anybody write one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huitong.access.model import Role
from huitong.base.errors import SettingsError

_FIELDS = {"bind": {"claim"}, "create": {"name", "display", "institution", "institutions", "roles", "role"}}
_MAIL = {"email", "mail", "e-mail"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as the provider's claims have it."""

    name: str
    display: str
    institution: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Table:
    """The table."""

    #: Claim whose value is the name of an account that exists; empty: none is bound by itself.
    bind: str = ""
    #: Claims that say name, display, institution and roles of an account to be made; `name` empty: none is made.
    name: str = ""
    display: str = "name"
    institution: str = ""
    #: Value of the claim -> code of the directory; empty: the value is the code.
    institutions: Mapping[str, str] = field(default_factory=dict)
    roles: str = ""
    #: Value of the claim -> role.
    role: Mapping[str, Role] = field(default_factory=dict)

    @property
    def claims(self) -> set[str]:
        """The first step of each claim that is looked at."""
        looked_at = (self.bind, self.name, *((self.institution, self.roles, self.display) if self.name else ()))
        return {each.partition(".")[0] for each in looked_at if each}

    def bound_name(self, claims: Mapping[str, Any]) -> str:
        """Name of the account that it is to be bound to; empty for none."""
        return _text(claims, self.bind)

    def wanted(self, claims: Mapping[str, Any]) -> Wanted | None:
        """The account that is to be made, or that one which was made is now; None where the claims do not do."""
        said, name = _text(claims, self.institution), _text(claims, self.name)
        institution = self.institutions.get(said, "") if self.institutions else said
        roles = frozenset(self.role[each] for each in _texts(claims, self.roles) if each in self.role)
        if not name or not roles or (self.institution and not institution):
            return None
        return Wanted(name, _text(claims, self.display) or name, institution, roles)


def read_mapping(file: Path | None) -> Table:
    """Raises SettingsError naming what is wrong in the file."""
    if file is None:
        return Table()
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{file}: {e}") from e
    for table, said in content.items():
        known = _FIELDS.get(table)
        if known is None or not isinstance(said, dict):
            raise SettingsError(f"{file}: unknown {table}; there are [bind] and [create]")
        if unknown := sorted(set(said) - known):
            raise SettingsError(f"{file}: unknown {', '.join(unknown)} in [{table}]")
    return _mapping(content.get("bind", {}), content.get("create", {}), file)


def _mapping(bind: dict[str, Any], create: dict[str, Any], file: Path) -> Table:
    words = {"bind": bind.get("claim", ""), **{name: create.get(name, "") for name in ("name", "institution", "roles")}}
    words["display"] = create.get("display", "name")
    tables = {name: create.get(name, {}) for name in ("institutions", "role")}
    if any(not isinstance(each, str) for each in words.values()):
        raise SettingsError(f"{file}: a claim is a text in quotes")
    if any(
        not isinstance(each, dict) or not all(isinstance(v, str) for v in each.values()) for each in tables.values()
    ):
        raise SettingsError(f'{file}: institutions and role are tables, as in "ward-doctors" = "doctor"')
    if mail := {words["bind"], words["name"]} & _MAIL:
        raise SettingsError(f"{file}: {mail.pop()} names no account: an e-mail address is given to others")
    if create and not (words["name"] and words["roles"] and tables["role"]):
        raise SettingsError(f"{file}: [create] wants name, roles and [create.role]")
    try:
        role = {value: Role(name) for value, name in tables["role"].items()}
    except ValueError as e:
        raise SettingsError(f"{file}: {e}") from e
    return Table(**words, institutions=tables["institutions"], role=role)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """What stands at a.b.c, as Keycloak has `realm_access.roles`."""
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _text(claims: Mapping[str, Any], path: str) -> str:
    found = _at(claims, path) if path else None
    return found.strip() if isinstance(found, str) else ""


def _texts(claims: Mapping[str, Any], path: str) -> list[str]:
    found = _at(claims, path) if path else None
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, str)]
