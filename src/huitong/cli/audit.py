"""`huitong audit`: whether the record of who looked is as it was written; its heads; its lines in a file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from huitong.access.verifying import read_heads, read_keys, verify_file
from huitong.base import log
from huitong.base.clock import CHINA
from huitong.base.errors import NotFound
from huitong.base.settings import Loaded
from huitong.cli.options import SOME_WRONG, console, faults_said
from huitong.cli.options import takes_settings as settings_flags

if TYPE_CHECKING:
    from huitong.access.checking import Findings

_FILE = click.Path(path_type=Path, dir_okay=False)
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """Who looked at whose records: hold the log against itself, and against what was kept of it elsewhere."""


@audit.command()
@click.option("--file", "file", type=_FILE, help="What `huitong audit export` wrote, instead of the store.")
@click.option("--heads", "heads", type=_FILE, multiple=True, help="Heads that were kept elsewhere; may be repeated.")
@click.option("--key", "keys", metavar="KEY", multiple=True, help="Key by which heads are signed, or a file with keys.")
@click.option("--head", "kept", metavar="N:HASH", default="", help="What an earlier run printed, kept elsewhere.")
@settings_flags
def verify(loaded: Loaded, file: Path | None, heads: tuple[Path, ...], keys: tuple[str, ...], kept: str) -> None:
    """Read every line and hold it against the one before and against the heads; also while a server runs.

    With `--file` it needs no store and no settings. A head that was kept where nobody who can write the database can
    write (`/audit/heads/latest`, `huitong audit head`) shows an end that was cut off and a log that was written anew; a
    key shows that it is ours. Exit status 0 when all is as it was written, 1 when not, naming the first line.
    """
    from huitong import app

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    number, _, digest = kept.partition(":")
    if kept and not (number.isdecimal() and int(number) and len(digest) == 64):
        raise click.BadParameter("is a number from 1, a colon and 64 hexadecimal digits", param_hint="--head")
    if kept and file:
        raise click.BadParameter("goes with the store, not with --file", param_hint="--head")
    holds = True
    with faults_said():
        read, given = read_heads(heads), read_keys(keys)
        if file:
            found = verify_file(file, read, given)
        else:
            number_, head = int(number) if kept else 0, digest.lower()
            found, holds = app.check_audit(loaded.settings, number_, head, read, given)
    _say(found)
    if not found.fault and not holds:
        console().print(f"line {number} is not the one that was kept: lines were removed or written anew")
    if found.fault or not holds:
        raise SystemExit(SOME_WRONG)
    if found.lines:
        console().print(f"{found.first + found.lines - 1}:{found.head.hex()}", soft_wrap=True)


def _say(found: Findings) -> None:
    out = console()
    if found.fault:
        out.print(f"{found.fault}; {found.lines} lines before it follow from one another", soft_wrap=True)
        return
    out.print(f"{found.lines} lines, all as they were written", soft_wrap=True)
    last = found.first + found.lines - 1
    out.print(
        f"{found.heads} heads agree: {found.signed} signed by a key we know, {found.kept} kept elsewhere;"
        f" {last - max(found.covered, found.first - 1)} lines are of no head",
        soft_wrap=True,
    )
    if found.not_covered:
        out.print(f"{found.not_covered} heads are of lines that are not in the file", soft_wrap=True)


@audit.command()
@settings_flags
def head(loaded: Loaded) -> None:
    """Make a head of all lines by now and print it as it is published, to be kept elsewhere; also while servers run."""
    from huitong import app

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    with faults_said():
        made = app.make_audit_head(loaded.settings)
        if made is None:
            raise NotFound("no line was written yet")
    click.echo(made.note, nl=False)


@audit.command()
@settings_flags
def key(loaded: Loaded) -> None:
    """Print the key by which others verify the signatures of heads."""
    from huitong import app

    with faults_said():
        found = app.audit_key(loaded.settings)
        if found is None:
            raise NotFound("heads are not signed: set `audit_key`")
    click.echo(str(found))


@audit.command()
@click.option("--file", "file", type=_FILE, required=True, help="Where to; replaced when it is there.")
@click.option("--first", type=click.IntRange(1), metavar="N", help="From this line on.  [the first]")
@click.option("--last", type=click.IntRange(1), metavar="N", help="To this line.  [the last]")
@click.option("--since", type=_DAY, metavar="DAY", help="From the beginning of this day in China on.")
@click.option("--until", type=_DAY, metavar="DAY", help="To the end of this day in China.")
@settings_flags
def export(
    loaded: Loaded, file: Path, first: int | None, last: int | None, since: datetime | None, until: datetime | None
) -> None:
    """Write lines with their hashes and heads into a file (JSON Lines) that `verify --file` reads without the store.

    The file says who looked at whose records: keep it as such. That it was made is itself a line. Also while servers
    run.
    """
    from huitong import app

    log.configure(loaded.settings.log_format, loaded.settings.log_level)
    if (first and since) or (last and until):
        raise click.UsageError("lines are chosen by number or by day")
    which = {
        "first": first,
        "last": last,
        "since": since.replace(tzinfo=CHINA) if since else None,
        "until": until.replace(tzinfo=CHINA) + timedelta(days=1) if until else None,
    }
    with faults_said():
        part = app.export_audit(loaded.settings, file, **which)
    console().print(f"{part.last - part.first + 1} lines, {part.first} to {part.last}", soft_wrap=True)
