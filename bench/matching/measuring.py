"""`python -m bench matching`: its parts one after the other; each writes what it found into one file of results."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import procs
from bench.matching import lookup, population
from huitong.people.comparing import MODEL_FILE

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "run" / "matching-venv"
MODEL = ROOT / "src" / "huitong" / "people" / MODEL_FILE
HOMES = lookup.HOMES
PARTS = ("train", "febrl", "population", "lookup")


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    parts: tuple[str, ...] = ("febrl", "population", "lookup")
    people: int = 1_000_000
    sizes: tuple[int, ...] = lookup.SIZES
    homes: tuple[str, ...] = lookup.HOMES
    asked: int = 2000


def run(options: Options, say: Callable[[str], None], file: Path) -> dict[str, Any]:
    """The results, those of earlier runs for parts that are not asked for now."""
    results: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for part in options.parts:
        found = _PARTS[part](options, say)
        if found is not None:
            about = {"date": datetime.now(UTC).date().isoformat(), **procs.machine()}
            # Populations of several sizes stand beside each other.
            results[f"{part} {options.people}" if part == "population" else part] = {"about": about, "found": found}
            file.write_text(json.dumps(results, ensure_ascii=False, indent=1), "utf-8")
    return results


def _in_venv(module: str, *arguments: str) -> None:
    """Splink and recordlinkage are no part of Huitong's own environment."""
    subprocess.run([str(Path(__file__).with_name("setup")), str(VENV)], check=True)
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([str(VENV / "bin" / "python"), "-m", module, *arguments], check=True, env=environment, cwd=ROOT)


def _train(_options: Options, say: Callable[[str], None]) -> None:
    """Leaves the new model in the place of the one that was kept. Raises SystemExit where it is not the same."""
    say("training")
    kept = MODEL.read_text("utf-8")
    _in_venv("bench.matching.train")
    made = MODEL.read_text("utf-8")
    if made != kept:
        told = differences(json.loads(kept), json.loads(made)) or ["the same values, written otherwise"]
        raise SystemExit("\n".join([f"training: {MODEL.relative_to(ROOT)} is another now", *told]))
    say("training: the same model again, byte for byte")


def differences(kept: Any, made: Any, path: str = "") -> list[str]:
    """What differs between two values of JSON, as `path: kept -> made`."""
    if isinstance(kept, dict) and isinstance(made, dict):
        pairs = ((f"{path}/{key}", kept.get(key), made.get(key)) for key in sorted({*kept, *made}))
    elif isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        pairs = ((f"{path}/{at}", *both) for at, both in enumerate(zip(kept, made, strict=True)))
    else:
        return [] if kept == made else [f"{path}: {kept} -> {made}"]
    return [line for where, one, other in pairs for line in differences(one, other, where)]


def _febrl(options: Options, say: Callable[[str], None]) -> Any:
    say("FEBRL 1 to 4")
    out = options.folder / "febrl.json"
    _in_venv("bench.matching.febrl", str(out))
    return json.loads(out.read_text("utf-8"))


def _population(options: Options, say: Callable[[str], None]) -> Any:
    found = population.run(options.people, population.SEED, say)
    return {**asdict(found), "precision": found.precision, "recall": found.recall}


def _lookup(options: Options, say: Callable[[str], None]) -> Any:
    return lookup.run(options.folder, options.homes, options.sizes, options.asked, say)


_PARTS: Mapping[str, Callable[[Options, Callable[[str], None]], Any]] = {
    "train": _train, "febrl": _febrl, "population": _population, "lookup": _lookup,
}  # fmt: skip


# --- Markdown ---


def render(results: Mapping[str, Any]) -> str:
    """The tables of the document."""
    sizes = sorted(int(part.partition(" ")[2]) for part in results if part.startswith("population "))
    pieces: dict[str, Callable[[Any], list[str]]] = {
        "febrl": _febrl_table,
        **{f"population {size}": _population_table for size in sizes},
        "lookup": _lookup_table,
    }
    lines: list[str] = []
    for part, lines_of in pieces.items():
        if part in results:
            about = results[part]["about"]
            lines += [*lines_of(results[part]["found"]), ""]
            lines += [f"{about['date']}; {about['cpu']}, {about['memory']}.", ""]
    return "\n".join(lines)


def _febrl_table(found: Mapping[str, Any]) -> list[str]:
    versions = found["versions"]
    named = (("splink", "Splink"), ("recordlinkage", "recordlinkage"))
    others = {name: f"{title} {versions[name]}" for name, title in named}
    titles = {"ours": "Huitong", **others}
    lines = ["### FEBRL", "", "Precision / recall / F1; the target is an F1 of 0.99.", ""]
    lines.append("| set | records | true pairs | " + " | ".join(titles.values()) + " |")
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(titles))
    return [*lines, *(_febrl_row(name, row, titles) for name, row in found["sets"].items())]


def _febrl_row(name: str, row: Mapping[str, Any], ways: Iterable[str]) -> str:
    cells = [" / ".join(f"{row[way][what]:.4f}" for what in ("precision", "recall", "f1")) for way in ways]
    return f"| {name} | {row['records']:,} | {row['pairs']:,} | " + " | ".join(cells) + " |"


def _population_table(found: Mapping[str, Any]) -> list[str]:
    true = found["true"]
    lines = [
        f"### {found['people']:,} made people, {found['records']:,} records", "",
        "| pairs of records | | |", "| --- | ---: | --- |",
        f"| of one person | {true:,} | |",
        f"| of these, share a key | {found['reached']:,} | {found['reached'] / true:.4f} |",
        f"| joined by the score (recall) | {found['joined']:,} | {found['recall']:.4f} |",
        f"| joined, if only by way of a third | {found['joined_by_way']:,} | {found['joined_by_way'] / true:.4f} |",
        f"| a human is asked | {found['asked']:,} | {found['asked'] / true:.4f} |",
        *_doubted(found),
        f"| of two people: joined (precision) | {found['false_count']:,} | {found['precision']:.6f} |",
        f"| of two people: a human is asked | {found['asked_falsely']:,} | |",
    ]  # fmt: skip
    for kind, counts in found["hard"].items():
        each = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        lines.append(f"| {kind}, compared | {sum(counts.values()):,} | {each} |")
    lines += ["", f"{found['keys_each']:.1f} keys a record; {found['candidates']:,} pairs compared; "]
    lines += [f"{found['keys_passed_over']} keys of more than {population.MOST_OF_A_KEY} records passed over.", ""]
    told = [f"* {kind}, {bits} bits: `{a}` and `{b}`" for kind, a, b, bits in found["false_joins"]]
    return [
        *lines,
        "False joins, by the weights alone:" if told else "False joins: none.",
        *([""] if told else []),
        *told,
    ]


def _doubted(found: Mapping[str, Any]) -> list[str]:
    """Of results that have it: joins of a pair that the other records of one certificate turn into questions."""
    if "doubted" not in found:
        return []
    right, false = found["doubted"], found["doubted_falsely"]
    shown = f"{right:,} | {right / found['true']:.4f}; of two people {false:,}"
    return [f"| of these, as another record may be a twin's | {shown} |"]


def _lookup_table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["### Looking a person up", ""]
    lines.append("| people | database | p50 ms | p99 ms | CPU ms | candidates, mean and most | found |")
    lines.append("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    return [
        *lines,
        *(
            f"| {row['people']:,} | {row['home']} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['cpu_ms']:.2f}"
            f" | {row['candidates']:.1f}, {row['most_candidates']} | {row['found']:.2%} |"
            for row in found
        ),
    ]
