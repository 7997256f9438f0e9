"""Names that are one name, and names that are not."""

from __future__ import annotations

import pytest

from huitong.people.naming import Likeness, likeness


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("王^小明", "王小明", Likeness.SAME),
        ("王^小明", "小明^王", Likeness.SAME),
        ("欧阳^娜娜", "娜娜^欧阳", Likeness.SAME),
        ("王^小明", "Wang^Xiaoming", Likeness.SOUND),
        ("王^小明", "XIAOMING WANG", Likeness.SOUND),
        ("王^晓明", "王^小明", Likeness.OTHER_HANZI),
        ("Wang^Xiaoming=王^晓明", "王^小明", Likeness.OTHER_HANZI),
        ("吕^芳", "Lv^Fang", Likeness.SOUND),
        ("王^小明", "王^小亮", Likeness.OTHER),
        ("张^伟", "Wang^Wei", Likeness.OTHER),
        ("张^伟", "ZW", Likeness.UNKNOWN),
        ("王芳之子", "王^浩", Likeness.UNKNOWN),
        ("王芳之大女", "王^浩", Likeness.UNKNOWN),
        ("王??", "王^浩", Likeness.UNKNOWN),
        ("锟斤拷", "王^浩", Likeness.UNKNOWN),
        ("", "王^浩", Likeness.UNKNOWN),
    ],
)
def test_two_forms_are_as_alike_as_a_registrar_would_say(one: str, other: str, alike: Likeness) -> None:
    assert likeness([one], [other]) is likeness([other], [one]) is alike


def test_of_several_forms_the_best_pair_counts() -> None:
    assert likeness(["Smith", "王^小明"], ["Wang^Xiaoming", "王小明"]) is Likeness.SAME
    assert likeness(["Wang^Xiaoming", "王小明"], ["Wang^Xiaoming", "王晓明"]) is Likeness.OTHER_HANZI
    assert likeness(["Wang^Xiaoming", "王小明"], ["Wang^Xiaoming"]) is Likeness.SOUND
    assert likeness([], ["王小明"]) is Likeness.UNKNOWN


@pytest.mark.parametrize(("right", "wrong"), [("gb18030", "latin-1"), ("utf-8", "cp1252"), ("utf-8", "gb18030")])
def test_a_name_that_arrived_garbled_is_read(right: str, wrong: str) -> None:
    garbled = "王^国强".encode(right).decode(wrong)
    assert garbled != "王^国强"
    assert likeness([garbled], ["王国强"]) is Likeness.SAME


def test_a_name_in_latin_letters_is_not_read_as_hanzi() -> None:
    assert likeness(["Müller^Jürgen"], ["MULLER^JURGEN"]) is Likeness.SOUND
