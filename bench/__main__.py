"""`python -m bench`: measure, report, profile."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from bench import access as deciding
from bench import audit_rate, profiling
from bench import costs as costing
from bench import growth as growing
from bench import ohif as viewing
from bench.growth import HOMES, SIZES
from bench.matching import measuring
from bench.publish import publish
from bench.report import render
from bench.run import Options, Run
from bench.scenarios import GROUPS, NAMES
from bench.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
FOLDER = ROOT / "run" / "bench"
_QUICK = {"rounds": 1, "seconds": 1.0, "instances": 40, "series": 2, "studies": 2000, "base_slices": 4}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options)}
_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


def _listed(_context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """The parts of a list: names of targets, or beginnings of groups and scenarios."""
    known = list(TARGETS) if parameter.name == "targets" else [*GROUPS, *NAMES]
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        fits = part in TARGETS if parameter.name == "targets" else any(name.startswith(part) for name in known)
        if not fits:
            raise click.BadParameter(f"{part!r} is none of {', '.join(known)}")
    return parts


def _size(name: str, about: str) -> click.Option:
    default = _DEFAULTS[name]
    kind = click.FloatRange(min=0, min_open=True) if isinstance(default, float) else click.IntRange(min=1)
    return click.Option([f"--{name}"], type=kind, help=f"{about}  [{default:g}]")


def say(line: str) -> None:
    click.echo(line, err=True)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    default="",
    callback=_listed,
    metavar="LIST",
    help="Groups or scenarios, or how these begin, separated by commas.",
)
@click.option(
    "--targets",
    default=",".join(TARGETS),
    callback=_listed,
    show_default=True,
    metavar="LIST",
    help="What to measure; ratios are of the first over the second.",
)
@click.option("--quick", is_flag=True, help="Small and short: shows that everything works; its figures mean nothing.")
@click.option("--keep", is_flag=True, help="Keep the archives filled for searching; the next run uses them.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run with the same options stopped.")
@click.option(
    "--dir",
    "folder",
    type=_FOLDER,
    default=FOLDER,
    show_default="run/bench",
    help="Where all data go: about 12 GB, on a real disk.",
)
@click.option("--out", type=_FILE, help="File of results.  [results.json in --dir]")
@click.pass_context
def main(
    context: click.Context,
    /,
    only: tuple[str, ...],
    targets: tuple[str, ...],
    quick: bool,
    keep: bool,
    resume: bool,
    folder: Path,
    out: Path | None,
    **sizes: float | None,
) -> None:
    """Measure Huitong beside Orthanc and nginx, where these are installed, on this machine, in one run.

    Prints tables; `python -m bench report` puts them into docs/benchmarks.md. Exit status 1 when an answer of Huitong
    was wrong.
    """
    if context.invoked_subcommand is not None:
        return
    chosen = (_QUICK if quick else {}) | {name: value for name, value in sizes.items() if value is not None}
    options = Options(folder=folder.resolve(), targets=targets, only=only, keep=keep, **chosen)  # type: ignore[arg-type]
    options.folder.mkdir(parents=True, exist_ok=True)
    file = out or options.folder / "results.json"
    run = Run(options, say, file)
    if resume:
        run.go_on()
    results = run.results
    results.about["command"] = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    run.run()
    file.write_text(results.as_json(), "utf-8")
    click.echo(render(results))
    say(f"results: {file}")
    if any(row.faults or row.right != row.checked for row in results.rows if row.target == "huitong"):
        raise SystemExit(1)


main.params[3:3] = [
    _size("rounds", "Rounds, of which medians are taken."),
    _size("seconds", "Of asking, for each scenario, target and round."),
    _size("instances", "Slices sent for each scenario, to each target, in each round."),
    _size("series", "Series of 100 slices that are retrieved from."),
    _size("studies", "Studies that are searched in."),
]


@main.command()
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
@click.option("--document", type=_FILE, default=DOCUMENT, show_default="docs/benchmarks.md")
def report(folder: Path, document: Path) -> None:
    """Put tables and charts of what was measured into docs/benchmarks.md, and keep its JSON in docs/benchmarks/."""
    click.echo(f"written: {', '.join(map(str, publish(folder, document)))}")


def _numbers(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(float(part)) for part in text.split(","))
    except ValueError as e:
        raise click.BadParameter(f"{text!r} is no list of numbers") from e


@main.command()
@click.option(
    "--sizes",
    default=",".join(map(str, SIZES)),
    callback=_numbers,
    show_default=True,
    metavar="LIST",
    help="Studies, separated by commas; 1e7 does as well.",
)
@click.option("--home", "homes", multiple=True, type=click.Choice(list(HOMES)), help="The database.  [all]")
@click.option("--seconds", type=float, default=3.0, show_default=True, help="Of asking, for each search and size.")
@click.option("--instances", type=int, default=400, show_default=True, help="Sent at each size, of each kind.")
@click.option("--keep", is_flag=True, help="Keep the largest archive.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def growth(folder: Path, homes: tuple[str, ...], **chosen: Any) -> None:
    """Search in an archive and send to it while it grows; what was measured stays, so it may be stopped and run again.

    Ten million studies take about half an hour to write and 30 GB in SQLite, 50 GB in PostgreSQL, one after the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = growing.Options(folder=folder.resolve(), homes=homes or tuple(HOMES), **chosen)
    growing.Growth(options, say, folder / "growth.json").run()


