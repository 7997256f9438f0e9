"""Every row of the settings table as a flag, and the settings that a command was given."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table

from huitong.base.errors import HuitongError
from huitong.base.setting_kinds import Kind
from huitong.base.settings import DEFAULTS, ROWS, Loaded, Row, load

#: Exit statuses, the same for every command.
ALL_GOOD, SOME_WRONG, COULD_NOT, INTERRUPTED = 0, 1, 2, 130

F = TypeVar("F", bound=Callable[..., Any])


def default_text(name: str) -> str:
    """How documents and help say the default of a setting."""
    row = ROWS[name]
    return row.default_text or row.kind.show(DEFAULTS[name]) or "empty"


def _flag(name: str, row: Row) -> Callable[[F], F]:
    flag = "--" + name.replace("_", "-")
    about = f"{row.sentence}  [{default_text(name)}]"
    if isinstance(DEFAULTS[name], bool):
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=about)
    return click.option(flag, name, metavar=row.kind.name.upper(), help=about)


def takes_settings(command: F) -> F:
    """The command gets `loaded`, the settings in force; every setting becomes a flag of it."""

    @functools.wraps(command)
    def with_settings(settings_file: Path | None, **given: Any) -> Any:
        flags = {name: given.pop(name) for name in ROWS}
        texts = {name: _text(value) for name, value in flags.items()}
        with faults_said():
            loaded = load(texts, os.environ, settings_file)
        return command(loaded=loaded, **given)

    wrapped: Any = with_settings
    for name, row in reversed(ROWS.items()):
        wrapped = _flag(name, row)(wrapped)
    file = click.Path(path_type=Path, dir_okay=False)
    about = "File of settings.  [HUITONG_SETTINGS, else huitong.toml if there is one]"
    return click.option("--settings", "settings_file", type=file, metavar="FILE", help=about)(wrapped)  # type: ignore[no-any-return]


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


class Url(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A URL as the setting of this kind takes it."""

    name = "url"

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._kind.parse(value)
        except ValueError as e:
            self.fail(str(e), param, ctx)


class faults_said:  # noqa: N801 - reads as a statement: `with faults_said():`
    """Errors of ours end the command with their message and hint, and status 2, instead of a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, HuitongError):
            fail(error)


def fail(error: HuitongError) -> NoReturn:
    """Say what went wrong and what can be done about it; exit status 2."""
    click.echo(f"huitong: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    raise SystemExit(COULD_NOT)


def settings_table(loaded: Loaded) -> Table:
    """Name, value and source of every setting in force."""
    table = Table(title="settings in force", title_justify="left", header_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name, value, source in loaded.lines():
        table.add_row(name, value, source, style="dim" if source == "default" else "")
    return table


def console(*, stderr: bool = False) -> Console:
    """Where tables go; no markup, so that a file name cannot be read as one."""
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=False)
