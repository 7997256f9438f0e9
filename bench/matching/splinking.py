"""A model trained by Splink, without labels, on levels that our own functions give: DuckDB calls them from SQL.

Repeatable: one thread, seeds, and probabilities written with four digits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb
import pandas as pd
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from huitong.people import levels as our

#: Of a level that no sampled pair of strangers reached: so many pairs of all.
UNSEEN_PAIRS = 0.5
_SEED = 1
#: Of a level that training says nothing of, or less; and what is left of 1 where it leaves nothing.
_LEAST_M = 5e-4


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison: its field, the function of `levels` and the column that it reads, and its levels, best first."""

    field: str
    kind: str
    column: str
    levels: Sequence[str]

    def settings(self, u: Mapping[str, float] | None = None) -> dict[str, Any]:
        call = f"{self.kind}({self.column}_l, {self.column}_r)"
        rows: list[dict[str, Any]] = [
            {"sql_condition": f"{call} = ''", "label_for_charts": "missing", "is_null_level": True}
        ]
        for level in self.levels:
            row = {"sql_condition": f"{call} = '{level}'", "label_for_charts": level}
            rows.append(row | ({"u_probability": u[level]} if u else {}))
        return {"output_column_name": self.field, "comparison_levels": rows}


def train(
    rows: pd.DataFrame,
    compared: Sequence[Compared],
    read: Mapping[str, Callable[[str], Any]],
    blocks: Sequence[str],
    *,
    prior: float,
    strangers: pd.DataFrame | None = None,
    pairs: int = 1_000_000,
) -> dict[str, Any]:
    """The JSON that Splink writes. `read` has for each column what makes a value to be compared of its text.

    u is estimated from random pairs of `strangers` (default: of all rows), m by expectation maximisation in each block.
    """
    logging.getLogger("splink").setLevel(logging.ERROR)
    sampled = _linker(strangers if strangers is not None else rows, compared, read, prior, {})
    sampled.training.estimate_u_using_random_sampling(
        max_pairs=pairs, seed=_SEED, min_count_per_level=None, num_chunks=1
    )
    u = _floored(_written(sampled), UNSEEN_PAIRS / pairs)
    linker = _linker(rows, compared, read, prior, u)
    for block in blocks:
        linker.training.estimate_parameters_using_expectation_maximisation(
            block, fix_probability_two_random_records_match=False, record_sample_proportion=1.0
        )
    written = _written(linker)
    written["probability_two_random_records_match"] = prior
    for comparison in written["comparisons"]:
        _tidied(comparison, u[comparison["output_column_name"]])
    return written


def _linker(
    rows: pd.DataFrame,
    compared: Sequence[Compared],
    read: Mapping[str, Callable[[str], Any]],
    prior: float,
    u: Mapping[str, Mapping[str, float]],
) -> Linker:
    connection = duckdb.connect(config={"threads": 1})
    for kind, column in {one.kind: one.column for one in compared}.items():  # columns of a kind are read alike
        connection.create_function(kind, _level(kind, read[column]), ["VARCHAR", "VARCHAR"], "VARCHAR")
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[one.settings(u.get(one.field)) for one in compared],
        blocking_rules_to_generate_predictions=[],
        probability_two_random_records_match=prior,
        em_convergence=1e-5,
        max_iterations=50,
        linker_uid="huitong",
    )
    return Linker(DuckDBAPI(connection).register(rows), settings, log_level=logging.ERROR)


def _level(kind: str, read: Callable[[str], Any]) -> Callable[[str, str], str]:
    read_once = lru_cache(maxsize=200_000)(read)
    compare = our.KINDS[kind]

    @lru_cache(maxsize=50_000)  # SQL asks once for each level
    def level(a: str, b: str) -> str:
        return compare(read_once(a), read_once(b))

    return lambda a, b: level(a, b)


def _written(linker: Linker) -> dict[str, Any]:
    return linker.misc.save_model_to_json(None)


def _floored(written: Mapping[str, Any], least: float) -> dict[str, dict[str, float]]:
    found = {}
    for comparison in written["comparisons"]:
        levels = [one for one in comparison["comparison_levels"] if not one.get("is_null_level")]
        found[comparison["output_column_name"]] = {
            one["label_for_charts"]: max(_rounded(one.get("u_probability") or 0.0), least) for one in levels
        }
    return found


def _tidied(comparison: dict[str, Any], u: Mapping[str, float]) -> None:
    levels = [one for one in comparison["comparison_levels"] if not one.get("is_null_level")]
    for one in levels:
        one["m_probability"] = min(max(_rounded(one.get("m_probability") or 0.0), _LEAST_M), 1 - _LEAST_M)
        one["u_probability"] = u[one["label_for_charts"]]
        for name in ("fix_m_probability", "fix_u_probability"):
            one.pop(name, None)


def _rounded(probability: float) -> float:
    return float(f"{probability:.4g}")
