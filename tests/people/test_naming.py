"""Names that are one name, and names that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.people.naming import Likeness, likeness, mended


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("王^小明", "王小明", Likeness.SAME),
        ("王^小明", "小明^王", Likeness.SAME),
        ("欧阳^娜娜", "娜娜^欧阳", Likeness.SAME),
        ("王^小明", "Wang^Xiaoming", Likeness.SOUND),
        ("王^小明", "XIAOMING WANG", Likeness.SOUND),
        ("王^晓明", "王^小明", Likeness.SOUND),
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
    assert likeness([], ["王小明"]) is Likeness.UNKNOWN


@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
@given(name=st.text(st.sampled_from("王李张小明芳伟娜强建国欧阳"), min_size=2, max_size=4))
def test_a_name_in_gb_18030_that_arrived_garbled_is_read(wrong: str, name: str) -> None:
    try:
        garbled = name.encode("gb18030").decode(wrong)
    except UnicodeDecodeError:
        return
    assert mended(garbled) == name
    assert likeness([garbled], [name]) is Likeness.SAME


@pytest.mark.parametrize("name", ["王小明", "Müller^Jürgen", "Šťastný", "José", "Wang^Xiaoming", "李^娜=Li^Na"])
def test_a_name_that_is_none_the_worse_stays_as_it_is(name: str) -> None:
    assert mended(name) == name
