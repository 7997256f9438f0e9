import re
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huitong.wire.text import fold, fold_pattern, part_of, pattern_matches, pattern_to_like, text_forms, to_regex

TEXT = st.text(max_size=40)
PATTERN = st.text(alphabet="ab王小 ^*?%_\\.-Ü", max_size=12)


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("*Xiao-Dong*", "xiao dong"),
        ("*小东*", "小东"),
        ("**wang**", "wang"),
        ("*", ""),
        ("*^*", ""),
        ("wang*", ""),
        ("*wang", ""),
        ("*wa*ng*", ""),
        ("*wa?g*", ""),
        ("*wang^*", ""),
        ("*wang=*", ""),
        ("wang", ""),
    ],
)
def test_a_pattern_that_wants_a_part_says_which(pattern: str, part: str) -> None:
    assert part_of(pattern) == part


@given(PATTERN.map("*{}*".format), st.lists(TEXT.map(fold) | PATTERN.map(fold), max_size=3))
def test_a_part_stands_in_the_lines_of_what_its_pattern_matches_and_in_no_others(
    pattern: str, forms: list[str]
) -> None:
    if part := part_of(pattern):
        assert pattern_matches(pattern, forms) is (part in "\n".join(forms))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Wang^XiaoDong", "wang xiaodong"),
        ("王^小东=", "王 小东"),
        ("ＣＴ－１２３", "ct 123"),
        ("Wáng", "wang"),
        ("Wa\u0301ng", "wang"),
        ("Straße", "strasse"),
        ("胸部CT（平扫）", "胸部ct 平扫"),
        ("*** ", ""),
        ("\ud800王", "王"),
    ],
)
def test_folding_drops_case_width_accents_and_punctuation(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(TEXT, TEXT)
def test_words_of_a_part_are_parts_of_the_words_of_the_whole(left: str, right: str) -> None:
    whole = fold(left + right)
    assert fold(left) in whole
    assert fold(right) in whole


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*dong*", "Wang^XiaoDong", True),
        ("Wang^*", "Wang^XiaoDong", True),
        ("Wang^*", "Wang", True),
        ("Wang^*", "Wangli^Xiao", False),
        ("wang", "Wang^XiaoDong", False),
        ("WANG^XIAODONG", "Wang^XiaoDong", True),
        ("wang xiaodong^^", "Wang^XiaoDong", True),
        ("wangxiaodong", "Wang^XiaoDong", True),
        ("w?ng*", "Wang^XiaoDong", True),
        ("w?ang*", "Wang^XiaoDong", False),
        ("P-00*", "P001", False),
        ("P00*", "P-001", True),
        ("*", "anything", True),
        ("??", "王东", True),
        ("?", "王东", False),
    ],
)
def test_a_pattern_matches_folded_forms_as_a_person_expects(pattern: str, text: str, matches: bool) -> None:
    assert pattern_matches(pattern, text_forms(text)) is matches


def test_a_pattern_of_two_name_groups_matches_when_each_group_does() -> None:
    forms = (*text_forms("Wang^XiaoDong"), *text_forms("王^小东"))
    assert pattern_matches("Wang*=王*", forms)
    assert not pattern_matches("Wang*=李*", forms)


@given(PATTERN, st.text(alphabet="ab王小 ^%_\\.-Ü", max_size=12))
def test_expression_and_like_agree_with_a_plain_reading_of_the_standard(pattern: str, text: str) -> None:
    expected = _plain_match(pattern, text)
    assert bool(to_regex(pattern).fullmatch(text)) is expected
    with sqlite3.connect(":memory:") as database:
        database.execute("PRAGMA case_sensitive_like = ON")
        row = database.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, pattern_to_like(pattern))).fetchone()
    assert bool(row[0]) is expected


def _plain_match(pattern: str, text: str) -> bool:
    """PS3.4 C.2.2.2.4 as its two sentences read, by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_plain_match(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and _plain_match(pattern[1:], text[1:])


@given(st.text(alphabet="aß王 ^*?\u0301", max_size=12))
def test_a_folded_pattern_folds_to_itself(pattern: str) -> None:
    assert fold_pattern(fold_pattern(pattern)) == fold_pattern(pattern)


@settings(max_examples=300)
@given(TEXT, TEXT)
def test_no_text_and_no_pattern_raises(pattern: str, text: str) -> None:
    assert pattern_matches(pattern, text_forms(text)) in (True, False)
    to_regex(pattern, ignore_case=True).fullmatch(text)


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    started = time.perf_counter()
    assert not to_regex("*a" * 200 + "b").fullmatch("a" * 2000)
    assert not pattern_matches("*a?" * 200 + "b", ("a" * 2000,))
    assert time.perf_counter() - started < 1


def test_a_megabyte_in_a_short_text_is_cut() -> None:
    assert all(len(form) <= 4096 for form in text_forms("王" * 1_000_000))


def test_like_escapes_what_sql_would_read_as_its_own() -> None:
    assert pattern_to_like(r"a*b?c%d_e\f") == r"a%b_c\%d\_e\\f"
    assert re.fullmatch(to_regex("a.b*"), "a.bc")
    assert not re.fullmatch(to_regex("a.b*"), "axbc")
