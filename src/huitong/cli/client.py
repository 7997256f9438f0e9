"""`huitong client`: systems of institutions that sign in with a key of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.table import Table

from huitong.base import log
from huitong.base.settings import Loaded
from huitong.cli.options import console, faults_said
from huitong.cli.options import takes_settings as settings_flags

if TYPE_CHECKING:
    from huitong.access.work import Work

T = TypeVar("T")
_ID = click.argument("client_id", metavar="ID")
_JWKS = click.option(
    "--jwks",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JWK Set with its public keys.",
)
_JWKS_URL = click.option("--jwks-url", metavar="URL", default="", help="Where it keeps its JWK Set, over https.")


@click.group()
def client() -> None:
    """Systems of institutions that sign in by SMART Backend Services: register, list and disable them."""


@client.command()
@_ID
@click.option("--institution", required=True, metavar="CODE", help="Whose system it is, as the directory has it.")
@_JWKS
@_JWKS_URL
@click.option("--scope", required=True, metavar="SCOPES", help="What it may do, as `system/Patient.rs`.")
@click.option("--name", metavar="NAME", default="", help="How the audit calls it.")
@click.option("--networks", metavar="NETWORKS", default="", help="From where it may ask; everywhere when not given.")
@settings_flags
def add(
    loaded: Loaded,
    client_id: str,
    institution: str,
    jwks: Path | None,
    jwks_url: str,
    scope: str,
    name: str,
    networks: str,
) -> None:
    """Register the client ID. Running servers know it at once.

    Exit status 0 when it is registered, 2 when it could not be.
    """
    from huitong.access.systems import actions

    given = jwks.read_text("utf-8") if jwks else ""
    _with(
        loaded,
        institution,
        lambda work: actions.add_client(
            work, client_id, scope=scope, jwks=given, jwks_url=jwks_url, name=name, networks=networks
        ),
    )
    click.echo(f"registered {client_id} of {institution}")


@client.command()
@_ID
@_JWKS
@_JWKS_URL
@settings_flags
def keys(loaded: Loaded, client_id: str, jwks: Path | None, jwks_url: str) -> None:
    """Replace the keys of the client ID."""
    from huitong.access.systems import actions

    given = jwks.read_text("utf-8") if jwks else ""
    _with(loaded, None, lambda work: actions.change_keys(work, client_id, jwks=given, jwks_url=jwks_url))
    click.echo(f"{client_id} has other keys")


@client.command()
@_ID
@settings_flags
def disable(loaded: Loaded, client_id: str) -> None:
    """Give the client ID no more tokens, and end those it has, within five seconds."""
    _set_active(loaded, client_id, active=False)


@client.command()
@_ID
@settings_flags
def enable(loaded: Loaded, client_id: str) -> None:
    """Give the client ID tokens again."""
    _set_active(loaded, client_id, active=True)


def _set_active(loaded: Loaded, client_id: str, *, active: bool) -> None:
    from huitong.access.systems import actions

    _with(loaded, None, lambda work: actions.set_active(work, client_id, active=active))
    click.echo(f"{client_id} is {'enabled' if active else 'disabled'}")


@client.command("list")
@settings_flags
def list_(loaded: Loaded) -> None:
    """Show all clients."""
    from huitong.access.systems import actions
    from huitong.wire.smart import written

    table = Table(title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("client", "institution", "name", "scopes", "keys", "networks", "active"):
        table.add_column(heading, overflow="fold")
    for each in _with(loaded, None, actions.list_clients):
        where = each.jwks_url or "registered"
        networks = " ".join(map(str, each.networks)) or "any"
        active = "yes" if each.active else "no"
        table.add_row(each.client_id, each.institution, each.name, written(each.scopes), where, networks, active)
    console().print(table)


def _with(loaded: Loaded, institution: str | None, do: Callable[[Work], T]) -> T:
    """What `do` gives with the operator's key."""
    import asyncio

    from huitong import app

    async def work() -> T:
        async with app.open_archive(loaded.settings) as archive:
            return do(archive.access.local(institution))

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    with faults_said():
        return asyncio.run(work())
