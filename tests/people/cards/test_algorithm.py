"""Every step of the card's algorithm against the vector that deployed code carries, and what must hold for all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from huitong.people.cards import algorithm, codes

ROOT = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
INDEX = bytes.fromhex("ABD17E7ED399EF68AB5660155D6E226D2C92EAC3254A4A66BED83AED0ADA1E9E")
FACTOR = bytes.fromhex("92CDCE45A16799FD")
USER_KEY = bytes.fromhex("86C63180C2806ED1F47B859DE501215B")
CARD_ID = "98FF9F2C05145CB9305E9D8A57E072BB51180CA49E5BE5E9D41BCE3A9A571928"

keys = st.binary(min_size=16, max_size=16)
kinds = st.sampled_from(["01", "02", "03", "06", "07", "99"])
numbers = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ()（）港澳", min_size=1, max_size=18)
names = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable())
moments = st.integers(946_684_800, 7_258_118_399).map(lambda second: datetime.fromtimestamp(second, UTC))


def test_the_index_is_that_of_the_vector() -> None:
    assert algorithm.mindex("01", "11010020171225006X", "电子健康卡") == INDEX


def test_the_factor_is_that_of_the_vector() -> None:
    assert algorithm.factor(INDEX) == FACTOR


def test_the_user_key_is_that_of_the_vector() -> None:
    assert algorithm.user_key(ROOT, INDEX) == USER_KEY


def test_the_card_id_is_that_of_the_vector() -> None:
    assert algorithm.card_id(USER_KEY, "01", "11010020171225006X") == CARD_ID


def test_the_card_id_of_the_vector_gives_type_and_number_back() -> None:
    assert algorithm.certificate_of(USER_KEY, CARD_ID) == ("01", "11010020171225006X")


def test_sm4_is_that_of_its_standard() -> None:
    """GB/T 32907-2016 annex A.1, and the same plaintext as key; a validity is one such block."""
    assert algorithm._encrypt(ROOT, ROOT).hex().upper() == "681EDF34D206965E86B3E94F536E4246"


def test_a_validity_holds_the_time_of_beijing_as_bcd() -> None:
    until = datetime(2026, 11, 26, 16, 30, 59, tzinfo=UTC)
    sealed = algorithm.validity(ROOT, until)
    assert algorithm._decrypt(ROOT, bytes.fromhex(sealed)).hex() == "20261127003059" + "00" * 9
    assert algorithm.valid_until(ROOT, sealed) == until


@given(keys, kinds, numbers, names)
def test_a_card_id_gives_back_what_it_was_made_of(root: bytes, kind: str, number: str, name: str) -> None:
    key = algorithm.user_key(root, algorithm.mindex(kind, number, name))
    made = algorithm.card_id(key, kind, number)
    assert len(made) % 32 == 0
    assert made == made.upper()
    assert algorithm.certificate_of(key, made) == (kind, number)


@given(keys, keys, kinds, numbers)
def test_another_key_gives_nothing_back(one: bytes, other: bytes, kind: str, number: str) -> None:
    assume(one != other)
    assert algorithm.certificate_of(other, algorithm.card_id(one, kind, number)) != (kind, number)


@given(keys, moments)
def test_a_validity_gives_back_its_time(key: bytes, until: datetime) -> None:
    assert algorithm.valid_until(key, algorithm.validity(key, until)) == until


@given(keys, keys, moments)
def test_a_validity_of_another_key_is_none(one: bytes, other: bytes, until: datetime) -> None:
    assume(one != other)
    assert algorithm.valid_until(other, algorithm.validity(one, until)) is None


@given(keys, moments, st.integers(0, 127))
def test_a_validity_with_one_bit_changed_is_none(key: bytes, until: datetime, bit: int) -> None:
    sealed = int(algorithm.validity(key, until), 16) ^ (1 << bit)
    assert algorithm.valid_until(key, f"{sealed:032X}") is None


@pytest.mark.parametrize("text", ["", "0", "XY" * 16, "AB" * 15, "AB" * 32])
def test_what_is_no_block_is_no_validity(text: str) -> None:
    assert algorithm.valid_until(ROOT, text) is None


@pytest.mark.parametrize("text", ["", "A", "XY" * 16, "AB" * 15])
def test_what_is_no_block_is_no_card_id(text: str) -> None:
    assert algorithm.certificate_of(USER_KEY, text) is None


def test_factors_of_two_people_differ() -> None:
    one, other = (algorithm.mindex("01", "11010020171225006X", name) for name in ("张三", "李四"))
    assert algorithm.factor(one) != algorithm.factor(other)


def test_the_codes_of_the_vector() -> None:
    assert str(codes.Code(CARD_ID)) == f"{CARD_ID}:1"
    sealed = algorithm.validity(ROOT, datetime(2026, 11, 26, tzinfo=UTC) + timedelta(seconds=60))
    assert str(codes.Code(CARD_ID, sealed)) == f"{CARD_ID}:0:{sealed}"


def test_a_code_as_a_deployed_system_shows_it_is_read() -> None:
    """From an example in deployed code; its protection key is not known."""
    text = "3E3CD944076BBF60BD028DC26954B22B130FB3E42993016C2D205A5F31FB0B33:0:07EDF114B1651BA63D112011E74C1EC3"
    found = codes.read(text)
    assert found is not None
    assert found.dynamic
    assert found.card_id == text[:64]


@given(st.binary(min_size=32, max_size=32), st.none() | st.binary(min_size=16, max_size=16))
def test_what_is_written_is_read(card: bytes, sealed: bytes | None) -> None:
    code = codes.Code(card.hex().upper(), sealed.hex().upper() if sealed else "")
    for typed in (str(code), str(code).lower(), f" {code}\r\n", str(code).replace(":", "：")):
        assert codes.read(typed) == code


@given(st.text(max_size=120))
def test_any_text_is_read_or_is_none(text: str) -> None:
    found = codes.read(text)
    assert found is None or str(found) == text.strip().replace("：", ":").upper()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "11010020171225006X",
        CARD_ID,
        f"{CARD_ID}:0",
        f"{CARD_ID}:2",
        f"{CARD_ID}:1:{'AB' * 16}",
        f"{CARD_ID}:0:{'AB' * 15}",
        f"{CARD_ID[:-1]}:1",
        f"{CARD_ID}:1" + " " * 300,
    ],
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert codes.read(text) is None
