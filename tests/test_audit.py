"""What the audit of dependencies makes of the advisory services' answers."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from scripts.audit import ALLOWED, Answer, Finding, judge, of_npm_audit, of_pip_audit, read_allowances

TODAY = date(2026, 11, 26)
FOUND = Answer((Finding("pillow", "1.0", ("PYSEC-1", "CVE-2026-1")),), 3)


def _pip(*rows: dict[str, Any]) -> str:
    return json.dumps({"dependencies": rows, "fixes": []})


def test_what_pip_audit_skips_was_not_asked() -> None:
    rows = [{"name": n, "skip_reason": "Dependency not found on PyPI and could not be audited"} for n in "ab"]
    answer = of_pip_audit(_pip(*rows))
    assert (answer.asked, answer.findings) == (0, ())
    lines, well = judge({"Python": answer}, [], TODAY)
    assert well
    assert lines[-1].startswith("NOTHING WAS AUDITED")
    assert "2 of 2 packages" in lines[0]


def test_a_vulnerability_fails_unless_it_is_borne_and_only_until_its_day() -> None:
    said = _pip(
        {"name": "a", "version": "1", "vulns": []},
        {"name": "Pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"]}]},
    )
    answer = of_pip_audit(said)
    assert (answer.asked, answer.trouble) == (2, "")
    row = '[[allowed]]\nid = "CVE-2026-1"\npackage = "pillow"\nreason = "not reached"\nuntil = 2026-11-{}\n'
    for allowed, well in (("", False), (row.format(26), True), (row.format(25), False)):
        assert judge({"Python": answer}, read_allowances(allowed), TODAY)[1] is well
    assert not judge({"Python": FOUND}, read_allowances(row.format(26).replace("pillow", "other")), TODAY)[1]


def test_npm_names_the_package_that_has_it() -> None:
    report = {
        "auditReportVersion": 2,
        "vulnerabilities": {
            "qs": {"range": "<6.7.3", "via": [{"source": 1, "url": "https://github.com/advisories/GHSA-a-b-c"}]},
            "express": {"range": "<5", "via": ["qs"]},
        },
        "metadata": {"dependencies": {"total": 9}},
    }
    assert of_npm_audit(json.dumps(report)) == Answer((Finding("qs", "<6.7.3", ("GHSA-a-b-c",)),), 9)


@pytest.mark.parametrize(
    "said",
    ["", "npm error network", "{}", '{"message": "405 Method Not Allowed"}', "ConnectionError: no name"],
)
def test_a_service_that_cannot_be_reached_is_said_and_fails_nothing(said: str) -> None:
    for read in (of_npm_audit, of_pip_audit):
        answer = read(said)
        assert answer.asked == 0
        assert answer.trouble
        assert judge({"x": answer}, [], TODAY)[1]


@pytest.mark.parametrize(
    "text",
    [
        '[[allowed]]\nid = "X"\npackage = "p"\nuntil = 2027-01-01',
        '[[allowed]]\nid = "X"\npackage = "p"\nreason = " "\nuntil = 2027-01-01',
        '[[allowed]]\nid = "X"\npackage = "p"\nreason = "r"\nuntil = "later"',
    ],
)
def test_an_allowance_has_a_reason_and_an_end(text: str) -> None:
    with pytest.raises(ValueError, match="allowance 1"):
        read_allowances(text)


def test_our_own_allowances_can_be_read() -> None:
    assert isinstance(read_allowances(ALLOWED.read_text("utf-8")), list)
