"""The files of `huitong simulate`: what was registered, who people are, and which record is whose."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from huitong.cli.simulate.people import Person, people
from huitong.cli.simulate.records import Record, records

RECORDS, PEOPLE, TRUTH = "records.csv", "people.csv", "truth.csv"
#: Of a record what an institution sends; whose it is stands in the truth alone.
SENT = tuple(field.name for field in fields(Record) if field.name != "person")
TRUE = ("institution", "number", "person")


@dataclass(frozen=True, slots=True)
class Written:
    people: int
    records: int


def write(folder: Path, count: int, seed: int, tell: Callable[[int], None] = lambda _: None) -> Written:
    """Write `count` people and their records into `folder`, UTF-8, a header first. `tell` hears of every thousand."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with (
        (folder / RECORDS).open("w", encoding="utf-8", newline="") as sent,
        (folder / PEOPLE).open("w", encoding="utf-8", newline="") as known,
        (folder / TRUTH).open("w", encoding="utf-8", newline="") as true,
    ):
        rows, persons, truth = csv.writer(sent), csv.writer(known), csv.writer(true)
        rows.writerow(SENT)
        persons.writerow([field.name for field in fields(Person)])
        truth.writerow(TRUE)

        def noted() -> Iterator[Person]:
            for person in people(count, seed):
                persons.writerow(astuple(person))
                if (person.number + 1) % 1000 == 0:
                    tell(person.number + 1)
                yield person

        for record in records(noted(), seed):
            *values, person = astuple(record)
            rows.writerow(values)
            truth.writerow((record.institution, record.number, person))
            written += 1
    return Written(count, written)
