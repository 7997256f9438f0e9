"""The one decision: who may do what with whose record. Pure; the rules stand in `policy.toml`, worked cases in
`cases.toml`.

Knows askers, actions and facts about a subject. Whoever calls has gathered the facts, and sees to it that the decision
is written down.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

from huitong.access.model import Asker, Kind, Role


class Action(StrEnum):
    """What somebody wants to do; `policy.toml` says of each what it is."""

    SEE_STUDY = "imaging.see"
    LIST_STUDIES = "imaging.list"
    SEND_IMAGES = "imaging.send"
    SEE_PERSON = "people.see"
    FIND_PERSONS = "people.find"
    SEND_PEOPLE = "people.send"
    DECIDE_PERSONS = "people.decide"
    SEE_CARD = "card.see"
    SHOW_CODE = "card.show"
    SCAN_CARD = "card.scan"
    ISSUE_CARD = "card.issue"
    COUNT_CARDS = "card.count"
    SEE_DIRECTORY = "directory.see"
    SEE_RIGHTS = "rights.see"
    CHANGE_RIGHTS = "rights.change"
    NAME_GUARDIAN = "rights.guard"
    BREAK_GLASS = "break-glass.open"
    REVIEW = "break-glass.review"
    OWN_ACCOUNT = "accounts.own"
    KEEP_ACCOUNTS = "accounts.keep"
    SEE_AUDIT = "audit.see"
    SHARE = "share.make"


class Fact(StrEnum):
    """What is so between an asker and the person whose record it is, at this moment."""

    #: A visit of the person is open at the asker's institution.
    OPEN_VISIT = "open-visit"
    #: A dynamic code of the person's card was scanned at the asker's institution not long ago.
    CARD_SCAN = "card-scan"
    #: The asker has opened the person's records in an emergency, and the time is not over.
    BREAK_GLASS = "break-glass"
    #: The person has objected to being seen by other institutions.
    OBJECTION = "objection"
    #: The asker is the person.
    SELF = "self"
    #: The asker is the guardian, and the person under 14.
    GUARDIAN = "guardian"
    #: The asker's link is of this study, which is still the person's, and was made by that person or a guardian still.
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Subject:
    """What it is about, and what is known of it."""

    #: "study", "person", "list" …
    kind: str
    #: Code of the institution whose record it is.
    institution: str = ""
    #: Exchange id; empty where no person is known.
    person: str = ""
    facts: frozenset[Fact] = frozenset()
    #: Sensitive classes (`catalog.access`), and those that the person has consented to show to the asker's institution.
    sensitive: frozenset[str] = frozenset()
    consented: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, with the rule that gave it."""

    allowed: bool
    #: Name of the rule; "none" where no rule holds.
    rule: str
    #: HL7 v3 PurposeOfUse; empty where refused.
    purpose: str = ""


#: What a rule may ask for beside the facts.
Condition = Callable[[Asker, Subject], bool]


def _own(asker: Asker, subject: Subject) -> bool:
    return bool(asker.institution) and subject.institution == asker.institution


def _sensitive(_asker: Asker, subject: Subject) -> bool:
    return not subject.sensitive <= subject.consented


def _by_access_token(asker: Asker, _subject: Subject) -> bool:
    return asker.kind is Kind.SYSTEM and bool(asker.session)


def _of(fact: Fact) -> Condition:
    return lambda _asker, subject: fact in subject.facts


CONDITIONS: dict[str, Condition] = {
    "own institution": _own,
    "sensitive": _sensitive,
    "access token": _by_access_token,
    **{fact.value: _of(fact) for fact in Fact},
}
#: Kinds of askers of whom nothing but the kind is asked; a member of the staff is what their roles are.
_KINDS = frozenset(Kind) - {Kind.STAFF}
WHO = frozenset({*(kind.value for kind in _KINDS), *(role.value for role in Role)})


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the policy."""

    name: str
    allows: bool
    why: str
    who: frozenset[str]
    does: frozenset[str]
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    purpose: str = ""
    _tests: tuple[tuple[Condition, bool], ...] = field(default=(), repr=False)

    def holds(self, asker: Asker, subject: Subject) -> bool:
        """Whether it is about this asker and all is so that it asks for."""
        if asker.kind.value not in self.who and (asker.kind is not Kind.STAFF or self.who.isdisjoint(asker.roles)):
            return False
        return all(test(asker, subject) is wanted for test, wanted in self._tests)


def read_policy(text: str) -> tuple[Rule, ...]:
    """The rules in order. Raises ValueError for what no rule can mean."""
    rules = tuple(map(_rule, tomllib.loads(text)["rule"]))
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ValueError("two rules have one name")
    return rules


def _rule(said: Mapping[str, Any]) -> Rule:
    every = {action.value for action in Action}
    does = every if said["does"] == ["*"] else set(said["does"])
    when, unless = tuple(said.get("when", ())), tuple(said.get("unless", ()))
    known = {"name", "says", "why", "who", "does", "when", "unless", "purpose"}
    odd = (set(said) - known) | (does - every) | (set(said["who"]) - WHO) | ({*when, *unless} - set(CONDITIONS))
    if odd or said["says"] not in ("allow", "refuse"):
        raise ValueError(f"rule {said['name']!r}: {', '.join(sorted(odd)) or said['says']}")
    allows = said["says"] == "allow"
    if allows != bool(said.get("purpose")):
        raise ValueError(f"rule {said['name']!r}: what allows has a purpose, what refuses has none")
    tests = (*((CONDITIONS[name], True) for name in when), *((CONDITIONS[name], False) for name in unless))
    who = frozenset(said["who"])
    return Rule(said["name"], allows, said["why"], who, frozenset(does), when, unless, said.get("purpose", ""), tests)


RULES = read_policy(files("huitong.access").joinpath("policy.toml").read_text("utf-8"))
#: By action, those that refuse first: the first that holds has the answer.
_BY_ACTION = {
    action: tuple(sorted((rule for rule in RULES if action.value in rule.does), key=lambda rule: rule.allows))
    for action in Action
}
_NONE = Decision(False, "none")


def decide(asker: Asker, action: Action, subject: Subject) -> Decision:
    """Whether the asker may do this with the subject, and by which rule."""
    for rule in _BY_ACTION[action]:
        if rule.holds(asker, subject):
            return Decision(rule.allows, rule.name, rule.purpose)
    return _NONE
