"""The commands. What they do lies in `app` and below, imported when a command runs: `--help` answers at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

import huitong
from huitong.base import log
from huitong.base.setting_kinds import DATABASE_URL, S3_URL
from huitong.base.settings import Loaded
from huitong.cli.account import account
from huitong.cli.audit import audit
from huitong.cli.card import card
from huitong.cli.client import client
from huitong.cli.options import ALL_GOOD, INTERRUPTED, SOME_WRONG, Url, console, faults_said, settings_table
from huitong.cli.options import takes_settings as settings_flags


@click.group(context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]})
@click.version_option(huitong.__version__, prog_name="huitong")
def main() -> None:
    """Huitong 汇通: a record made in one institution is found, trusted and used in every other."""


main.add_command(account)
main.add_command(audit)
main.add_command(card)
main.add_command(client)


@main.command()
@settings_flags
def serve(loaded: Loaded) -> None:
    """Start the archive: pages, viewer and DICOMweb, and DICOM associations. Stops gracefully on SIGTERM and Ctrl-C."""
    from huitong import app

    _begin(loaded)
    if loaded.settings.log_format == "json":
        log.logger("huitong").info("settings", **{name: value for name, value, _ in loaded.lines()})
    else:
        console(stderr=True).print(settings_table(loaded))
    with faults_said():
        asyncio.run(app.serve(loaded.settings))


@main.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--institution", required=True, metavar="CODE", help="Whose objects these are, as the directory names it."
)
@settings_flags
def import_(loaded: Loaded, paths: tuple[Path, ...], institution: str) -> None:
    """Keep DICOM objects from files, folders, zip archives and media with a DICOMDIR.

    Exit status 0 when everything found is kept, 1 when something was refused, 2 when the archive cannot keep anything.
    """
    from huitong.cli.import_screen import import_with_progress, summary

    _begin(loaded)
    with faults_said():
        tally, interrupted = import_with_progress(loaded.settings, paths, institution)
    summary(tally, console())
    with faults_said():
        if tally.stopped_by is not None:
            raise tally.stopped_by
    raise SystemExit(INTERRUPTED if interrupted else SOME_WRONG if tally.refused_count else ALL_GOOD)


@main.command()
@settings_flags
def verify(loaded: Loaded) -> None:
    """Re-read every object against its digest, and compare index and packs both ways.

    Exit status 0 when everything is as it should be, 1 when something is not, 2 when the archive cannot be read.
    """
    from huitong import app
    from huitong.cli.report_screen import show_report, with_progress

    _begin(loaded)
    with faults_said():
        report = with_progress("verifying", lambda tell: app.verify(loaded.settings, tell))
    show_report(report, console())
    raise SystemExit(ALL_GOOD if report.clean else SOME_WRONG)


@main.command()
@settings_flags
def reindex(loaded: Loaded) -> None:
    """Rebuild the whole index from the packs alone. The server must be stopped.

    Exit status 0 when every record could be indexed, 1 when some could not, 2 when the archive cannot be read.
    """
    from huitong import app
    from huitong.cli.report_screen import show_report, with_progress

    _begin(loaded)
    with faults_said():
        report = with_progress("indexing", lambda tell: app.reindex(loaded.settings, tell))
    show_report(report, console())
    raise SystemExit(ALL_GOOD if report.clean else SOME_WRONG)


@main.command("move-store")
@click.option("--to-database", metavar="URL", type=Url(DATABASE_URL), default="", help="PostgreSQL, as in `database`.")
@click.option("--to-blobs", metavar="URL", type=Url(S3_URL), default="", help="Object store, as in `blobs`.")
@click.option("--quick", is_flag=True, help="Do not read back every object from the target.")
@click.option("--cancel", is_flag=True, help="Let the store take objects again, after a move that was killed.")
@settings_flags
def move_store(loaded: Loaded, to_database: str, to_blobs: str, quick: bool, cancel: bool) -> None:
    """Move the store to PostgreSQL, to an object store or to both, while it is being served.

    The settings say where it is; `s3_key_id` and `s3_secret` are for the target. At the end the running server takes
    nothing more and goes on reading; stop it, and start it with the new settings. A move that was broken off is run
    again and goes on.

    Exit status 0 when all is at the target, 1 when it is, but something was damaged before, 2 when it is not.
    """
    from huitong import app
    from huitong.cli.report_screen import show_report, with_progress

    _begin(loaded)
    with faults_said():
        if cancel:
            app.cancel_move(loaded.settings)
            raise SystemExit(ALL_GOOD)
        report = with_progress(
            "moving", lambda tell: app.move_store(loaded.settings, to_database, to_blobs, quick=quick, progress=tell)
        )
    show_report(report, console())
    raise SystemExit(ALL_GOOD if report.clean else SOME_WRONG)


@main.group()
def directory() -> None:
    """Institutions, departments, practitioners, roles, endpoints and quality certificates: load them, show them."""


@directory.command("load")
@click.argument("file", required=True, metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--kind", metavar="KIND", default=None, help="What the CSV file holds, where its headings fit several.")
@click.option("--dry-run", is_flag=True, help="Say what would become of each line, and keep nothing.")
@settings_flags
def load(loaded: Loaded, file: Path, kind: str | None, dry_run: bool) -> None:
    """Take over a CSV file of one kind, or a FHIR bundle. Good lines are kept, every refused one is named.

    CSV in UTF-8 or GB 18030, headings in Chinese or English. A running server knows what is new within two seconds.

    Exit status 0 when all lines are in the directory, 1 when some were refused, 2 when the file cannot be read.
    """
    from huitong import app
    from huitong.cli.directory_screen import show_load
    from huitong.directory.kinds import KINDS

    if kind is not None and kind not in KINDS:
        raise click.BadParameter(f"one of {', '.join(KINDS)}", param_hint="--kind")
    _begin(loaded)
    with faults_said():
        report = app.load_directory(loaded.settings, file.name, file.read_bytes(), kind, dry_run=dry_run)
    show_load(report, console(), dry_run=dry_run)
    raise SystemExit(SOME_WRONG if report.refused else ALL_GOOD)


@directory.command("show")
@settings_flags
def show(loaded: Loaded) -> None:
    """Show the institutions that were loaded, and the last files."""
    from huitong import app
    from huitong.cli.directory_screen import show_institutions

    _begin(loaded)
    with faults_said():
        rows, loads = app.show_directory(loaded.settings)
    show_institutions(rows, loads, console())


@main.command()
@settings_flags
def settings(loaded: Loaded) -> None:
    """Show the settings in force and where each comes from: flag, environment, file or default."""
    console().print(settings_table(loaded))


@main.command()
@click.option(
    "--once", is_flag=True, help="Stop when both hospitals' studies are found; exit status 1 if they are not."
)
@click.option("--scaled", is_flag=True, help="Keep in PostgreSQL and S3, started for the demo, with two servers.")
@settings_flags
def demo(loaded: Loaded, once: bool, scaled: bool) -> None:
    """Start the archive and send it real studies as two hospitals, over C-STORE and over STOW-RS."""
    from huitong.cli.demo import run_demo

    _begin(loaded)
    with faults_said():
        raise SystemExit(run_demo(loaded, once, scaled))


@main.command()
@click.option("--people", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same files.")
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder.")
def simulate(people: int, seed: int, folder: Path) -> None:
    """Write made people and what institutions registered of them, with errors: records.csv, people.csv, truth.csv.

    A million people take a few minutes and 500 MB. Names, regions, twins and error rates, with their sources, are in
    src/huitong/cli/simulate/population.toml. No real person is in it.
    """
    from huitong.cli.simulate import write

    with click.progressbar(length=people, label="people", file=sys.stderr) as bar:
        written = write(folder, people, seed, lambda done: bar.update(done - bar.pos))
    click.echo(f"{written.people:,} people, {written.records:,} records: {folder}")


def _begin(loaded: Loaded) -> None:
    log.configure(loaded.settings.log_format, loaded.settings.log_level)
