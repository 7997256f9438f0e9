"""The thresholds, as the catalogue has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from huitong.catalog.matching import MATCHING


def test_the_thresholds_say_where_they_come_from() -> None:
    assert MATCHING.source
    assert MATCHING.region == "14"
    assert 0 < MATCHING.ask_probability < MATCHING.join_probability < 1


@pytest.mark.parametrize("wrong", [{"ask_probability": 0.9999}, {"join_probability": 1.0}, {"population": 0}])
def test_thresholds_that_contradict_themselves_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="ask_probability"):
        replace(MATCHING, **wrong)  # type: ignore[arg-type]
