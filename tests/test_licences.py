"""That the licence of everything in the lock files goes with Apache-2.0, as its package states it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: By SPDX: what may be used together with Apache-2.0, source files of MPL-2.0 staying under theirs.
GOOD = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("MPL-2.0", "PSF-2.0", "Zlib"),
}
#: What packages wrote before there were SPDX expressions, in their classifiers and their field `License`.
OLD = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD license": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
#: Looked at by a human: why it may be used all the same, or what its package does not say.
LOOKED_AT = {
    "psycopg": "LGPL-3.0-only: used unchanged as a library that anybody may replace; NOTICE says so",
    "psycopg-binary": "LGPL-3.0-only, as psycopg",
    "fhirpy": "MIT, by the LICENSE.md that it carries; its metadata names none",
}


def locked() -> Iterator[str]:
    """Names of requirements.lock."""
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*(?===)", line):
            yield found[0]


def stated(package: metadata.PackageMetadata) -> str:
    """An SPDX expression; empty where the package states nothing."""
    if expression := package.get("License-Expression"):
        return str(expression)
    classified = [each.rpartition(" :: ")[2] for each in package.get_all("Classifier") or []]
    found = [OLD[each] for each in classified if each in OLD]
    return " AND ".join(found) if found else OLD.get(str(package.get("License")), str(package.get("License") or ""))


def goes(expression: str) -> bool:
    """Whether every part of it is good; of two that one may choose from, either."""
    for part in re.sub(r"\(([^()]*)\)", lambda group: "MIT" if goes(group[1]) else "NONE", expression).split(" AND "):
        if not any(each.strip() in GOOD for each in part.split(" OR ")):
            return False
    return True


@pytest.mark.parametrize(
    ("expression", "well"),
    [
        ("MIT", True),
        ("", False),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-only OR BSD-3-Clause", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("MPL-2.0 AND (GPL-3.0-only OR AGPL-3.0-only)", False),
    ],
)
def test_expressions_are_judged(expression: str, well: bool) -> None:
    assert goes(expression) is well


def test_licences_of_python_packages_go_with_apache() -> None:
    names = list(locked())
    assert len(names) > 50
    wrong = []
    for name in names:
        try:
            package = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # of another system or Python
        if not goes(stated(package)) and name not in LOOKED_AT:
            wrong.append(f"{name}: {stated(package) or 'states none'}")
    assert wrong == []


def test_licences_of_npm_packages_go_with_apache() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    rows = {path: each for path, each in packages.items() if path}
    assert rows
    assert [path for path, each in rows.items() if not goes(each.get("license", ""))] == []


def test_what_was_looked_at_is_still_locked() -> None:
    assert set(LOOKED_AT) <= set(locked())
