"""`huitong audit`: whether the record of who looked is as it was written."""

from __future__ import annotations

import click

from huitong.base import log
from huitong.base.settings import Loaded
from huitong.cli.options import SOME_WRONG, console, faults_said
from huitong.cli.options import takes_settings as settings_flags


@click.group()
def audit() -> None:
    """Who looked at whose records: hold the log against itself, and against what was kept of it elsewhere."""


@audit.command()
@click.option("--head", "kept", metavar="N:HASH", default="", help="What an earlier run printed, kept elsewhere.")
@settings_flags
def verify(loaded: Loaded, kept: str) -> None:
    """Read every line and hold it against the one before; also while a server runs.

    Prints the number of the last line and its hash: kept where nobody who can write the database can write, it shows
    later that no end was cut off. Exit status 0 when all is as it was written, 1 when not, naming the first line.
    """
    from huitong import app

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    number, _, head = kept.partition(":")
    if kept and not (number.isdecimal() and int(number) and len(head) == 64):
        raise click.BadParameter("is a number from 1, a colon and 64 hexadecimal digits", param_hint="--head")
    with faults_said():
        found, holds = app.check_audit(loaded.settings, int(number) if kept else 0, head.lower())
    if found.first_fault is not None:
        console().print(f"line {found.first_fault} was altered, removed or put in; {found.lines} before it are sound")
        raise SystemExit(SOME_WRONG)
    if not holds:
        console().print(f"line {number} is not the one that was kept: lines were removed or written anew")
        raise SystemExit(SOME_WRONG)
    console().print(f"{found.lines} lines, all as they were written", soft_wrap=True)
    console().print(f"{found.lines}:{found.head}", soft_wrap=True)
