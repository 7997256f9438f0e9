"""How hanzi are read, and pinyin cut into syllables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huitong.wire import pinyin

WRITTEN = sorted(pinyin.SYLLABLES | {"lv", "nv", "lyu", "nyue"})
#: Of the basic block, which is all that people have in their names but for a few.
HANZI = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
#: More ways than any word of six syllables has.
ALL_WAYS = 10_000


def test_tones_are_told_and_the_dots_of_umlauts_dropped() -> None:
    assert [pinyin.toned(one) for one in "小晓吕"] == ["xiǎo", "xiǎo", "lǚ"]
    assert pinyin.toned("a") == ""
    assert [pinyin.without_umlaut(one) for one in ("lv", "lyue", "nu", "wang")] == ["lu", "lue", "nu", "wang"]


@given(st.lists(st.sampled_from(WRITTEN), min_size=1, max_size=4))
def test_a_word_is_cut_in_every_way_that_gives_it_back_the_shortest_first(syllables: list[str]) -> None:
    word = "".join(syllables)
    ways = pinyin.segmentations(word, ALL_WAYS)
    assert tuple(syllables) in ways
    assert {"".join(way) for way in ways} == {word}
    assert {each for way in ways for each in way} <= set(WRITTEN) | {"nyu", "lue", "nue", "lve", "nve", "lyue"}
    assert len(set(ways)) == len(ways)
    assert [len(way) for way in ways] == sorted(len(way) for way in ways)
    assert pinyin.segmentations(word, 1)[0] in [way for way in ways if len(way) == len(ways[0])]


@given(st.text())
def test_any_text_is_cut_or_is_no_pinyin(text: str) -> None:
    assert all("".join(way) == text for way in pinyin.segmentations(text))


@given(HANZI)
def test_the_readings_of_a_hanzi_are_letters_without_repetition(hanzi: str) -> None:
    found = pinyin.readings(hanzi)
    assert len(set(found)) == len(found) <= 3
    assert all(each.isascii() and each.islower() and each.isalpha() for each in found)


@given(st.text(HANZI, min_size=1, max_size=4))
def test_the_sound_of_a_name_is_found_again_in_its_pinyin_written_as_one(name: str) -> None:
    syllables = tuple(pinyin.readings(one)[0] for one in name if pinyin.readings(one))
    if all(each in pinyin.SYLLABLES or len(pinyin.spellings(each)) > 1 for each in syllables):
        assert not syllables or syllables in pinyin.segmentations("".join(syllables), ALL_WAYS)


@given(st.sampled_from(sorted(pinyin.SURNAME_READINGS | dict.fromkeys(pinyin.COMPOUND_SURNAMES, ("",)))), HANZI)
def test_a_surname_is_cut_off_and_read_as_a_surname_first(surname: str, given: str) -> None:
    if len(surname) == 2 and surname in pinyin.COMPOUND_SURNAMES:
        assert pinyin.surname_length(surname + given) == 2
    read = pinyin.surname_readings(surname)
    assert len(read) == len(surname)
    if surname in pinyin.SURNAME_READINGS:
        assert " ".join(each[0] for each in read) == pinyin.SURNAME_READINGS[surname][0]


@given(st.sampled_from(WRITTEN))
def test_the_dots_are_lost_once(syllable: str) -> None:
    without = pinyin.without_umlaut(syllable)
    assert pinyin.without_umlaut(without) == without
    assert "v" not in without
