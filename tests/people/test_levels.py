"""How far two values agree, both ways round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.people.forms import read_address, read_name, read_phone
from huitong.people.levels import KINDS, jaro_winkler, within_one

ID, TYPED, OTHER = "11010519491231002X", "11010519491231003X", "440524188001010014"

CASES: list[tuple[str, Any, Any, str]] = [
    *[
        ("names", read_name(a), read_name(b), level)
        for a, b, level in [
            ("王小东", "王^小东", "same"),
            ("王小东", "小东王", "same, other order"),
            ("王小东", "王晓东", "same sound and tone"),
            ("王小东", "王小冬", "same sound and tone"),
            ("王一平", "王艺平", "same sound"),
            ("单小东", "Shan Xiaodong", "same sound"),
            ("王小东", "XIAODONG WANG", "same sound"),
            ("王小东", "wangxiaodong", "same sound"),
            ("吕小东", "Lyu^Xiaodong", "same sound"),
            ("王晓东", "Wang Xaiodong", "similar sound"),
            ("王小东", "王小明", "one character"),
            ("王小东", "王东", "one character"),
            ("王小东", "李小东", "given name only"),
            ("王小东", "王建国", "family name only"),
            ("王小东", "Wang Jianguo", "family name only"),
            ("王伟", "王芳", "family name only"),
            ("王小东", "李建国", "different"),
            ("王小东", "\ufffd\ufffd", ""),
        ]
    ],
    ("sex", "M", "M", "same"),
    ("sex", "M", "F", "different"),
    ("sex", "M", "O", ""),
    ("birth_date", "19800512", "19800512", "same"),
    ("birth_date", "19800512", "19801205", "day and month swapped"),
    ("birth_date", "19800512", "19800513", "one digit"),
    ("birth_date", "19800512", "19800521", "digits swapped"),
    ("birth_date", "19800512", "19801130", "year"),
    ("birth_date", "19800512", "19611130", "different"),
    ("birth_date", "19800512", "", ""),
    ("phones", (read_phone("+86 13803511234"),), (read_phone("13803511234"), "1"), "same"),
    ("phones", ("13803511234",), ("13803511243",), "one digit"),
    ("phones", ("13803511234",), ("13903519876",), "different"),
    ("phones", ("13803511234",), (), ""),
    ("address", read_address("学府街12号402"), read_address("学府街１２号402"), "same"),
    ("address", read_address("山西省太原市小店区学府街12号402"), read_address("学府街12号402"), "same numbers"),
    ("address", read_address("太原市学府街12号402"), read_address("太原市学府街13号402"), "similar"),
    ("address", read_address("太原市学府街12号402"), read_address("运城市上王庄村3号"), "different"),
    ("address", read_address("太原市学府街12号402"), None, ""),
    ("mother", read_name("李秀英"), read_name("李秀英"), "same"),
    ("mother", read_name("李秀英"), read_name("Li Xiuying"), "same sound"),
    ("mother", read_name("李秀英"), read_name("王芳"), "different"),
    ("birth_order", 1, 1, "same"),
    ("birth_order", 1, 2, "different"),
    ("birth_order", 1, None, ""),
    ("certificates", (("GB11643", ID),), (("GB11643", ID), ("passport", "E1")), "same"),
    ("certificates", (("GB11643", ID),), (("GB11643", TYPED),), "one digit"),
    ("certificates", (("GB11643", ID),), (("GB11643", OTHER),), "different"),
    ("certificates", (("GB11643", ID),), (("passport", ID),), ""),
    ("name_pair", ("mary", "smith"), ("smith", "mary"), "changed places"),
    ("name_pair", ("mary", "smith"), ("mary", ""), "one same, other missing"),
    ("name_pair", ("mary", "smith"), ("mary", "smyth"), "one same, other similar"),
    ("name_pair", ("mary", "smith"), ("john", "smith"), "one same"),
    ("name_pair", ("mary", "smith"), ("", ""), ""),
    ("number", "1234567", "1234567", "same"),
    ("number", "1234567", "1243567", "one digit"),
    ("number", "1234567", "7654321", "different"),
    ("alike", "mitchell", "mitchel", "very similar"),
    ("alike", "mitchell", "green", "different"),
]


@pytest.mark.parametrize(("kind", "a", "b", "level"), CASES)
def test_values_agree_so_far_whichever_comes_first(kind: str, a: Any, b: Any, level: str) -> None:
    assert KINDS[kind](a, b) == level
    assert KINDS[kind](b, a) == level


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_similarity_of_texts_is_symmetric_and_one_for_equal_texts_alone(a: str, b: str) -> None:
    assert jaro_winkler(a, b) == pytest.approx(jaro_winkler(b, a))
    assert 0 <= jaro_winkler(a, b) <= 1
    assert (jaro_winkler(a, b) == 1) == (a == b)
    assert within_one(a, b) == within_one(b, a)


def test_jaro_winkler_is_that_of_the_published_examples() -> None:
    """Winkler 1990: MARTHA/MARHTA 0.961, DIXON/DICKSONX 0.813."""
    assert jaro_winkler("MARTHA", "MARHTA") == pytest.approx(0.961, abs=5e-4)
    assert jaro_winkler("DIXON", "DICKSONX") == pytest.approx(0.813, abs=5e-4)
