"""Make `src/huitong/people/model_population.json` anew, from people that `huitong simulate` makes.

    PYTHONPATH=src:. run/matching-venv/bin/python -m bench.matching.train

m by Splink without labels. u from one record of each household, so that strangers are compared. How far two of a
household and twins agree is counted, for who lives together is known of made people; shares of names are those that
they are drawn from. docs/decisions/0010-matching.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import pandas as pd

from bench.matching.splinking import Compared, train
from huitong.catalog.matching import MATCHING
from huitong.cli.simulate import Person, Record, people, records
from huitong.cli.simulate.tables import family_names, given_characters, one_character, tables
from huitong.people import levels
from huitong.people.comparing import MODEL_FILE
from huitong.people.forms import mother_in, read_address, read_date, read_name, read_phone

TARGET = Path(__file__).resolve().parents[2] / "src" / "huitong" / "people" / MODEL_FILE
SEED, PEOPLE = 20, 12_000
PAIRS = 400_000
YES_NO = ("same", "different")
COMPARED = (
    Compared("name", "names", "names", levels.NAMES),
    Compared("sex", "sex", "sex", YES_NO),
    Compared("birth_date", "birth_date", "birth_date", levels.DATES),
    Compared("phone", "phones", "phones", levels.PHONES),
    Compared("address", "address", "address", levels.ADDRESSES),
    Compared("mother", "mother", "mother", levels.MOTHERS),
    Compared("birth_order", "birth_order", "birth_order", YES_NO),
    Compared("certificate", "certificates", "certificates", levels.CERTIFICATES),
)
READ: Mapping[str, Callable[[str], Any]] = {
    "names": lambda text: read_name(text) if text else (),
    "sex": str,
    "birth_date": read_date,
    "phones": lambda text: tuple(filter(None, [read_phone(text)])),
    "address": read_address,
    "mother": lambda text: read_name(text) if text else (),
    "birth_order": lambda text: int(text) if text else None,
    "certificates": lambda text: (("GB11643", text),) if text else (),
}
#: Too rare to be trained: children of one birth have their order from the hospital, which seldom errs.
_BIRTH_ORDER = {"same": (0.9999, 0.5), "different": (0.0001, 0.5)}
_BIRTH_ORDER_OF_TWINS = {"same": 0.02, "different": 0.98}


def row_of(record: Record) -> dict[str, str]:
    return {
        "names": record.name,
        "sex": record.sex,
        "birth_date": record.birth_date,
        "phones": record.phone,
        "address": record.address,
        "mother": record.mother_name or mother_in(record.name),
        "birth_order": "" if record.birth_order is None else str(record.birth_order),
        "certificates": record.certificate,
    }


def main() -> None:
    known = list(people(PEOPLE, SEED))
    sent = list(records(known, SEED))
    rows = pd.DataFrame([{"unique_id": at, **row_of(record)} for at, record in enumerate(sent)])
    household = {one.number: one.household for one in known}
    first = {household[record.person]: at for at, record in reversed(list(enumerate(sent)))}
    blocks = (
        "l.certificates = r.certificates and l.certificates <> ''",
        "l.names = r.names and l.birth_date = r.birth_date and l.birth_date <> ''",
    )
    prior, strangers = float(f"{1 / MATCHING.population:.4g}"), rows.iloc[sorted(first.values())]
    model = train(rows, COMPARED, READ, blocks, prior=prior, strangers=strangers, pairs=PAIRS)
    for comparison in model["comparisons"]:
        for one in comparison["comparison_levels"]:
            if comparison["output_column_name"] == "birth_order" and not one.get("is_null_level"):
                one["m_probability"], one["u_probability"] = _BIRTH_ORDER[one["label_for_charts"]]
    model["term_frequencies"] = name_shares()
    model["relatives"] = all_relatives(model, known, sent)
    TARGET.write_text(json.dumps(model, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")


def name_shares() -> dict[str, dict[str, float]]:
    """Of family names, and of the characters of given names over all decades and both sexes."""
    given: Counter[str] = Counter()
    decades = [(sex, int(decade)) for sex in "MF" for decade in tables()["names"][sex]]
    for sex, decade in decades:
        weighted = given_characters(sex, decade)
        given.update(dict(zip(weighted.things, (share / len(decades) for share in weighted.shares), strict=True)))
    single = sum(one_character(decade) for _, decade in decades) / len(decades)
    families = dict(zip(family_names().things, family_names().shares, strict=True))
    rounded = {
        name: {one: float(f"{share:.3g}") for one, share in shares.items()}
        for name, shares in (("family", families), ("given", given))
    }
    return {**rounded, "length": {"1": round(single, 3), "2": round(1 - single, 3)}}


def all_relatives(model: Mapping[str, Any], known: list[Person], sent: list[Record]) -> list[dict[str, Any]]:
    """Others of the household, and twins who live together; twins who do not differ like strangers of one birthday."""
    household = {one.number: one.household for one in known}
    twins = {one.number: one.twin_of for one in known if one.twin_of is not None and _live_together(one, known)}
    members = Counter(household.values())
    others = sum(count * (count - 1) for count in members.values()) / len(known)
    found = [
        relatives("household", model, others, _households(sent, household)),
        relatives("twin", model, 2 * len(twins) / len(known), _twins(sent, twins)),
    ]
    found[1]["levels"]["birth_order"] = _BIRTH_ORDER_OF_TWINS
    return found


def _live_together(one: Person, known: list[Person]) -> bool:
    return one.twin_of is not None and known[one.twin_of].address == one.address


def relatives(
    name: str, model: Mapping[str, Any], for_each: float, pairs: Iterable[tuple[Record, Record]]
) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {one.field: Counter() for one in COMPARED}
    for a, b in pairs:
        left, right = row_of(a), row_of(b)
        for one in COMPARED:
            level = levels.KINDS[one.kind](READ[one.column](left[one.column]), READ[one.column](right[one.column]))
            counts[one.field][level] += bool(level)
    found = {}
    for comparison in model["comparisons"]:
        field = comparison["output_column_name"]
        rows = [one for one in comparison["comparison_levels"] if not one.get("is_null_level")]
        total = sum(counts[field].values())
        if total:
            shares = {one["label_for_charts"]: _share(counts[field], one, total) for one in rows}
            found[field] = {level: float(f"{share:.3g}") for level, share in shares.items()}
    return {"name": name, "for_each": float(f"{for_each:.3g}"), "levels": found}


def _share(counts: Counter[str], level: Mapping[str, Any], total: int) -> float:
    """With one pair of strangers added. What is the same never counts against one person: its share is at most m."""
    share = (counts[level["label_for_charts"]] + level["u_probability"]) / (total + 1)
    return min(share, level["m_probability"]) if level["label_for_charts"].startswith("same") else share


def _households(sent: list[Record], household: Mapping[int, int]) -> Iterable[tuple[Record, Record]]:
    for _, members in groupby(sent, key=lambda record: household[record.person]):
        for a, b in combinations(members, 2):
            if a.person != b.person:
                yield a, b


def _twins(sent: list[Record], twin_of: Mapping[int, int]) -> Iterable[tuple[Record, Record]]:
    of: dict[int, list[Record]] = {}
    for record in sent:
        of.setdefault(record.person, []).append(record)
    for person, other in twin_of.items():
        yield from ((a, b) for a in of[person] for b in of[other])


if __name__ == "__main__":
    main()
