"""`huitong card`: issue, show and read health cards on this machine, and wrap keys for a security module."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from huitong.base import log
from huitong.base.errors import SettingsError
from huitong.base.settings import Loaded
from huitong.cli.options import SOME_WRONG, console, faults_said
from huitong.cli.options import takes_settings as settings_flags

if TYPE_CHECKING:
    from huitong.access.work import Work
    from huitong.people.cards.model import Card, Refusal

T = TypeVar("T")
_institution = click.option(
    "--institution", required=True, metavar="CODE", help="In whose name, as the directory has it."
)


@click.group()
def card() -> None:
    """Health cards (电子健康卡): issue, show and read them, and wrap keys for a security module."""


@card.command()
@click.argument("number", metavar="NUMBER")
@_institution
@settings_flags
def issue(loaded: Loaded, number: str, institution: str) -> None:
    """Issue the card of the patient to whom the institution gave this NUMBER, or show the one that is there.

    Exit status 0 when there is a card, 1 when it was refused, 2 when it could not be.
    """
    from huitong.people.cards import actions
    from huitong.people.cards.model import Refusal

    found = _with(loaded, institution, lambda work: actions.issue(work, number))
    if isinstance(found, Refusal):
        _refused(found)
    console().print("issued" if found.new else "was there already")
    _print(found.card)


@card.command()
@click.argument("card_id", metavar="ID")
@click.option("--code", is_flag=True, help="Draw the code of the moment, too.")
@settings_flags
def show(loaded: Loaded, card_id: str, code: bool) -> None:
    """Show the card of this ID (its hexadecimal digits), and with --code what its holder would show just now."""
    import segno

    from huitong.people.cards import actions

    def found(work: Work) -> tuple[Card, str]:
        card = actions.show_card(work, card_id.upper())
        return card, actions.dynamic_code(work, card).text if code else ""

    known, text = _with(loaded, None, found)
    _print(known)
    if text:
        console().print(text, soft_wrap=True)
        segno.make(text, error="m", micro=False).terminal(out=sys.stdout, compact=True)


@card.command()
@click.argument("code", metavar="CODE")
@_institution
@click.option("--step", required=True, metavar="STEP", help="Step of care (诊疗环节代码), as 010101 for registration.")
@click.option("--terminal", default="cli", metavar="ID", help="Which terminal this is; `cli` when not given.")
@settings_flags
def resolve(loaded: Loaded, code: str, institution: str, step: str, terminal: str) -> None:
    """Take the CODE of a card as a terminal does: record the use, and show whose card it is.

    Exit status 0 when it was taken, 1 when it was not, saying why, 2 when it could not be tried.
    """
    from huitong.people.cards import actions
    from huitong.people.cards.model import Refusal, Terminal

    where = Terminal(step, terminal, "99")
    found = _with(loaded, institution, lambda work: actions.resolve(work, code, where))
    if isinstance(found, Refusal):
        _refused(found)
    _print(found.card)
    for number in found.numbers:
        console().print(f"number      {number}")


@card.command()
@settings_flags
def wrap(loaded: Loaded) -> None:
    """Read a key of 32 hexadecimal digits from standard input and print it wrapped, for the file `card_keys`.

    It is wrapped by the security module that `card_hsm` and its fellows name.
    """
    from huitong.people.cards.actions import wrap_key

    _begin(loaded)
    with faults_said():
        given = sys.stdin.readline().strip()
        try:
            plain = bytes.fromhex(given)
        except ValueError:
            plain = b""
        if len(plain) != 16:
            raise SettingsError("standard input must have a key of 32 hexadecimal digits")
        click.echo(wrap_key(loaded.settings, plain).hex().upper())


def _with(loaded: Loaded, institution: str | None, do: Callable[[Work], T]) -> T:
    """What `do` gives with the operator's key."""
    from huitong import app

    async def work() -> T:
        async with app.open_archive(loaded.settings) as archive:
            return do(archive.access.local(institution))

    _begin(loaded)
    with faults_said():
        return asyncio.run(work())


def _print(card: Card) -> None:
    out = console()
    kind, number = card.certificate
    lines = {
        "card": card.card_id,
        "person": card.holder.exchange_id,
        "name": card.holder.name,
        "certificate": f"{kind} {number}",
        "attribute": card.attribute.name.lower(),
        "state": card.state.name.lower(),
        "issued": f"{card.issued_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {card.institution}",
        "key": f"version {card.key_version}",
    }
    for name, value in lines.items():
        out.print(f"{name:11} {value}", soft_wrap=True)
    if card.replaced_by:
        out.print(f"replaced by {card.replaced_by}", soft_wrap=True)


def _refused(refusal: Refusal) -> NoReturn:
    click.echo(f"huitong: refused, {refusal.reason}", err=True)
    raise SystemExit(SOME_WRONG)


def _begin(loaded: Loaded) -> None:
    log.configure(loaded.settings.log_format, loaded.settings.log_level)