@main.command()
@click.option("--slices", type=click.IntRange(min=20), default=500, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Openings that count.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def ohif(folder: Path, **chosen: int) -> None:
    """Open a CT of 500 slices in OHIF, from Huitong and from Orthanc, in a headless Chromium."""
    if missing := viewing.missing():
        raise click.ClickException(missing)
    folder.mkdir(parents=True, exist_ok=True)
    viewing.run(viewing.Options(folder=folder.resolve(), **chosen), say, folder / "ohif.json")


@main.command()
@click.option("--studies", type=click.IntRange(min=1), default=5, show_default=True, help="Of 100 slices, each way.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def costs(folder: Path, studies: int) -> None:
    """What a study costs on either home: rows, bytes, requests to the object store, CPU time (docs/scale.md)."""
    folder.mkdir(parents=True, exist_ok=True)
    costing.run(folder.resolve(), studies, say, folder / "costs.json")


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seconds", type=float, default=3.0, show_default=True, help="Of asking, each way and round.")
@click.option("--series", type=click.IntRange(min=1), default=6, show_default=True, help="Of 100 slices.")
@click.option(
    "--header",
    default=deciding.HEADER,
    show_default=True,
    help="What shows who asks, as `Cookie: huitong_session=...`.",
)
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def access(folder: Path, **chosen: Any) -> None:
    """What access costs: WADO and QIDO by somebody whom the policy decides about, over an address in `readers`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = deciding.run(deciding.Options(folder.resolve(), **chosen), say, folder / "access.json")
    click.echo(deciding.table(rows))
    if any(row["wrong"] for row in rows):
        raise SystemExit(1)


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seconds", type=float, default=2.0, show_default=True, help="Of writing, each way and round.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def audit(folder: Path, **chosen: Any) -> None:
    """How many lines of the audit a second, of 1, 8 and 32 askers: each a transaction of its own, and together."""
    folder.mkdir(parents=True, exist_ok=True)
    results = audit_rate.run(audit_rate.Options(folder.resolve(), **chosen), say, folder / "audit.json")
    click.echo(audit_rate.table(results["rows"]))


@main.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(measuring.PARTS), help="[all but train]")
@click.option("--people", type=click.IntRange(min=100), default=1_000_000, show_default=True, help="Matched with all.")
@click.option(
    "--sizes",
    default="1e5,1e6,1e7",
    callback=_numbers,
    show_default=True,
    metavar="LIST",
    help="People looked up among.",
)
@click.option("--home", "homes", multiple=True, type=click.Choice(measuring.HOMES), help="The database.  [all]")
@click.option("--asked", type=click.IntRange(min=100), default=2000, show_default=True, help="Look-ups timed.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def matching(folder: Path, parts: tuple[str, ...], homes: tuple[str, ...], **chosen: Any) -> None:
    """Match people: FEBRL beside Splink and recordlinkage, a made population, the look-up; `--part train` trains anew.

    Training fails where the model is not the same again, and tells which values are others.
    Splink and recordlinkage go into run/matching-venv. A million people take about a quarter of an hour of one
    processor; a look-up among ten million an hour to fill and up to 20 GB, on one database after the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    given = {"parts": parts, "homes": homes}
    options = measuring.Options(folder.resolve(), **chosen, **{name: value for name, value in given.items() if value})
    click.echo(measuring.render(measuring.run(options, say, folder / "matching.json")))


@main.command()
@click.argument("scenario", type=click.Choice(NAMES))
@click.option("--clients", type=int, default=4, show_default=True, help="Of its variants, the one with so many.")
@click.option("--seconds", type=float, default=10.0, show_default=True)
@click.option("--studies", type=int, default=5000, show_default=True, help="Studies that are searched in.")
@click.option("--dir", "folder", type=_FOLDER, default=FOLDER, show_default="run/bench")
def profile(scenario: str, clients: int, seconds: float, studies: int, folder: Path) -> None:
    """Sample Huitong with py-spy while SCENARIO runs; say by room and function where its time goes."""
    if missing := profiling.missing():
        raise click.ClickException(missing)
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(folder=folder.resolve(), seconds=seconds, studies=studies, series=4)
    click.echo(profiling.profile(scenario, clients, options, say))


if __name__ == "__main__":
    main(prog_name="python -m bench")
