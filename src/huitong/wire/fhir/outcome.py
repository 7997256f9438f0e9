"""Errors as OperationOutcome (FHIR R4 2.33), from the table of `base.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huitong.base.errors import HuitongError, answer_for
from huitong.wire.fhir.resources import Resource, filled
from huitong.wire.problem import problem_of


@dataclass(frozen=True, slots=True)
class Issue:
    """`severity` and `code` per value sets issue-severity and issue-type; `text` is for people."""

    severity: str
    code: str
    text: str
    diagnostics: str = ""


def outcome(issues: Sequence[Issue]) -> Resource:
    """The resource."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            filled({"severity": i.severity, "code": i.code, "details": {"text": i.text}, "diagnostics": i.diagnostics})
            for i in issues
        ],
    }


def outcome_of(error: BaseException) -> tuple[int, Resource]:
    """HTTP status and resource of an error; a stranger's exception tells nothing of our insides."""
    problem = problem_of(error)
    severity = "fatal" if problem.status >= 500 else "error"
    detail = problem.detail if isinstance(error, HuitongError) else ""
    return problem.status, outcome([Issue(severity, answer_for(error).fhir, problem.title, detail)])
