"""Numbers of certificates and exchange ids: what they prove, and what typing does to them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from huitong.people.identifiers import KINDS, check_digit, exchange_id, normal, read_exchange_id, said_by

#: GB 11643-1999 annex A and what is in the field.
VALID = ["11010519491231002X", "440524188001010014", "11010020171225006X"]
DIGITS = st.text("0123456789", min_size=17, max_size=17)
BITS = st.integers(0, (1 << 80) - 1)
PLACES = st.integers(0, 17)


@pytest.mark.parametrize("number", VALID)
def test_citizen_numbers_are_known_by_their_check_digit(number: str) -> None:
    assert normal("GB11643", number) == number
    assert check_digit(number[:17]) == number[17]


def test_a_citizen_number_says_birth_date_and_sex() -> None:
    assert (said_by(VALID[0]).birth_date, said_by(VALID[0]).sex, said_by(VALID[0]).region) == (
        "19491231",
        "F",
        "110105",
    )
    assert said_by(VALID[1]).sex == "M"


@pytest.mark.parametrize(
    ("kind", "written", "kept"),
    [
        ("GB11643", " １１０１０５ 19491231 002ｘ", "11010519491231002X"),
        ("GB11643", "110105-19491231-002x", "11010519491231002X"),
        ("GB11643", "110105491231002", "11010519491231002X"),
        ("GB11643", "110105194912310021", ""),
        ("GB11643", "110105194913310023", ""),
        ("GB11643", "111111111111111111", ""),
        ("GB11643", "无", ""),
        ("GB11643", "", ""),
        ("passport", "e1234 5678", "E12345678"),
        ("passport", "000000000", ""),
        ("HMT", "H1234567801", "H12345678"),
        ("HMT", "h12345678", "H12345678"),
        ("HMT", "12345678", ""),
        ("TWT", "1234567801", "12345678"),
        ("TWT", "12345678", "12345678"),
        ("health-card", "98ff9f2c05145cb9305e9d8a57e072bb", "98FF9F2C05145CB9305E9D8A57E072BB"),
        ("birth", "o140123456", "O140123456"),
        ("library card", "1", ""),
    ],
)  # fmt: skip
def test_numbers_are_kept_as_they_are_compared(kind: str, written: str, kept: str) -> None:
    assert normal(kind, written) == kept


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=40))
def test_what_is_normal_stays_as_it_is(kind: str, text: str) -> None:
    once = normal(kind, text)
    assert normal(kind, once) == once


@given(st.sampled_from(VALID), PLACES, st.sampled_from("0123456789X"))
def test_one_wrong_character_of_a_citizen_number_always_shows(number: str, at: int, other: str) -> None:
    assume(number[at] != other)
    assert normal("GB11643", number[:at] + other + number[at + 1 :]) == ""


@given(st.sampled_from(VALID), st.integers(0, 16))
def test_neighbours_that_changed_places_in_a_citizen_number_always_show(number: str, at: int) -> None:
    assume(number[at] != number[at + 1])
    assert normal("GB11643", number[:at] + number[at + 1] + number[at] + number[at + 2 :]) == ""


@given(BITS)
def test_an_exchange_id_is_read_as_people_type_it(bits: int) -> None:
    made = exchange_id(bits)
    typed = f"{made[:6].lower()} {made[6:12]}-{made[12:].replace('0', 'O').replace('1', 'l')}"
    assert read_exchange_id(made) == read_exchange_id(typed) == made


@given(BITS, PLACES, st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_of_an_exchange_id_always_shows(bits: int, at: int, other: str) -> None:
    made = exchange_id(bits)
    assume(at >= 2 and made[at] != other)
    assert read_exchange_id(made[:at] + other + made[at + 1 :]) == ""


@given(BITS, st.integers(2, 17), st.integers(2, 18))
def test_characters_of_an_exchange_id_that_changed_places_always_show(bits: int, one: int, other: int) -> None:
    made = list(exchange_id(bits))
    assume(made[one] != made[other])
    made[one], made[other] = made[other], made[one]
    assert read_exchange_id("".join(made)) == ""


@given(DIGITS)
def test_the_check_digit_is_that_of_iso_7064_whatever_the_number(digits: str) -> None:
    """MOD 11-2, which GB 11643 takes it from: the weights are powers of two, X is ten, and the sum leaves one."""
    values = [10 if each == "X" else int(each) for each in digits + check_digit(digits)]
    assert sum(value * 2 ** (17 - at) for at, value in enumerate(values)) % 11 == 1
