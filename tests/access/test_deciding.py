"""The policy by its worked cases (cases.toml), which lawyers read, and what must hold of any asker."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.access.deciding import RULES, WHO, Action, Decision, Fact, Subject, decide, read_policy
from huitong.access.model import Asker, Kind, Role
from huitong.catalog.access import SENSITIVE

CASES = tomllib.loads(files("huitong.access").joinpath("cases.toml").read_text("utf-8"))["case"]
HERE, THERE = "YUNCHENG", "TAIYUAN"


def asker(who: str, *, by_token: bool = False) -> Asker:
    """A doctor, a system …, of HERE where they are of an institution; a system perhaps with an access token."""
    if who in set(Role):
        return Asker(Kind.STAFF, who, institution=HERE, roles=frozenset({Role(who)}))
    session = "token" if by_token else ""
    return Asker(Kind(who), who, institution=HERE if who == "system" else None, session=session)


def subject(case: dict[str, Any]) -> Subject:
    facts = frozenset(map(Fact, case.get("facts", ())))
    classes = [frozenset(case.get(name, ())) for name in ("sensitive", "consented")]
    return Subject("study", HERE if case["subject"] == "here" else THERE, "", facts, *classes)


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_each_case_is_decided_as_it_says(case: dict[str, Any]) -> None:
    found = decide(asker(case["asker"], by_token=case.get("token", False)), Action(case["action"]), subject(case))
    assert (found.allowed, found.rule) == ("says" in case, case.get("says", case.get("refused")))
    assert set(case.get("sensitive", ())) <= set(SENSITIVE)


def test_every_rule_has_a_case_and_every_action_an_allowed_and_a_refused_one() -> None:
    assert {case.get("says", case.get("refused")) for case in CASES} == {rule.name for rule in RULES} | {"none"}
    assert {case["asker"] for case in CASES} == WHO
    exempt = {"directory.see", "card.see", "card.count", "rights.see", "people.send", "card.show"}
    for action in {action.value for action in Action} - exempt:
        of_action = [case for case in CASES if case["action"] == action]
        assert {"says" in case for case in of_action} == {True, False}, action


ASKERS = st.builds(
    lambda kind, roles, own: Asker(kind, "x", institution=HERE if own else None, roles=frozenset(roles)),
    st.sampled_from(Kind),
    st.sets(st.sampled_from(Role)),
    st.booleans(),
)
SUBJECTS = st.builds(
    Subject,
    st.just("study"),
    st.sampled_from([HERE, THERE, ""]),
    st.just(""),
    st.frozensets(st.sampled_from(Fact)),
    st.frozensets(st.sampled_from(sorted(SENSITIVE))),
    st.frozensets(st.sampled_from(sorted(SENSITIVE))),
)


@given(ASKERS, SUBJECTS)
def test_nobody_of_an_institution_sees_anothers_study_without_a_relation(who: Asker, what: Subject) -> None:
    found = decide(who, Action.SEE_STUDY, what)
    if who.kind in (Kind.STAFF, Kind.SYSTEM) and what.institution != who.institution and found.allowed:
        assert what.facts & {Fact.OPEN_VISIT, Fact.CARD_SCAN, Fact.BREAK_GLASS}
        closed = Fact.OBJECTION in what.facts or what.sensitive - what.consented
        assert Fact.BREAK_GLASS in what.facts or not closed
    if who.kind is Kind.STAFF and Role.DOCTOR not in who.roles:
        assert not found.allowed


@given(ASKERS, SUBJECTS, st.sampled_from(Action))
def test_another_role_never_takes_a_right_away_but_what_is_refused(who: Asker, what: Subject, action: Action) -> None:
    for role in Role:
        more = Asker(who.kind, who.name, institution=who.institution, roles=who.roles | {role})
        if decide(who, action, what).allowed:
            found = decide(more, action, what)
            assert found.allowed or found.rule in {rule.name for rule in RULES if not rule.allows}


@given(ASKERS)
def test_roles_are_the_staffs_alone(who: Asker) -> None:
    if who.kind is Kind.PERSON:
        assert decide(who, Action.SEE_STUDY, Subject("study", HERE)) == Decision(False, "none")


@pytest.mark.parametrize(
    "change",
    [
        'who = ["nurse"]',
        'does = ["imaging.burn"]',
        'when = ["full moon"]',
        'says = "maybe"',
        'purpose = ""',
        'colour = "red"',
    ],
)
def test_a_mistake_in_the_policy_is_named_at_the_start(change: str) -> None:
    lines = {
        "name": '"x"', "says": '"allow"', "why": '"y"', "who": '["doctor"]', "does": '["imaging.see"]',
        "purpose": '"TREAT"',
    }  # fmt: skip
    name, _, value = change.partition(" = ")
    text = "[[rule]]\n" + "\n".join(f"{key} = {said}" for key, said in {**lines, name: value}.items())
    with pytest.raises(ValueError, match="rule 'x'"):
        read_policy(text)
