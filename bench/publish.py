"""What was measured, put into the document that shows it, and the JSON of it kept beside the document.

Each part of the document is made of one file of results. A part that this machine has not measured stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
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
    #: A new file of results has what was asked for alone: the rest stays as it was.
    adds: bool = False

    @property
    def begins(self) -> str:
        return f"<!-- {self.file}: made by `python -m bench report`; text outside of the markers stays -->"

    @property
    def ends(self) -> str:
        return f"<!-- /{self.file} -->"


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
    Part("matching.json", lambda file: measuring.render(_json(file)), adds=True),
)


def publish(measured: Path, document: Path) -> list[Path]:
    """Takes the files of results in the folder `measured` over, and answers with all files that it wrote.

    Raises ValueError where the document has no place for a part.
    """
    kept, images = document.parent / KEPT, document.parent / IMAGES
    text, written = document.read_text("utf-8"), list[Path]()

    def write(file: Path, content: str) -> None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, "utf-8")
        written.append(file)

    for part in PARTS:
        new, file = measured / part.file, kept / part.file
        if new.exists():
            found = (_json(file) if part.adds and file.exists() else {}) | _json(new)
            write(file, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        if file.exists():
            text = report.place(text, part.render(file), part.begins, part.ends)
            for name, svg in part.charts(file).items():
                if svg:
                    write(images / name, svg)
    write(document, text)
    return written
