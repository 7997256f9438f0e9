"""What is taken for garbled and what is not: a name that is wrongly mended may be somebody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.mending import mended

#: (what a system took the octets for, what they were): as hospitals send it.
ACCIDENTS = [
    ("latin-1", "gb18030"),
    ("cp1252", "gb18030"),
    ("latin-1", "utf-8"),
    ("cp1252", "utf-8"),
    ("gb18030", "utf-8"),
]


def _hanzi(first: range) -> list[str]:
    """Of GB 2312, by the first of their two octets."""
    both = (bytes((a, b)).decode("gb2312", "ignore") for a in first for b in range(0xA1, 0xFF))
    return [each for each in both if each]


COMMON, ALL = _hanzi(range(0xB0, 0xD8)), _hanzi(range(0xB0, 0xF8))


@pytest.mark.parametrize(
    ("garbled", "name"),
    [
        ("ÍõÐ¡¶«", "王小东"),  # GB 18030 as ISO 8859-1
        ("Íõ^Ð¡¶«", "王^小东"),
        ("ÀîºÍÆ½", "李和平"),
        ("½¨Éè", "建设"),  # with a fraction among the letters
        ("»ÆÊé»ª", "黄书华"),
        ("ãÆæÃæÃ", "闫婷婷"),  # none of its hanzi is of level 1
        ("ÑîÓñ«h", "杨玉玥"),  # the second octet of 玥 is an ASCII letter
        ("Àî^ÄÈ=Li^Na", "李^娜=Li^Na"),
        ("Li^Na=Àî^ÄÈ", "Li^Na=李^娜"),
        ("çŽ‹", "王"),  # UTF-8 as Windows-1252
        ("鐜嬪皬", "王小"),  # UTF-8 as GBK
        ("娆ч槼寤哄浗", "欧阳建国"),
    ],
)
def test_garbled_names_are_mended(garbled: str, name: str) -> None:
    assert mended(garbled) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "Wang Xiaodong", "Lǚ Fāng", "LÜ^FANG", "Wáng^Xiǎodōng", "Nǚ", "Lü^Bù",  # pinyin, with tones and umlaut
        "Jääskeläinen", "JÄÄSKELÄINEN", "Müller^Jürgen", "Åsa", "Öz", "Óláf", "Þór", "Éva", "José^María", "NÚÑEZ",
        "Çağlar", "Šťastný", "Đặng^Thị", "Øystein", "Иванов", "Παπαδόπουλος", "ﾔﾏﾀﾞ ﾀﾛｳ", "김^희중", "金희중",
        "王小东", "王^小明=Wang^Xiaoming", "𠮷野", "𬭩瓛", "䶮", "王〇", "王\ue863", "妫^昹", "闫婷婷",
        "洄变保", "濠变", "湶变埂",  # their octets are two hanzi in UTF-8, and rarer ones
        "濠峰┓",  # perhaps 婷婷: half of what it is read as is common, and nothing of what may have been meant
        "王\udc80", "\ufffd\ufffd", "???", "锟斤拷", "王?",
    ],
)  # fmt: skip
def test_names_that_are_not_stay_as_they_are(name: str) -> None:
    assert mended(name) == name


@pytest.mark.parametrize(("wrong", "right"), ACCIDENTS)
@given(name=st.text(st.sampled_from(COMMON), min_size=2, max_size=4))
def test_common_hanzi_come_through_every_accident_that_loses_no_octet(wrong: str, right: str, name: str) -> None:
    try:
        garbled = name.encode(right).decode(wrong)
    except UnicodeDecodeError:
        return
    assert mended(garbled) == name


@given(st.text(st.sampled_from(ALL), min_size=1, max_size=4).filter(lambda name: len(name) != 3))
def test_hanzi_of_gb_2312_are_never_taken_for_garbled(name: str) -> None:
    assert mended(name) == name


def test_of_three_hanzi_of_gb_2312_less_than_one_in_a_million_is_taken_for_garbled() -> None:
    """Those whose six octets are two common hanzi in UTF-8 (淇鸿僵 and 俺轩): every one of them, counted."""
    every = frozenset(ALL)
    firsts = [one for one in COMMON if one.encode()[1] >= 0xA1 and one.encode()[2] >= 0xB0]
    lasts = [one for one in COMMON if one.encode()[1] >= 0xB0 and one.encode()[2] >= 0xA1]
    readings = ((first + last).encode().decode("gb18030", "replace") for first in firsts for last in lasts)
    taken = sum(len(text) == 3 and every.issuperset(text) for text in readings)
    assert mended("淇鸿僵") == "俺轩"
    assert 0 < taken < len(ALL) ** 3 / 1e6


@given(st.text())
def test_any_text_is_borne_and_what_is_mended_stays_so(text: str) -> None:
    assert mended(mended(text)) == mended(text)
