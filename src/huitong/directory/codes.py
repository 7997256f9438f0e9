"""The codes of the directory and their words in both languages; what a value may be. Pure.

A parser takes the text of a cell, gives it normalised, and raises Refused with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_network

from huitong.base import tls

Parse = Callable[[str], str]


class Refused(ValueError):
    """Why a value cannot be taken, in Chinese and in English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


@dataclass(frozen=True, slots=True)
class Word:
    """A code, and how it is said and recognised."""

    zh: str
    en: str
    others: tuple[str, ...] = ()


#: 医疗机构 by grade (医疗机构管理条例实施细则, 医院分级管理办法) and, of those without one, by kind.
LEVELS = {
    "3A": Word("三级甲等", "tertiary A", ("三甲",)),
    "3B": Word("三级乙等", "tertiary B", ("三乙",)),
    "3C": Word("三级丙等", "tertiary C", ("三丙",)),
    "3": Word("三级", "tertiary", ("三级未定等", "三级综合")),
    "2A": Word("二级甲等", "secondary A", ("二甲",)),
    "2B": Word("二级乙等", "secondary B", ("二乙",)),
    "2C": Word("二级丙等", "secondary C", ("二丙",)),
    "2": Word("二级", "secondary", ("二级未定等",)),
    "1A": Word("一级甲等", "primary A", ("一甲",)),
    "1B": Word("一级乙等", "primary B", ("一乙",)),
    "1C": Word("一级丙等", "primary C", ("一丙",)),
    "1": Word("一级", "primary", ("一级未定等",)),
    "township": Word("乡镇卫生院", "township health centre", ("卫生院", "中心卫生院")),
    "community": Word("社区卫生服务中心", "community health centre", ("社区",)),
    "station": Word("社区卫生服务站", "community health station"),
    "village": Word("村卫生室", "village clinic", ("村卫生所", "卫生室")),
    "clinic": Word("诊所", "clinic", ("门诊部",)),
    "centre": Word("诊断中心", "diagnostic centre", ("中心", "center")),
    "office": Word("行政机构", "office", ("机关",)),
    "none": Word("未定级", "without grade", ("未评级", "无")),
}
#: At which level a certificate counts (the mark HR, 互认标识).
SCOPES = {
    "national": Word("国家级", "national", ("国家", "全国")),
    "province": Word("省级", "province", ("省", "provincial")),
    "city": Word("市级", "city", ("市", "地市级")),
    "county": Word("县级", "county", ("县", "区级", "区县级")),
}
RESULTS = {"passed": Word("合格", "passed", ("通过", "pass")), "failed": Word("不合格", "failed", ("未通过", "fail"))}
SEXES = {
    "M": Word("男", "male", ("1", "男性")),
    "F": Word("女", "female", ("2", "女性")),
    "O": Word("其他", "other", ("9", "未说明")),
    "U": Word("未知", "unknown", ("0",)),
}
YES_NO = {
    "1": Word("是", "yes", ("启用", "有效", "true", "active", "y")),
    "0": Word("否", "no", ("停用", "无效", "false", "inactive", "n")),
}
#: Roles; codes of the code system practitioner-role of HL7 where it has them.
ROLES = {
    "doctor": Word("医师", "doctor", ("医生",)),
    "nurse": Word("护士", "nurse", ("护理",)),
    "pharmacist": Word("药师", "pharmacist"),
    "technician": Word("技师", "technician", ("医技",)),
    "researcher": Word("研究人员", "researcher"),
    "teacher": Word("教师", "teacher"),
    "registrar": Word("登记员", "registrar", ("主索引管理员",)),
    "administrator": Word("管理人员", "administrator", ("管理员", "行政")),
}
#: Endpoint kinds, after HL7's endpoint-connection-type; DIMSE has no code there.
ENDPOINTS = {
    "dicom-dimse": Word("DICOM（DIMSE）", "DICOM (DIMSE)", ("dicom", "dimse")),
    "dicom-wado-rs": Word("DICOMweb 检索", "DICOMweb retrieve", ("dicomweb", "wado-rs")),
    "dicom-stow-rs": Word("DICOMweb 存储", "DICOMweb store", ("stow-rs",)),
    "hl7v2-mllp": Word("HL7 v2（MLLP）", "HL7 v2 (MLLP)", ("hl7", "mllp", "hl7v2")),
    "hl7-fhir-rest": Word("FHIR", "FHIR", ("fhir",)),
}


def one_of(words: dict[str, Word]) -> Parse:
    """The code of a word in either language, or of the code itself."""
    known = {
        _plain(text): code for code, word in words.items() for text in (code, word.zh, word.en, *word.others) if text
    }

    def parse(text: str) -> str:
        found = known.get(_plain(text))
        if found is None:
            raise Refused(
                f"只能是：{'、'.join(word.zh for word in words.values())}",
                f"is none of: {', '.join(words)}",
            )
        return found

    return parse


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace(" ", "")


