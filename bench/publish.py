"""What was measured, put into the document that shows it, and the JSON of it kept beside the document.

Each part of the document is made of one file of results. A part that this machine has not measured stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report, report_growth, report_ohif
from bench.growth import Grown
from bench.matching import measuring
from bench.ohif import Seen
from bench.run import Results

#: Beside the document: the results, and the charts.
KEPT, IMAGES = "benchmarks", "images"


def _text_alone(_file: Path) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Part:
    """`render` and `charts` read the file of results; charts are SVG by file name."""

    file: str
    render: Callable[[Path], str]
    charts: Callable[[Path], dict[str, str]] = _text_alone

    @property
    def begins(self) -> str:
        return f"<!-- {self.file}: made by `python -m bench report`; text outside of the markers stays -->"

    @property
    def ends(self) -> str:
        return f"<!-- /{self.file} -->"


def _matching(file: Path) -> str:
    return measuring.render(_json(file))


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


PARTS = (
    Part(
        "results.json",
        lambda file: report.render(Results.read(file)),
        lambda file: {"beside-orthanc.svg": report.chart(Results.read(file))},
    ),
    Part("ohif.json", lambda file: report_ohif.render(Seen.read(file))),
    Part(
        "growth.json",
        lambda file: report_growth.render(Grown.read(file)),
        lambda file: report_growth.charts(Grown.read(file)),
    ),
    Part("matching.json", _matching),
)


def publish(measured: Path, document: Path) -> Iterator[Path]:
    """Takes the files of results in the folder `measured` over, and answers with all files that it wrote.

    Raises ValueError where the document has no place for a part.
    """
    kept, text = document.parent / KEPT, document.read_text("utf-8")
    for part in PARTS:
        new, file = measured / part.file, kept / part.file
        if new.exists():
            kept.mkdir(exist_ok=True)
            file.write_text(_taken_over(part, new, file), "utf-8")
            yield file
        if file.exists():
            text = report.place(text, part.render(file), part.begins, part.ends)
            for name, svg in part.charts(file).items():
                if svg:
                    (document.parent / IMAGES).mkdir(exist_ok=True)
                    (document.parent / IMAGES / name).write_text(svg, "utf-8")
                    yield document.parent / IMAGES / name
    document.write_text(text, "utf-8")
    yield document


def _taken_over(part: Part, new: Path, old: Path) -> str:
    """The new results, a row a line; of matching those of earlier runs for what was not asked for."""
    found = _json(new)
    if part.render is _matching and old.exists():
        found = _json(old) | found
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
