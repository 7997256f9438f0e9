"""The rules by their worked cases, which registrars read (cases.toml), and what must hold of any pair."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.people import weighing
from huitong.people.model import Demographics, Evidence
from huitong.people.rules import RULES, Decision, Pair, decide

CASES = tomllib.loads(files("huitong.people").joinpath("cases.toml").read_text("utf-8"))["case"]


def known(fields: dict[str, Any]) -> Demographics:
    lists = {name: tuple(map(_tuple, value)) for name, value in fields.items() if isinstance(value, list)}
    return Demographics(**{**fields, **lists})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def pair(a: Demographics, b: Demographics, merged: bool = False) -> Pair:
    return Pair(a, b, merged, weighing.weigh(a, b))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rule']}: {case['title']}" for case in CASES])
def test_each_case_is_decided_as_it_says_both_ways_round(case: dict[str, Any]) -> None:
    a, b = known(case["a"]), known(case["b"])
    for one, other in ((a, b), (b, a)):
        verdict = decide(pair(one, other, case.get("merged", False)))
        assert (verdict.evidence.rule, verdict.decision.value) == (case["rule"], case["says"])


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert {case["rule"] for case in CASES} == {rule.name for rule in RULES}


REGISTRATIONS = st.builds(
    Demographics,
    names=st.lists(
        st.sampled_from(["李^明", "李^鸣", "王^芳", "Li^Ming", "ÍõÐ¡Ã÷", "??", "王芳之子"]), max_size=2
    ).map(tuple),
    sex=st.sampled_from(["M", "F", "O", ""]),
    birth_date=st.sampled_from(["19491231", "20171225", ""]),
    phones=st.sampled_from([(), ("13903510001",)]),
    address=st.sampled_from(["", "太原市迎泽区新建路12号3单元501"]),
    mother_name=st.sampled_from(["", "刘^敏"]),
    mother_certificates=st.sampled_from([(), (("GB11643", "440524188001010014"),)]),
    birth_order=st.sampled_from([None, 1, 2]),
    certificates=st.sampled_from([
        (), (("GB11643", "11010519491231002X"),), (("GB11643", "11010020171225006X"),), (("passport", "E12345678"),),
        (("GB11643", "11010519491231002X"), ("passport", "E12345678")),
    ]),
)  # fmt: skip


@given(REGISTRATIONS, REGISTRATIONS)
def test_who_is_asked_first_makes_no_difference(a: Demographics, b: Demographics) -> None:
    one, other = decide(pair(a, b)), decide(pair(b, a))
    assert (one.decision, one.evidence.rule) == (other.decision, other.evidence.rule)


@given(REGISTRATIONS, REGISTRATIONS)
def test_what_a_fact_contradicts_is_never_joined(a: Demographics, b: Demographics) -> None:
    """Not even by a score that has no doubt."""
    sure = Evidence("score", 1.0, 99.0)
    found = Pair(a, b, weighed=weighing.Weighed(sure, 0.9, 0.5))
    twins = (found.twin_like or found.twin_or_misspelt) and not found.shared
    if found.contradicted or (found.other_order and found.one_roof and not found.birth_differs):
        assert decide(found).decision is not Decision.JOIN
    if twins and not (found.same_mother_certificate and found.same_order and not found.sex_differs):
        assert decide(found).decision is not Decision.JOIN


def test_without_a_score_certificates_decide_alone() -> None:
    certified = Demographics(names=("李^明",), certificates=(("GB11643", "11010519491231002X"),))
    assert decide(Pair(certified, certified)).decision is Decision.JOIN
    assert decide(Pair(Demographics(names=("李^明",)), certified)).decision is Decision.APART
