import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.names import masked, name_forms, name_forms_of
from huitong.wire.pinyin import COMPOUND_SURNAMES, SURNAME_READINGS, readings, segmentations
from huitong.wire.text import pattern_matches

SURNAMES = "赵钱孙李周吴郑王冯陈杨朱秦何吕张曹金魏姜谢邹苏潘葛范彭鲁韦马方任袁柳史唐薛雷贺倪汤罗郝安常于傅齐康余元顾孟"
GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂红玉萍建国华志文晓东小雪梅春海燕波辉斌宇浩欣怡涵梓轩子豪佳琪绿"


@pytest.mark.parametrize(
    ("groups", "sought"),
    [
        (("", "王^小东", ""), "王小东"),
        (("", "王^小东", ""), "王*"),
        (("", "王^小东", ""), "*小东*"),
        (("", "王^小东", ""), "wangxiaodong"),
        (("", "王^小东", ""), "wang xiao dong"),
        (("", "王^小东", ""), "XiaoDong Wang"),
        (("", "王^小东", ""), "wxd"),
        (("王小东", "", ""), "Wang^XiaoDong"),
        (("王小东", "", ""), "王^小东"),
        (("Wang^XiaoDong", "", ""), "wxd"),
        (("WANG^XIAODONG", "", ""), "wxd"),
        (("Wang Xiao Dong", "", ""), "wxd"),
        (("Smith^John^Q", "", ""), "sjq"),
        (("Smith^John", "", ""), "john smith"),
        (("", "单^雄信", ""), "shan*"),
        (("", "曾^国", ""), "zengguo"),
        (("", "仇^和", ""), "qiu*"),
        (("", "解^晓东", ""), "xiexiaodong"),
        (("", "查^良", ""), "zhaliang"),
        (("", "尉迟^恭", ""), "yuchigong"),
        (("", "尉迟恭", ""), "yuchi gong"),
        (("", "万俟^卨", ""), "moqi*"),
        (("", "吕^布", ""), "lvbu"),
        (("", "吕^布", ""), "lubu"),
        (("", "吕^布", ""), "lyu bu"),
        (("", "吕^布", ""), "lü bu"),
        (("Lü^Bu", "", ""), "lv bu"),
        (("LYU^BU", "", ""), "lvbu"),
        (("", "王^乐", ""), "wangle"),
        (("", "王^乐", ""), "wangyue"),
        (("", "欧阳^娜", ""), "oyn"),
        (("Xi'an^Li", "", ""), "xian*"),
        (("", "", "ワン^シャオ"), "ワン*"),
        (("Müller^Jürgen", "", ""), "muller*"),
    ],
)
def test_a_name_is_found_by(groups: tuple[str, str, str], sought: str) -> None:
    assert pattern_matches(sought, name_forms(*groups))


@pytest.mark.parametrize(
    ("name", "not_sought"),
    [("王^小东", "李*"), ("王^小东", "wang"), ("王^小东", "yu*"), ("陆^布", "lvbu"), ("王^小东", "dongwang*")],
)
def test_a_name_is_not_found_by(name: str, not_sought: str) -> None:
    assert not pattern_matches(not_sought, name_forms("", name))


@given(st.sampled_from(SURNAMES), st.text(alphabet=GIVEN, min_size=1, max_size=2))
def test_pinyin_and_initials_find_every_generated_name(surname: str, given_name: str) -> None:
    forms = name_forms("", f"{surname}^{given_name}")
    family = SURNAME_READINGS.get(surname, readings(surname))[0]
    given_pinyin = [readings(one)[0] for one in given_name]
    assert pattern_matches(f"{family}^{''.join(given_pinyin)}", forms)
    assert pattern_matches("".join(given_pinyin) + family, forms)
    assert pattern_matches("".join(syllable[0] for syllable in (family, *given_pinyin)), forms)
    assert pattern_matches(f"*{given_name}*", forms)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_no_name_raises_and_forms_stay_few(alphabetic: str, ideographic: str, phonetic: str) -> None:
    forms = name_forms(alphabetic, ideographic, phonetic)
    assert len(forms) == len(set(forms)) <= 400
    assert all(forms)


@given(st.text(alphabet="行乐重单了着长的 ^", max_size=200))
def test_many_characters_of_many_readings_stay_bounded(name: str) -> None:
    assert len(name_forms("", name)) <= 100


def test_a_whole_value_is_split_into_its_groups() -> None:
    assert name_forms_of("Wang^XiaoDong=王^小东=") == name_forms("Wang^XiaoDong", "王^小东", "")
    assert name_forms_of("Wang^XiaoDong") == name_forms("Wang^XiaoDong")
    assert name_forms_of("") == ()


@pytest.mark.parametrize(
    ("word", "ways"),
    [
        ("xian", (("xian",), ("xi", "an"))),
        ("zhuang", (("zhuang",), ("zhu", "ang"))),
        ("xiaodong", (("xiao", "dong"), ("xi", "ao", "dong"), ("xia", "o", "dong"))),
        ("lyu", (("lyu",),)),
        ("smith", ()),
        ("", ()),
        ("a" * 100, ()),
    ],
)
def test_a_word_is_cut_into_syllables(word: str, ways: tuple[tuple[str, ...], ...]) -> None:
    assert set(segmentations(word)) == set(ways)
    assert segmentations(word)[:1] == ways[:1]


def test_special_readings_are_of_as_many_syllables_as_characters() -> None:
    for surname, ways in SURNAME_READINGS.items():
        assert all(len(way.split()) == len(surname) for way in ways), surname
    assert all(len(surname) == 2 for surname in COMPOUND_SURNAMES)
    assert {surname for surname in SURNAME_READINGS if len(surname) == 2} <= COMPOUND_SURNAMES


def test_forms_of_a_thousand_new_names_take_well_under_a_second() -> None:
    names = [f"{a}^{b}{c}" for a in SURNAMES[:10] for b in GIVEN[:10] for c in GIVEN[10:20]]
    name_forms("", names[0])  # loads the dictionary
    started = time.perf_counter()
    for name in names:
        name_forms("", name)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("张小三", "张*三"),
        ("李梅", "李*"),
        ("欧阳娜娜", "欧**娜"),
        ("张", "张"),
        ("", ""),
        ("Marco Polo", "M**** P***"),
    ],
)
def test_a_name_is_masked(name: str, shown: str) -> None:
    assert masked(name) == shown
