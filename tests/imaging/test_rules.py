"""Both sides of the decisions about identity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.imaging import rules
from huitong.imaging.model import Outcome


@pytest.mark.parametrize(
    ("known", "sha256", "decision"),
    [
        ({}, b"a", (Outcome.KEPT, 0)),
        ({b"a": 0}, b"a", (Outcome.ALREADY, 0)),
        ({b"a": 0}, b"b", (Outcome.VARIANT, 1)),
        ({b"a": 0, b"b": 1}, b"b", (Outcome.ALREADY, 1)),
        ({b"a": 0, b"b": 1}, b"c", (Outcome.VARIANT, 2)),
    ],
)
def test_the_same_bytes_are_kept_once_and_others_beside_them(
    known: dict[bytes, int], sha256: bytes, decision: tuple[Outcome, int]
) -> None:
    assert rules.outcome(known, sha256) == decision


@pytest.mark.parametrize(
    ("known", "decision"),
    [({}, (Outcome.KEPT, 0)), ({b"a": 0}, (Outcome.KEPT, 0)), ({b"b": 0, b"a": 1}, (Outcome.VARIANT, 1))],
)
def test_bytes_that_were_lost_are_kept_again_under_their_number(
    known: dict[bytes, int], decision: tuple[Outcome, int]
) -> None:
    assert rules.outcome(known, b"a", lost=True) == decision


@pytest.mark.parametrize(("quiet_ms", "is_settled"), [(0, False), (59_999, False), (60_000, True), (90_000, True)])
def test_a_study_settles_after_the_quiet_time(quiet_ms: int, is_settled: bool) -> None:
    last_at_ms = 1_000_000
    assert (last_at_ms <= rules.quiet_before_ms(last_at_ms + quiet_ms, 60.0)) is is_settled


@given(st.lists(st.binary(min_size=32, max_size=32)), st.randoms())
def test_a_manifest_digest_does_not_depend_on_the_order(digests: list[bytes], random: object) -> None:
    shuffled = list(digests)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rules.manifest_digest(digests) == rules.manifest_digest(shuffled)
