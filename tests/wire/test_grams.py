import re
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huitong.wire.grams import COMMON_PAIRS, grams, pattern_grams
from huitong.wire.names import name_forms
from huitong.wire.text import pattern_matches, text_forms, to_regex

CHARACTERS = "abzwg12王小东 ^-.Üß\u0301가ｱ"
VALUE = st.one_of(st.text(alphabet=CHARACTERS, max_size=16), st.text(max_size=16))


@st.composite
def value_and_pattern(draw: st.DrawFn) -> tuple[str, str]:
    """A text and a pattern that matches it as it stands: parts of it replaced by `*` and `?`."""
    value = draw(VALUE.filter(lambda text: "*" not in text and "?" not in text))
    pattern, at = "", 0
    while at < len(value):
        take = draw(st.integers(1, 5))
        piece = value[at : at + take]
        pattern += draw(st.sampled_from((piece, piece, "*", "?" * len(piece), piece + "*")))
        at += take
    return value, pattern


@settings(max_examples=400)
@given(value_and_pattern())
def test_what_a_pattern_matches_has_all_its_grams(pair: tuple[str, str]) -> None:
    value, pattern = pair
    assert to_regex(pattern).fullmatch(value)
    assert (pattern_grams("d", pattern) or frozenset()) <= grams("d", text_forms(value))
    assert (pattern_grams("n", pattern) or frozenset()) <= grams("n", name_forms(value))


@settings(max_examples=400)
@given(VALUE, st.text(alphabet=CHARACTERS + "*?*?", max_size=8))
def test_what_a_folded_match_finds_has_all_its_grams(value: str, pattern: str) -> None:
    for forms in (text_forms(value), name_forms(value)):
        if pattern_matches(pattern, forms):
            assert (pattern_grams("n", pattern) or frozenset()) <= grams("n", forms)


@given(st.text(max_size=30))
def test_tokens_are_small_letters_and_digits_whatever_the_text(text: str) -> None:
    tokens = grams("n", name_forms(text)) | (pattern_grams("n", text) or frozenset())
    assert all(re.fullmatch("n[a-z0-9]+", token) for token in tokens)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*wang*", {"nwan", "nang"}),
        ("*王*", {"n" + "王".encode().hex()}),
        ("*王小东*", {"n" + "王小".encode().hex(), "n" + "小东".encode().hex()}),
        ("*zw*", {"nzw"}),
        ("*li*", None),
        ("*12*", None),
        ("w*", None),
        ("*", None),
        ("", None),
        ("a?b?c", None),
        ("胸部CT*", {"n" + "胸部".encode().hex(), "nct"}),
    ],
)
def test_a_pattern_requires(pattern: str, expected: set[str] | None) -> None:
    assert pattern_grams("n", pattern) == (None if expected is None else frozenset(expected))


def test_fields_do_not_meet() -> None:
    assert not grams("n", ("wang",)) & grams("d", ("wang",))


def test_pairs_that_syllables_hold_are_no_keys() -> None:
    assert {"an", "zh", "li", "ng"} <= COMMON_PAIRS
    assert not {"zw", "lx", "ct", "wx"} & COMMON_PAIRS


def test_a_full_text_index_finds_names_by_every_way_of_writing() -> None:
    people = ["王^小东", "张^伟", "单^雄信", "吕^布", "欧阳^娜", "李^小龙"]
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE search USING fts5(tokens, content='', detail=none)")
    for number, person in enumerate(people, 1):
        tokens = " ".join(sorted(grams("n", name_forms("", person))))
        database.execute("INSERT INTO search(rowid, tokens) VALUES (?, ?)", (number, tokens))
    for pattern, found in {
        "*小*": ["王^小东", "李^小龙"],
        "*xiao*": ["王^小东", "李^小龙"],
        "*zw*": ["张^伟"],
        "shan*": ["单^雄信"],
        "*lvbu*": ["吕^布"],
        "*oyn*": ["欧阳^娜"],
        "*龙*": ["李^小龙"],
    }.items():
        tokens = pattern_grams("n", pattern)
        assert tokens
        query = " AND ".join(f'"{token}"' for token in sorted(tokens))
        rows = database.execute("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid", (query,))
        candidates = [people[rowid - 1] for (rowid,) in rows]
        assert [one for one in candidates if pattern_matches(pattern, name_forms("", one))] == found
    database.close()
