"""Tables and charts of growing and viewing say what was measured, and judge it only where it can be judged."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from bench.charts import Bar, bars, curves
from bench.growth import QUESTIONS, SENDINGS, Grown
from bench.measure import Row
from bench.ohif import Opened, Seen

from bench import report_growth, report_ohif

ROW = Row("", "huitong", 1, 0, 100, 0.5, 200.0, 4e6, 2.0, 3.0, 1.5, 0.5, 0.2, 0.01, 120.0, 0, [], 4, 4)
OPENED = Opened("huitong", 2000.0, 300.0, 5000.0, 3300.0, 60.0, 400.0, 20.0, 7, 150.0)


def _grown(*p95_of_sizes: tuple[int, float]) -> Grown:
    about = {"date": "2026-03-17", "cpu": "2 cores", "memory": "24 GiB", "filesystem": "ext4", "seconds": 3.0}
    rows = [
        {"home": "sqlite", "version": "Huitong 0.1", "studies": size}
        | replace(ROW, scenario=one.name, p95_ms=p95_ms).as_dict()
        for size, p95_ms in p95_of_sizes
        for one in [*QUESTIONS, *SENDINGS]
    ]
    return Grown({**about, "instances": 400}, rows, [{"home": "sqlite", "studies": 10_000, "disk_bytes": 5e7}])


def _line(text: str, begin: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {begin}"))


def test_growth_is_judged_between_ten_thousand_and_ten_million() -> None:
    text = report_growth.render(_grown((10_000, 3.0), (10_000_000, 5.4)))
    assert "### Growing, on SQLite" in text
    assert "PostgreSQL" not in text
    assert _line(text, "patient number").endswith("| 2.00 / 3.00 | 2.00 / 5.40 | **1.80** | ≤ 2 × ✓ |")
    assert _line(text, "part of a name, in hanzi").endswith("| **1.80** |  |")
    assert _line(text, "all of these").endswith("| 200/s | 200/s |  |  |")
    assert _line(text, "C-STORE of CT").endswith("| 200/s, 2.00 CPU ms | 200/s, 2.00 CPU ms |  |  |")
    assert _line(text, "on disk").endswith("| 0.05 |  |  |  |")
    assert "≤ 2 × ✗" in report_growth.render(_grown((10_000, 3.0), (10_000_000, 6.3)))


def test_growth_that_was_not_measured_to_the_end_is_not_judged() -> None:
    grown = _grown((10_000, 3.0), (10_000_000, 5.4))
    del grown.rows[-1]
    text = report_growth.render(grown)
    assert "10,000,000" not in text
    grown = _grown((10_000, 3.0), (100_000, 5.4))
    assert _line(report_growth.render(grown), "patient number").endswith("|  | ≤ 2 × ? |")


def test_a_wrong_answer_is_said_at_its_size() -> None:
    grown = _grown((10_000, 3.0), (10_000_000, 5.4))
    grown.rows[0] |= {"right": 3, "notes": ["GET /x: other studies"]}
    text = report_growth.render(grown)
    assert "wrong (2.00 / 3.00)" in _line(text, "patient number")
    assert "**" not in _line(text, "patient number")
    assert "* GET /x: other studies" in text


def test_opening_is_compared_with_orthanc_behind_nginx() -> None:
    about = {
        "date": "2026-03-17", "cpu": "2 cores", "memory": "24 GiB", "slices": 500, "rounds": 2,
        "versions": {"huitong": "Huitong 0.1"},
        "titles": {"huitong": "Huitong", "orthanc-nginx": "Orthanc behind nginx"},
    }  # fmt: skip
    slow = replace(OPENED, who="orthanc-nginx", first_image_ms=5000.0, asked_first_image_ms=1200.0, server_ms=700.0)
    seen = Seen(about, [OPENED, slow, replace(OPENED, first_image_ms=2200.0), slow])
    text = report_ohif.render(seen)
    assert _line(text, "first picture").endswith("| 2,100 | 5,000 | **2.38** | ≤ 1/3 ✗ |")
    assert _line(text, "the same, since the viewer's first question to").endswith(
        "| 300 | 1,200 | **4.00** | ≤ 1/3 ✓ |"
    )
    assert _line(text, "questions that led").endswith("| **35.0** | ≤ 100 ms ✓ |")
    seen.rows[1] = replace(slow, faults=["slice 0 is not the one that was sent"])
    text = report_ohif.render(seen)
    assert _line(text, "first picture").endswith("|  | ≤ 1/3 ? |")
    assert "* Orthanc behind nginx: slice 0 is not the one that was sent" in text


def test_charts_are_drawn_within_their_paper() -> None:
    names = [f"search <{number}>" for number in range(7)]
    drawn = [
        curves("Growing & searching", "ms", {name: [(1e3, 2.0), (1e7, 2.0 + at / 9)] for at, name in enumerate(names)}),
        bars("Times faster", "marks", [Bar("sending", 0.5, 4.0), Bar("looking", 500.0, 300.0), Bar("other", 1.0)]),
    ]
    for svg in drawn:
        root = ElementTree.fromstring(svg)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for each in root.iter():
            for name, most in (
                ("x", width),
                ("x1", width),
                ("x2", width),
                ("y", height),
                ("y1", height),
                ("y2", height),
            ):
                assert 0 <= float(each.attrib.get(name, 0)) <= most
    labels = [
        float(each.attrib["y"]) for each in ElementTree.fromstring(drawn[0]).iter() if "search <" in (each.text or "")
    ]
    assert len(labels) == 7
    assert all(later - earlier >= 16 for earlier, later in zip(sorted(labels), sorted(labels)[1:], strict=False))


def test_charts_of_growth_are_named_by_their_database() -> None:
    assert list(report_growth.charts(_grown((10_000, 3.0), (100_000, 5.4)))) == ["growth-sqlite.svg"]
    assert report_growth.charts(_grown((10_000, 3.0))) == {}
