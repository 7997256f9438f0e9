"""Values of the directory: what is taken, in which form, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.directory import codes
from huitong.directory.codes import Refused
from huitong.directory.kinds import KINDS, logical_id, parts_of

LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
FIRST17 = st.text(st.sampled_from(LETTERS), min_size=17, max_size=17)


@given(FIRST17)
def test_a_credit_code_with_its_check_letter_is_taken(first17: str) -> None:
    code = first17 + codes.credit_check_letter(first17)
    assert codes.credit_code(code) == codes.credit_code(f" {code.lower()[:9]}-{code.lower()[9:]}") == code


@given(FIRST17, st.integers(0, 17), st.sampled_from(LETTERS))
def test_a_credit_code_with_one_other_letter_is_refused(first17: str, place: int, letter: str) -> None:
    code = first17 + codes.credit_check_letter(first17)
    if code[place] != letter:
        with pytest.raises(Refused):
            codes.credit_code(code[:place] + letter + code[place + 1 :])


def test_a_published_credit_code_is_taken() -> None:
    assert codes.credit_code("91350100M000100Y43") == "91350100M000100Y43"


@pytest.mark.parametrize("code", ["91350100M000100Y4", "91350100M000100Y431", "IIIIIIIIIIIIIIIIII", "太原市中心医院"])
def test_what_is_no_credit_code_is_refused(code: str) -> None:
    with pytest.raises(Refused, match="no unified social credit code"):
        codes.credit_code(code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("三级甲等", "3A"),
        ("三甲", "3A"),
        ("3a", "3A"),
        ("Tertiary A", "3A"),
        ("村卫生室", "village"),
        ("卫生院", "township"),
    ],
)
def test_a_level_is_known_by_its_words(text: str, code: str) -> None:
    assert codes.one_of(codes.LEVELS)(text) == code


@pytest.mark.parametrize(
    "words", [codes.LEVELS, codes.SCOPES, codes.RESULTS, codes.SEXES, codes.ROLES, codes.ENDPOINTS]
)
def test_no_word_means_two_codes(words: dict[str, codes.Word]) -> None:
    said = [
        text
        for code, word in words.items()
        for text in {each.casefold() for each in (code, word.zh, word.en, *word.others)}
    ]
    assert len(said) == len(set(said))


@pytest.mark.parametrize(
    ("text", "good"), [("140107", True), ("140000", True), ("990101", False), ("14010", False), ("140007", False)]
)
def test_a_region_is_of_gbt_2260(text: str, good: bool) -> None:
    if good:
        assert codes.region(text) == text
    else:
        with pytest.raises(Refused):
            codes.region(text)


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026/1/31", "2026年1月31日", "20260131", "2026.01.31", "２０２６-01-31"]
)
def test_a_date_is_understood_as_people_write_it(text: str) -> None:
    assert codes.day(text) == "20260131"


@pytest.mark.parametrize("text", ["2026-02-30", "31.1.2026", "tomorrow", "2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no date"):
        codes.day(text)


@given(
    st.from_regex(codes.CODE_PATTERN, fullmatch=True), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True)
)
def test_a_logical_id_says_of_what_it_was_made(institution: str, code: str) -> None:
    made = logical_id(KINDS["departments"], {"institution": institution, "code": code})
    assert len(made) <= 64
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
    if "." in made:
        assert parts_of(made) == [institution, code]
