from __future__ import annotations

import json

from huitong.base.errors import NotFound, StoreFull
from huitong.wire.problem import problem_of


def test_an_error_says_what_it_is_and_where() -> None:
    problem = problem_of(NotFound("study 1.2.3"))
    assert problem.status == 404
    assert json.loads(problem.document("/dicom-web/studies/1.2.3")) == {
        "type": "urn:huitong:problem:not-found",
        "title": "There is no such thing here.",
        "status": 404,
        "detail": "study 1.2.3",
        "instance": "/dicom-web/studies/1.2.3",
    }


def test_the_operators_hint_goes_with_it() -> None:
    assert json.loads(problem_of(StoreFull()).document())["hint"] == StoreFull.hint


def test_a_stranger_tells_nothing_of_our_insides() -> None:
    problem = problem_of(KeyError("/var/lib/secret"))
    assert problem.status == 500
    assert b"secret" not in problem.document()
