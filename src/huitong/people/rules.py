"""Whether two records are one person: the rules in their order, the first that holds decides. Pure.

`cases.toml` has worked cases of each, for whoever has to answer for them; the tests run every one. Deterministic on
certificates, the main line of a master index (主索引), elsewhere by score, with two thresholds. No rule joins what a
fact contradicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from huitong.people.identifiers import GB11643, other_for_life, said_by, sound
from huitong.people.model import Certificate, Demographics, Evidence
from huitong.people.naming import Likeness, likeness
from huitong.wire.text import fold


class Decision(Enum):
    JOIN = "join"
    ASK = "ask"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the score says of a pair: its evidence (`probability`, `agreements`) and the thresholds in force."""

    evidence: Evidence
    join_probability: float
    ask_probability: float

    @property
    def probability(self) -> float:
        return self.evidence.probability or 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records side by side, with what the rules look at."""

    a: Demographics
    b: Demographics
    #: One institution says that both numbers are one patient's.
    merged: bool = False
    weighed: Weighed | None = None

    @property
    def names(self) -> Likeness:
        return likeness(self.a.names, self.b.names)

    @property
    def sex_differs(self) -> bool:
        return {sex_of(self.a), sex_of(self.b)} == {"M", "F"}

    @property
    def birth_differs(self) -> bool:
        return _differ(birth_of(self.a), birth_of(self.b))

    @property
    def same_birth(self) -> bool:
        return _same(birth_of(self.a), birth_of(self.b))

    @property
    def shared(self) -> frozenset[Certificate]:
        return sound(self.a.certificates) & sound(self.b.certificates)

    @property
    def contradicted(self) -> bool:
        """Both have a certificate of a kind of which one has only one for life, and not the same."""
        return contradict(self.a, self.b)

    @property
    def same_mother(self) -> bool:
        certificates = sound(self.a.mother_certificates) & sound(self.b.mother_certificates)
        return bool(certificates) or likeness([self.a.mother_name], [self.b.mother_name]) is Likeness.SAME

    @property
    def same_mother_certificate(self) -> bool:
        return bool(sound(self.a.mother_certificates) & sound(self.b.mother_certificates))

    @property
    def one_roof(self) -> bool:
        """The same mother, address or telephone."""
        phones = set(map(_digits, self.a.phones)) & set(map(_digits, self.b.phones)) - {""}
        return self.same_mother or _same(fold(self.a.address), fold(self.b.address)) or bool(phones)

    @property
    def other_order(self) -> bool:
        return None not in (self.a.birth_order, self.b.birth_order) and self.a.birth_order != self.b.birth_order

    @property
    def same_order(self) -> bool:
        return self.a.birth_order is not None and self.a.birth_order == self.b.birth_order

    @property
    def twin_like(self) -> bool:
        """Two of one household and one day, with two names or sexes."""
        return self.same_birth and self.one_roof and (self.names is Likeness.OTHER or self.sex_differs)

    @property
    def twin_or_misspelt(self) -> bool:
        """Two of one household, day and sex with two names, though these may sound alike; no certificate says more."""
        named = self.names in (Likeness.OTHER, Likeness.OTHER_HANZI)
        return self.same_birth and self.one_roof and named and not self.sex_differs and not self.shared

    def probable(self, threshold: str) -> bool:
        return self.weighed is not None and self.weighed.probability >= getattr(self.weighed, threshold)


def contradict(a: Demographics, b: Demographics) -> bool:
    return other_for_life(a.certificates, b.certificates)


def birth_of(known: Demographics) -> str:
    """YYYYMMDD as it was registered, else as a citizen number has it."""
    return known.birth_date or next((said_by(n).birth_date for n in _citizens(known)), "")


def sex_of(known: Demographics) -> str:
    return known.sex or next((said_by(number).sex for number in _citizens(known)), "")


def _citizens(known: Demographics) -> list[str]:
    return sorted(value for kind, value in sound(known.certificates) if kind == GB11643)


def _same(one: str, other: str) -> bool:
    return bool(one) and one == other


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _digits(phone: str) -> str:
    digits = "".join(c for c in phone if c.isascii() and c.isdigit())
    return digits[-11:] if len(digits) >= 7 else ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    holds: Callable[[Pair], bool]
    decision: Decision


def _doubtful_holder(pair: Pair) -> bool:
    """Nothing of the name can be compared, and the date of birth does not make up for it."""
    return pair.names is Likeness.UNKNOWN and not pair.same_birth


#: In this order; docs/reference/matching-cases.md shows each with its cases.
RULES: tuple[Rule, ...] = (
    Rule("merged-by-issuer", lambda p: p.merged, Decision.JOIN),
    Rule("certificates-disagree", lambda p: p.contradicted and bool(p.shared), Decision.ASK),
    Rule("other-certificate", lambda p: p.contradicted, Decision.APART),
    Rule("other-birth-order", lambda p: p.other_order and not p.birth_differs and p.one_roof, Decision.APART),
    Rule("same-certificate-other-name", lambda p: bool(p.shared) and p.names is Likeness.OTHER, Decision.ASK),
    Rule("same-certificate-other-sex", lambda p: bool(p.shared) and p.sex_differs, Decision.ASK),
    Rule("same-certificate-other-birth-date", lambda p: bool(p.shared) and p.birth_differs, Decision.ASK),
    Rule("same-certificate-no-name", lambda p: bool(p.shared) and _doubtful_holder(p), Decision.ASK),
    Rule("same-certificate", lambda p: bool(p.shared), Decision.JOIN),
    Rule(
        "newborn",
        lambda p: p.same_mother_certificate and p.same_birth and p.same_order and not p.sex_differs,
        Decision.JOIN,
    ),
    Rule(
        "newborn-no-order",
        lambda p: p.same_mother_certificate and p.same_birth and not p.sex_differs and (p.names is not Likeness.OTHER),
        Decision.ASK,
    ),
    Rule("twin-or-misspelt", lambda p: p.twin_or_misspelt and p.probable("ask_probability"), Decision.ASK),
    Rule("twin-like", lambda p: p.twin_like, Decision.APART),
    Rule("likely", lambda p: p.probable("join_probability"), Decision.JOIN),
    Rule("possible", lambda p: p.probable("ask_probability"), Decision.ASK),
    Rule("unlike", lambda p: True, Decision.APART),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    evidence: Evidence


def decide(pair: Pair) -> Verdict:
    """What the first rule that holds says, with what the score had to say of it."""
    rule = next(rule for rule in RULES if rule.holds(pair))
    weighed = pair.weighed.evidence if pair.weighed is not None else Evidence(rule.name)
    evidence = Evidence(rule.name, weighed.probability, weighed.weight_bits, weighed.agreements)
    return Verdict(rule.decision, evidence)