def text(most_chars: int) -> Parse:
    def parse(value: str) -> str:
        if len(value) > most_chars:
            raise Refused(f"超过 {most_chars} 个字符", f"is longer than {most_chars} characters")
        if any(unicodedata.category(each) == "Cc" for each in value):
            raise Refused("含有控制字符", "holds control characters")
        return value

    return parse


def matching(pattern: str, zh: str, en: str, *, upper: bool = False) -> Parse:
    compiled = re.compile(pattern)

    def parse(value: str) -> str:
        plain = unicodedata.normalize("NFKC", value)
        plain = plain.upper() if upper else plain
        if not compiled.fullmatch(plain):
            raise Refused(zh, en)
        return plain

    return parse


CODE_PATTERN = r"[A-Z0-9][A-Z0-9_-]{0,31}"
#: PS3.5 6.2, VR AE: at most 16 of the default repertoire without backslash and controls, spaces around it mean nothing.
AE_PATTERN = r"(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )"

institution_code = matching(
    CODE_PATTERN, "应为 1 至 32 位大写字母、数字、_ 或 -", "is not 1 to 32 of A-Z 0-9 _ -", upper=True
)
local_code = matching(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", "应为 1 至 32 位字母、数字、_ 或 -", "is not 1 to 32 of A-Z a-z 0-9 _ -"
)
ae_title = matching(AE_PATTERN, "AE 标题应为 1 至 16 个 ASCII 字符，不含反斜杠", "is no AE title")

#: GB/T 2260, first two digits.
PROVINCES = frozenset(
    map(
        str,
        (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82),
    )
)


def region(value: str) -> str:
    """GB/T 2260: province, prefecture, county, two digits each."""
    if not re.fullmatch("[0-9]{6}", value) or value[:2] not in PROVINCES:
        raise Refused("不是 GB/T 2260 的六位行政区划代码", "is no region code of six digits (GB/T 2260)")
    if value[2:4] == "00" and value[4:] != "00":
        raise Refused("县级代码缺少地级代码（GB/T 2260）", "names a county without a prefecture (GB/T 2260)")
    return value


_CREDIT_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit_check_letter(first17: str) -> str:
    """The check letter of a unified social credit code (GB 32100-2015 4.5: ISO 7064 style, weights 3^i mod 31)."""
    total = sum(_CREDIT_LETTERS.index(letter) * pow(3, place, 31) for place, letter in enumerate(first17))
    return _CREDIT_LETTERS[-total % 31]


def credit_code(value: str) -> str:
    """GB 32100: 18 of digits and letters without I O S V Z, with its check letter."""
    plain = unicodedata.normalize("NFKC", value).upper().replace(" ", "").replace("-", "")
    if len(plain) != 18 or not set(plain) <= set(_CREDIT_LETTERS):
        raise Refused("不是 18 位统一社会信用代码（GB 32100）", "is no unified social credit code of 18 (GB 32100)")
    if plain[17] != credit_check_letter(plain[:17]):
        raise Refused("统一社会信用代码校验位不符（GB 32100）", "has a wrong check letter (GB 32100)")
    return plain


_DAY = re.compile(r"(\d{4})\s*[-./年]?\s*(\d{1,2})\s*[-./月]?\s*(\d{1,2})\s*日?")


def day(value: str) -> str:
    """A date as YYYYMMDD, from 2026-01-31, 2026/1/31, 2026年1月31日 or 20260131."""
    found = _DAY.fullmatch(unicodedata.normalize("NFKC", value))
    try:
        return date(*map(int, found.groups())).strftime("%Y%m%d") if found else _no_day()
    except ValueError as e:
        if isinstance(e, Refused):
            raise
        return _no_day()


def _no_day() -> str:
    raise Refused("不是日期，应如 2026-01-31", "is no date, as in 2026-01-31")


def networks(value: str) -> str:
    """Networks in CIDR, with spaces between."""
    try:
        found = [str(ip_network(each)) for each in _several(value)]
    except ValueError:
        raise Refused("不是网段，应如 10.21.0.0/16", "is no network, as in 10.21.0.0/16") from None
    return " ".join(dict.fromkeys(found))


def digests(value: str) -> str:
    """SHA-256 digests in hexadecimal, colons allowed, with spaces between."""
    found = [each.replace(":", "").lower() for each in _several(value)]
    if not all(re.fullmatch("[0-9a-f]{64}", each) for each in found):
        raise Refused("不是十六进制的 SHA-256 摘要", "is no SHA-256 in hexadecimal")
    return " ".join(dict.fromkeys(found))


def certificate_name(value: str) -> str:
    """A certificate's DNS name or subject (RFC 4514), as names are compared."""
    if not value.strip():
        return ""
    try:
        return tls.certificate_name(value)
    except ValueError:
        reason = "既不是 DNS 名称，也不是 CN=…,O=… 形式的主体", "is no DNS name, nor a subject as CN=…,O=… (RFC 4514)"
        raise Refused(*reason) from None


def _several(value: str) -> list[str]:
    return [each for each in re.split(r"[\s,;，；、]+", value) if each]
