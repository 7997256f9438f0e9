"""Ask the advisory services about everything in the lock files: `make audit`.

Exit status 1 for a known vulnerability that `audit-allowed.toml` does not bear, or bears no longer. Where a service
cannot be asked, that is said, and is no failure: CI may reach package registries alone. pip-audit calls what it could
not ask about "skipped", and with all of it skipped says that nothing is wrong; here that counts as not asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = ROOT / "audit-allowed.toml"
_PIP_AUDIT = "pip-audit==2.10.1"


@dataclass(frozen=True, slots=True)
class Finding:
    package: str
    version: str
    #: The advisory and its other names.
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said. `trouble` says why it could not be asked, of all or of some."""

    findings: tuple[Finding, ...] = ()
    asked: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A vulnerability that is borne for a time, because of its reason."""

    id: str
    package: str
    reason: str
    until: date


def read_allowances(text: str) -> list[Allowance]:
    """Raises ValueError naming what is wrong: an allowance without reason or end is none."""
    found = []
    for number, row in enumerate(tomllib.loads(text).get("allowed", []), 1):
        complete = set(row) == {"id", "package", "reason", "until"} and isinstance(row["until"], date)
        if not complete or not str(row["reason"]).strip():
            raise ValueError(f"allowance {number} needs id, package, reason and until (a date), and nothing else")
        found.append(Allowance(row["id"], row["package"], row["reason"], row["until"]))
    return found


def of_pip_audit(said: str) -> Answer:
    """Of its JSON."""
    try:
        rows = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer(trouble=_last_line(said))
    skipped = [row for row in rows if "skip_reason" in row]
    asked = [row for row in rows if "skip_reason" not in row]
    found = tuple(
        Finding(row["name"], row["version"], (each["id"], *each.get("aliases", ())))
        for row in asked
        for each in row["vulns"]
    )
    trouble = f"{len(skipped)} of {len(rows)} packages, as {skipped[0]['name']}" if skipped else ""
    return Answer(found, len(asked), trouble)


def of_npm_audit(said: str) -> Answer:
    """Of its JSON (auditReportVersion 2)."""
    try:
        report: dict[str, Any] = json.loads(said)
    except ValueError:
        return Answer(trouble=_last_line(said))
    if "vulnerabilities" not in report:
        return Answer(trouble=str(report.get("message") or report.get("error") or "no report")[:200])
    found = []
    for name, row in report["vulnerabilities"].items():
        for via in row["via"]:
            if isinstance(via, dict):  # a text names another package, which has its own row
                ids = (str(via.get("url", "")).rpartition("/")[2] or str(via.get("source", "")),)
                found.append(Finding(name, str(row.get("range", "")), ids))
    return Answer(tuple(found), report["metadata"]["dependencies"]["total"])


def judge(answers: dict[str, Answer], allowed: list[Allowance], today: date) -> tuple[list[str], bool]:
    """Lines to show, and whether all is well."""
    lines, well = [], True
    borne = {(each.package.lower(), each.id): each for each in allowed}
    for source, answer in answers.items():
        if answer.trouble:
            lines.append(f"{source}: could not be asked about {answer.trouble}")
        if answer.asked:
            lines.append(f"{source}: {answer.asked} packages, {len(answer.findings)} known vulnerabilities")
        for finding in answer.findings:
            said = f"{finding.package} {finding.version}: {', '.join(finding.ids)}"
            allowance = next((a for i in finding.ids if (a := borne.get((finding.package.lower(), i)))), None)
            if allowance is None:
                lines.append(f"  VULNERABLE {said}")
                well = False
            elif allowance.until < today:
                lines.append(f"  VULNERABLE {said}: was borne until {allowance.until}: {allowance.reason}")
                well = False
            else:
                lines.append(f"  borne until {allowance.until} {said}: {allowance.reason}")
    if not any(answer.asked for answer in answers.values()):
        lines.append("NOTHING WAS AUDITED: no advisory service could be reached from here")
    return lines, well


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["nothing was said"])[-1][:200]


def _asked() -> Iterator[tuple[str, Answer]]:
    yield "Python (requirements.lock)", _ask_pip_audit()
    done = _run(["npm", "audit", "--json"])
    yield "npm (package-lock.json)", of_npm_audit(done.stdout or done.stderr)


def _ask_pip_audit() -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tools = Path(folder) / "bin"
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
        installed = _run([str(tools / "pip"), "install", *quiet, _PIP_AUDIT])
        if installed.returncode:
            return Answer(trouble=f"anything: {_last_line(installed.stderr)}")
        lock = ("-r", "requirements.lock", "--disable-pip", "--no-deps", "--progress-spinner", "off", "-f", "json")
        done = _run([str(tools / "pip-audit"), *lock])
        return of_pip_audit(done.stdout or done.stderr)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return subprocess.CompletedProcess(command, 1, "", f"{type(e).__name__}: {e}")


def main() -> int:
    allowed = read_allowances(ALLOWED.read_text("utf-8"))
    lines, well = judge(dict(_asked()), allowed, datetime.now(UTC).date())
    print("\n".join(lines))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
