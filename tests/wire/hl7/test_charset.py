"""Chinese is read whatever MSH-18 says, and European names survive it."""

from __future__ import annotations

import pytest

from huitong.wire.hl7 import codec_of, parse

HEAD = "MSH|^~\\&|HIS|TAIYUAN|||20260301||ADT^A04|1|P|2.5||||||{}\rPID|||1||{}^{}\r"


def read(declared: str, family: str, given: str, codec: str) -> tuple[str, str]:
    pid = parse(HEAD.format(declared, family, given).encode(codec)).first("PID")
    return pid.value(5, 1), pid.value(5, 2)


@pytest.mark.parametrize(
    "declared", ["", "ASCII", "UNICODE UTF-8", "UTF-8", "GB 18030-2000", "GBK", "8859/1", "nonsense"]
)
@pytest.mark.parametrize("codec", ["utf-8", "gbk", "gb18030"])
@pytest.mark.parametrize("name", [("王", "小东"), ("欧阳", "建国"), ("李", "淑芬"), ("张", "三")])
def test_hanzi_are_read_whatever_was_declared(declared: str, codec: str, name: tuple[str, str]) -> None:
    assert read(declared, *name, codec) == name


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("GB 18030-2000", "gb18030", ("𠮷", "𬭩瓛")),
        ("UNICODE UTF-8", "utf-8", ("𠮷", "𬭩瓛")),
        ("BIG-5", "big5", ("陳", "國強")),
        ("8859/1", "latin-1", ("Jääskeläinen", "Åsa")),
        ("", "latin-1", ("Müller", "Jürgen")),
        ("ISO IR14", "shift_jis", ("ﾔﾏﾀﾞ", "ﾀﾛｳ")),
        ("ISO IR87", "iso2022_jp", ("山田", "太郎")),
        ("KS X 1001", "euc_kr", ("김", "희중")),
    ],
)
def test_what_was_declared_is_believed(declared: str, codec: str, name: tuple[str, str]) -> None:
    assert read(declared, *name, codec) == name


def test_octets_that_end_with_a_delimiter_are_not_taken_for_one() -> None:
    name = "誠", "倈"  # GBK D55C and 827C: a backslash and a bar
    assert [each.encode("gbk")[1:] for each in name] == [b"\\", b"|"]
    assert read("GB 18030-2000", *name, "gbk") == name


@pytest.mark.parametrize("declared", ["", "UNICODE UTF-8", "GB 18030-2000", "nonsense"])
def test_an_answer_can_be_written_under_every_declaration(declared: str) -> None:
    assert "王".encode(codec_of(declared))
