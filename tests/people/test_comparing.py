"""Two registrations, one person or two: worked pairs that a registrar can read, and what holds for all pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huitong.catalog.matching import MATCHING
from huitong.people.comparing import GUARDS, Score, Screen, bits_of, keys_of, read, score, the_model
from huitong.people.model import Demographics

PHONE, OTHER_PHONE = "13803511234", "13903519876"
HOME = "山西省太原市小店区学府街12号3单元402"
SHORT_HOME = "学府街12号3单元402"
OTHER_HOME = "山西省运城市临猗县上王庄村31号"
ID, OTHER_ID = ("GB11643", "11010519491231002X"), ("GB11643", "440524188001010014")
#: Of two women born in one county on one day.
TWIN_ID, OTHER_TWIN_ID = ("GB11643", "140213193803195102"), ("GB11643", "140213193803195129")


def person(*names: str, born: str = "19800514", sex: str = "M", **more: object) -> Demographics:
    return Demographics(names=names, birth_date=born, sex=sex, **more)  # type: ignore[arg-type]


def answer(found: Score) -> str:
    if found.probability >= MATCHING.join_probability:
        return "join"
    return "ask" if found.probability >= MATCHING.ask_probability else "apart"


def level(found: Score, field: str) -> str:
    return next((one.level for one in found.agreements if one.field == field), "")


#: One person, as two institutions wrote them down; and two people who look alike.
WORKED = [
    ("everything equal", person("王小东", phones=(PHONE,), address=HOME), person("王小东", phones=(PHONE,), address=HOME), "join"),
    ("pinyin, phone with country code", person("王小东", phones=(PHONE,)), person("Wang^Xiaodong", phones=("+86 138-0351-1234",)), "join"),
    ("pinyin, given name first", person("欧阳娜", address=HOME), person("Na Ouyang", address=SHORT_HOME), "join"),
    ("a character of the same sound, one certificate", person("王小东", certificates=(ID,)), person("王晓东", certificates=(ID,)), "join"),
    ("a character of the same sound, or a twin", person("王小东", address=HOME), person("王晓东", address=HOME), "ask"),
    ("the same, their pinyin beside it", person("Wang^Xiaodong=王^小东", address=HOME), person("Wang^Xiaodong=王^晓东", address=HOME), "ask"),
    ("the same, one of them with a certificate", person("王小东", address=HOME, phones=(PHONE,), certificates=(ID,)), person("王晓东", address=HOME, phones=(PHONE,)), "ask"),
    ("one name of which one came in pinyin beside hanzi", person("王小东", address=HOME), person("Wang^Xiaodong=王^小东", address=HOME), "join"),
    ("one name, one house, and two certificates", person("徐香月", address=HOME, phones=(PHONE,), certificates=(TWIN_ID,)), person("徐香月", address=HOME, phones=(PHONE,), certificates=(OTHER_TWIN_ID,)), "ask"),
    ("fields swapped, month and day swapped", person("王^小东", phones=(PHONE,), born="19800512"), person("小东^王", phones=(PHONE,), born="19801205"), "join"),
    ("one digit of the birth date", person("郭雅琴", phones=(PHONE,)), person("郭雅琴", born="19800614", phones=(PHONE,)), "join"),
    ("GBK read as Latin-1", person("王小东", phones=(PHONE,)), person("王小东".encode("gb18030").decode("latin-1"), phones=(PHONE,)), "join"),
    ("rare hanzi, GBK read as Latin-1", person("闫婷婷", phones=(PHONE,)), person("闫婷婷".encode("gb18030").decode("latin-1"), phones=(PHONE,)), "join"),
    ("UTF-8 read as GBK", person("欧阳建国", phones=(PHONE,)), person("欧阳建国".encode().decode("gb18030"), phones=(PHONE,)), "join"),
    ("UTF-8 read as Windows letters", person("王国强", phones=(PHONE,)), person("王国强".encode().decode("cp1252"), phones=(PHONE,)), "join"),
    ("a name with an umlaut, and one without", person("Müller^Jürgen", phones=(PHONE,)), person("MULLER^JURGEN", phones=(PHONE,)), "join"),
    ("new phone, same address", person("王小东", phones=(PHONE,), address=HOME), person("王小东", phones=(OTHER_PHONE,), address=HOME), "join"),
    ("same certificate, all else missing", person("王小东", certificates=(ID,)), person("王小东", certificates=(ID,)), "join"),
    ("certificate with a digit mistyped", person("王小东", certificates=(ID,), phones=(PHONE,)), person("王小东", certificates=(("GB11643", "11010519491231003X"),), phones=(PHONE,)), "join"),
    ("newborn named later", person("李秀英之子", born="20240101", birth_order=1, phones=(PHONE,)), person("王小东", born="20240101", birth_order=1, mother_name="李秀英", phones=(PHONE,)), "join"),
    ("a rare name and the birthday, nothing else", person("欧阳瑾瑜"), person("欧阳瑾瑜"), "ask"),
    ("given name changed, or a twin", person("王小东", phones=(PHONE,), address=HOME), person("王建国", phones=(PHONE,), address=HOME), "ask"),
    ("a common name and the birthday", person("王伟"), person("王伟"), "ask"),
    ("twins", person("王小东", phones=(PHONE,), address=HOME, mother_name="李秀英"), person("王小明", phones=(PHONE,), address=HOME, mother_name="李秀英"), "ask"),
    ("twins, boy and girl", person("王小东", phones=(PHONE,), address=HOME), person("王小丽", sex="F", phones=(PHONE,), address=HOME), "apart"),
    ("newborn twins", person("李秀英之子1", born="20240101", birth_order=1, phones=(PHONE,)), person("李秀英之子2", born="20240101", birth_order=2, phones=(PHONE,)), "apart"),
    ("newborns, their order unknown", person("李秀英之子", born="20240101", phones=(PHONE,), address=HOME), person("李秀英之子", born="20240101", phones=(PHONE,), address=HOME), "ask"),
    ("father and son", person("王建国", born="19530510", phones=(PHONE,), address=HOME), person("王小东", phones=(PHONE,), address=HOME), "apart"),
    ("namesakes of one birthday in two cities", person("王伟", phones=(PHONE,), address=HOME), person("王伟", phones=(OTHER_PHONE,), address=OTHER_HOME), "apart"),
    ("namesakes of one birthday and county, a digit mistyped", person("王伟勇", born="19841105", certificates=(("GB11643", "140105198411050710"),)), person("王伟勇", born="19841105", certificates=(("GB11643", "140105198411050717"),)), "ask"),
    ("namesakes with certificates", person("王伟", certificates=(ID,)), person("王伟", certificates=(OTHER_ID,)), "apart"),
    ("strangers", person("王小东", phones=(PHONE,)), person("李建国", born="19610203", phones=(OTHER_PHONE,)), "apart"),
    ("nothing known", Demographics(), Demographics(), "apart"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "expected"), [row[1:] for row in WORKED], ids=[row[0] for row in WORKED])
def test_a_pair_is_judged_as_a_registrar_would(a: Demographics, b: Demographics, expected: str) -> None:
    found = score(a, b)
    assert answer(found) == expected, found
    assert score(b, a) == found


def test_pairs_that_are_joined_share_a_key() -> None:
    for about, a, b, expected in WORKED:
        if expected == "join":
            assert set(keys_of(a)) & set(keys_of(b)), about


@pytest.mark.parametrize(
    ("spoilt", "change"),
    [
        ("year", {"birth_date": "19810514"}),
        ("month", {"birth_date": "19800614"}),
        ("day", {"birth_date": "19800515"}),
        ("month and day swapped", {"birth_date": "19801205"}),
        ("one character", {"names": ("王小冬青",)}),
        ("family name", {"names": ("李小东",)}),
        ("order of the name", {"names": ("Xiaodong Wang",)}),
        ("name", {"names": ("\ufffd\ufffd",), "phones": (PHONE,)}),
        ("name, found by the mother", {"names": ("李秀英之子",)}),
        ("name and phone, found by the house", {"names": (), "address": HOME}),
    ],
)
def test_a_spoilt_field_leaves_a_key(spoilt: str, change: dict[str, object]) -> None:
    born = "19800512" if "swapped" in spoilt else "19800514"
    whole = person("王小东", born=born, phones=(PHONE,), address=HOME, mother_name="李秀英")
    other = replace(person("王小东", born=born), **change)  # type: ignore[arg-type]
    assert set(keys_of(whole)) & set(keys_of(other))


def test_keys_tell_no_name_and_no_number() -> None:
    keys = keys_of(person("王小东", phones=(PHONE,), certificates=(ID,), address=HOME))
    assert all(len(key) == 11 and key.isascii() for key in keys)
    assert not any(PHONE[-4:] in key or "wang" in key for key in keys)


def test_every_weight_is_told() -> None:
    (pair,) = [row[1:3] for row in WORKED if row[0] == "fields swapped, month and day swapped"]
    found = score(*pair)
    assert sum(one.weight_bits for one in found.agreements) == pytest.approx(found.weight_bits)
    assert level(found, "name") == "same, other order"
    assert level(found, "birth_date") == "day and month swapped"


# --- what holds for all pairs ---

NAMES = st.sampled_from(
    ["王小东", "王晓东", "王小明", "王伟", "Wang^Xiaodong", "小东^王", "欧阳娜", "李秀英之子", "\ufffd", "ÍõÐ¡¶«"]
)
DATES = st.sampled_from(["", "19800514", "19801405", "19800515", "19810514", "19000101", "20240101"])
ANYBODY = st.builds(
    Demographics,
    names=st.lists(NAMES, max_size=2).map(tuple),
    sex=st.sampled_from(["", "M", "F", "O"]),
    birth_date=DATES,
    phones=st.lists(st.sampled_from([PHONE, OTHER_PHONE, "13803511235", "0", ""]), max_size=2).map(tuple),
    address=st.sampled_from(["", HOME, SHORT_HOME, OTHER_HOME]),
    mother_name=st.sampled_from(["", "李秀英", "Li Xiuying", "王芳"]),
    birth_order=st.sampled_from([None, 1, 2]),
    certificates=st.lists(st.sampled_from([ID, OTHER_ID, ("GB11643", "11010519491231003X")]), max_size=1).map(tuple),
)


@given(ANYBODY, ANYBODY)
@settings(max_examples=300, deadline=None)
def test_a_score_is_symmetric_and_the_sum_of_what_it_tells(a: Demographics, b: Demographics) -> None:
    found = score(a, b)
    assert found == score(b, a)
    assert found.weight_bits == pytest.approx(sum(one.weight_bits for one in found.agreements))
    assert 0 <= found.probability <= 1


@given(ANYBODY, st.sampled_from(["sex", "birth_date", "phones", "address", "mother_name", "certificates"]))
@settings(max_examples=300, deadline=None)
def test_agreeing_in_one_more_field_never_lowers_the_score(a: Demographics, field: str) -> None:
    """Against the same person: field equal, then missing."""
    less = replace(a, **{field: () if field in ("phones", "certificates") else ""})  # type: ignore[arg-type]
    assert score(a, a).weight_bits >= score(a, less).weight_bits - 1e-9


@given(ANYBODY, st.sampled_from(["王小明", "王伟", "李小东", "王建国", "Wang Xiaoming"]))
@settings(max_examples=300, deadline=None)
def test_another_given_name_never_joins(a: Demographics, other: str) -> None:
    """Twins and others of one household, whatever else they share, their certificate (of a parent) included."""
    first, second = replace(a, names=("王小东",)), replace(a, names=(other,))
    assert answer(score(first, second)) != "join"


@given(ANYBODY, st.sampled_from(["王晓东", "王小冬", "王晓冬", "Wang^Xiaodong=王^晓东"]))
@settings(max_examples=300, deadline=None)
def test_hanzi_of_the_same_sound_join_by_certificate_alone(a: Demographics, other: str) -> None:
    """Twins may be called so, and share all else."""
    first, second = replace(a, names=("王小东",), certificates=()), replace(a, names=(other,))
    assert answer(score(first, second)) != "join"


@given(st.sampled_from(["王伟", "欧阳瑾瑜", "Wang Wei"]), DATES, st.sampled_from(["", "M", "F"]), st.booleans())
def test_name_and_birthday_alone_never_join(name: str, born: str, sex: str, elsewhere: bool) -> None:
    first = person(name, born=born, sex=sex, phones=(PHONE,), address=HOME)
    second = person(name, born=born, sex=sex, phones=(OTHER_PHONE,) * elsewhere, address=OTHER_HOME * elsewhere)
    assert answer(score(first, second)) != "join"


ASKED = bits_of(MATCHING.ask_probability)


@given(ANYBODY, ANYBODY, st.floats(-40, 40))
@settings(max_examples=1000, deadline=None)
def test_who_is_ruled_out_scores_too_little(a: Demographics, b: Demographics, enough: float) -> None:
    if Screen(a, enough).rules_out(b):
        assert score(a, b).weight_bits < enough
        assert set(a.certificates).isdisjoint(b.certificates)


@pytest.mark.parametrize(("a", "b", "expected"), [row[1:] for row in WORKED], ids=[row[0] for row in WORKED])
def test_nobody_is_ruled_out_who_is_asked_about(a: Demographics, b: Demographics, expected: str) -> None:
    if expected != "apart":
        assert not Screen(a, ASKED).rules_out(b)
        assert not Screen(b, ASKED).rules_out(a)


def test_namesakes_of_a_common_name_are_ruled_out_by_date_telephone_and_house_number() -> None:
    mine = person("王伟", phones=(PHONE,), address=HOME)
    other = person("王伟", born="19800714", phones=(OTHER_PHONE,), address=OTHER_HOME)
    assert Screen(mine, ASKED).rules_out(other)
    for field, value in (("phones", (PHONE,)), ("address", HOME)):
        assert not Screen(mine, ASKED).rules_out(replace(other, **{field: value})), field  # type: ignore[arg-type]
    rare = replace(mine, names=("裴瑾瑜",))
    assert not Screen(rare, ASKED).rules_out(replace(other, names=("裴瑾瑜",)))


def test_a_common_name_says_less_than_a_rare_one() -> None:
    common, rare = (score(person(name), person(name)) for name in ("王伟", "裴瑾瑜"))
    bits = [next(one.weight_bits for one in found.agreements if one.field == "name") for found in (common, rare)]
    assert bits[1] > bits[0] + 5


def test_every_level_of_the_model_can_be_reached_and_has_its_weight() -> None:
    from huitong.people import levels

    known = {
        "names": levels.NAMES, "birth_date": levels.DATES, "phones": levels.PHONES, "address": levels.ADDRESSES,
        "mother": levels.MOTHERS, "certificates": levels.CERTIFICATES,
        "sex": ("same", "different"), "birth_order": ("same", "different"),
    }  # fmt: skip
    for one in the_model().comparisons:
        assert tuple(one.levels) == known[one.kind]
        same, different = (the_model().bits({one.field: label})[one.field] for label in ("same", "different"))
        assert same > 0 > different


def test_every_guard_has_a_name_of_its_own() -> None:
    assert len({name for name, _ in GUARDS}) == len(GUARDS)


def test_what_is_unreadable_says_nothing() -> None:
    said = read(
        Demographics(names=("\ufffd\ufffd", "锟斤拷"), birth_date="19000101", phones=("0000000",), address="无")
    )
    assert not any((said.names, said.birth_date, said.phones, said.address))
