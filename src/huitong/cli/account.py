"""`huitong account`: who can sign in, kept by the operator on this machine."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click
from rich.table import Table

from huitong.base import log
from huitong.base.settings import Loaded
from huitong.cli.options import console, faults_said
from huitong.cli.options import takes_settings as settings_flags

if TYPE_CHECKING:
    from huitong.access.accounts.actions import Accounts
    from huitong.access.work import Work

T = TypeVar("T")
_ROLES = ("doctor", "clerk", "registrar", "supervisor", "admin")
_NAME = click.argument("name", metavar="NAME")
_ROLE = click.option("--role", "roles", multiple=True, type=click.Choice(_ROLES), help="What they may; several times.")


@click.group()
def account() -> None:
    """Accounts of staff and residents: add, list and disable them, give new passwords."""


@account.command()
@_NAME
@_ROLE
@click.option("--institution", metavar="CODE", default=None, help="Where they work, as the directory has it.")
@click.option("--person", metavar="ID", default="", help="Exchange number of a resident, instead of roles.")
@click.option("--display", metavar="NAME", default="", help="How pages show them.")
@settings_flags
def add(loaded: Loaded, name: str, roles: tuple[str, ...], institution: str | None, person: str, display: str) -> None:
    """Make an account, and print the password that was made for it: it is shown this once, and good for one sign-in."""
    from huitong.access.model import Role
    from huitong.people.actions import person_by_exchange_id

    password = secrets.token_urlsafe(12)

    def make(accounts: Accounts, work: Work) -> None:
        has = frozenset(map(Role, roles))
        whose = person_by_exchange_id(work, person).exchange_id if person else ""
        accounts.add(work, name, password, display=display, institution=institution, roles=has, person=whose)

    _with(loaded, institution, make)
    click.echo(password)


@account.command("list")
@settings_flags
def list_(loaded: Loaded) -> None:
    """Show all accounts."""
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "shown as", "institution", "roles", "person", "authenticator", "state"):
        table.add_column(heading, overflow="fold")
    for each in _with(loaded, None, lambda accounts, work: accounts.all(work)):
        state = "active" if each.active else "disabled"
        roles, totp = " ".join(sorted(each.roles)), "yes" if each.has_totp else "no"
        table.add_row(each.name, each.display, each.institution or "", roles, each.person, totp, state)
    console().print(table)


@account.command()
@_NAME
@click.option("--totp", is_flag=True, help="Forget the authenticator, too: another is enrolled at the next sign-in.")
@settings_flags
def reset(loaded: Loaded, name: str, totp: bool) -> None:
    """Print a new password of this account, to be changed at the next sign-in; unlock it and end its sessions."""
    password = secrets.token_urlsafe(12)

    def change(accounts: Accounts, work: Work) -> None:
        accounts.set_password(work, name, password)
        if totp:
            accounts.reset_totp(work, name)

    _with(loaded, None, change)
    click.echo(password)


@account.command()
@_NAME
@_ROLE
@settings_flags
def roles(loaded: Loaded, name: str, roles: tuple[str, ...]) -> None:
    """Give this account these roles and no others, and end its sessions."""
    from huitong.access.model import Role

    _with(loaded, None, lambda accounts, work: accounts.set_roles(work, name, frozenset(map(Role, roles))))


@account.command()
@_NAME
@settings_flags
def disable(loaded: Loaded, name: str) -> None:
    """End the sessions of this account, and let nobody sign in with it."""
    _with(loaded, None, lambda accounts, work: accounts.set_active(work, name, active=False))


@account.command()
@_NAME
@settings_flags
def enable(loaded: Loaded, name: str) -> None:
    """Let somebody sign in with this account again."""
    _with(loaded, None, lambda accounts, work: accounts.set_active(work, name, active=True))


@account.command()
@_NAME
@click.argument("sub", metavar="SUB")
@settings_flags
def bind(loaded: Loaded, name: str, sub: str) -> None:
    """Let whom the OpenID Provider (`oidc_issuer`) calls SUB sign in as this account."""
    _with(loaded, None, lambda accounts, work: accounts.bind(work, name, sub))


@account.command()
@_NAME
@settings_flags
def unbind(loaded: Loaded, name: str) -> None:
    """Let nobody of the OpenID Provider sign in as this account, and end its sessions."""
    _with(loaded, None, lambda accounts, work: accounts.unbind(work, name))


def _with(loaded: Loaded, institution: str | None, do: Callable[[Accounts, Work], T]) -> T:
    from huitong import app

    async def work() -> T:
        async with app.open_archive(loaded.settings) as archive:
            return do(archive.access.accounts, archive.access.local(institution))

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    with faults_said():
        return asyncio.run(work())
