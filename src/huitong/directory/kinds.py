"""What can be loaded: one table of kinds, with the columns of each in Chinese and English. Pure.

The same rows take CSV lines and what `bundles` makes of FHIR resources.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from huitong.directory import codes, tables
from huitong.directory.codes import Parse, Refused, Word
from huitong.wire.names import name_forms_of
from huitong.wire.pinyin import readings
from huitong.wire.text import fold


@dataclass(frozen=True, slots=True)
class Field:
    """A column."""

    name: str
    #: Headings by which it is recognised, beside its name; the first is how it is shown in Chinese.
    zh: tuple[str, ...]
    parse: Parse
    required: bool = False
    #: What it has when nothing is said of it.
    default: str = ""
    #: The codes that its values are.
    words: Mapping[str, Word] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What one file holds."""

    name: str
    word: Word
    table: Table
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    #: Names that are searched for by their parts.
    searched: tuple[str, ...] = ()

    def field(self, name: str) -> Field:
        return next(each for each in self.fields if each.name == name)


def _coded(
    name: str, zh: tuple[str, ...], words: dict[str, Word], *, required: bool = False, default: str = ""
) -> Field:
    return Field(name, zh, codes.one_of(words), required, default, words)


_ACTIVE = _coded("active", ("启用", "状态", "有效"), codes.YES_NO, default="1")
_AT = Field("institution", ("机构代码", "机构编码", "所属机构", "医疗机构代码"), codes.institution_code, True)
_NAME_EN = Field("name_en", ("英文名称", "英文名"), codes.text(200))
_PHONE = Field("phone", ("电话", "联系电话"), codes.text(40))
_FROM = Field("valid_from", ("起始日期", "开始日期", "有效期起"), codes.day)
_UNTIL = Field("valid_until", ("截止日期", "结束日期", "有效期止"), codes.day)

KINDS: dict[str, Kind] = {
    each.name: each
    for each in (
        Kind(
            "institutions",
            Word("机构", "institutions"),
            tables.INSTITUTION,
            ("code",),
            (
                Field("code", ("机构代码", "机构编码", "医疗机构代码"), codes.institution_code, True),
                Field("name", ("机构名称", "名称", "医疗机构名称"), codes.text(200), True),
                _NAME_EN,
                _coded("level", ("等级", "机构等级", "医院等级", "级别"), codes.LEVELS),
                Field("region", ("行政区划代码", "行政区划", "区划代码"), codes.region),
                Field("county_group", ("医共体", "医联体", "县域医共体", "所属医共体"), codes.text(200)),
                Field("credit_code", ("统一社会信用代码", "信用代码"), codes.credit_code),
                Field("parent", ("上级机构", "上级机构代码"), codes.institution_code),
                Field("address", ("地址",), codes.text(400)),
                _PHONE,
                _ACTIVE,
            ),
            ("name", "name_en", "county_group"),
        ),
        Kind(
            "departments",
            Word("科室", "departments"),
            tables.DEPARTMENT,
            ("institution", "code"),
            (
                _AT,
                Field("code", ("科室代码", "科室编码"), codes.local_code, True),
                Field("name", ("科室名称", "名称"), codes.text(200), True),
                _NAME_EN,
                Field("place", ("位置", "地点"), codes.text(200)),
                _PHONE,
                _ACTIVE,
            ),
            ("name", "name_en"),
        ),
        Kind(
            "practitioners",
            Word("人员", "practitioners"),
            tables.PRACTITIONER,
            ("code",),
            (
                Field("code", ("人员代码", "人员编码", "工号"), codes.local_code, True),
                Field("name", ("姓名",), codes.text(100), True),
                Field("name_en", ("英文名", "英文姓名", "拼音"), codes.text(100)),
                _coded("sex", ("性别",), codes.SEXES),
                Field("licence", ("执业证书编码", "执业证书编号", "执业证号"), codes.local_code),
                _ACTIVE,
            ),
            ("name", "name_en"),
        ),
        Kind(
            "roles",
            Word("任职", "roles"),
            tables.ROLE,
            ("practitioner", "institution", "department", "role"),
            (
                Field("practitioner", ("人员代码", "人员编码", "工号"), codes.local_code, True),
                _AT,
                Field("department", ("科室代码", "科室编码"), codes.local_code),
                _coded("role", ("角色", "岗位"), codes.ROLES, required=True),
                Field("title", ("职称",), codes.text(100)),
                Field("specialty", ("专业", "执业范围"), codes.text(200)),
                _FROM,
                _UNTIL,
                _ACTIVE,
            ),
            ("title", "specialty"),
        ),
        Kind(
            "endpoints",
            Word("接入点", "endpoints"),
            tables.ENDPOINT,
            ("institution", "code"),
            (
                _AT,
                Field("code", ("接入点代码", "接入点编码"), codes.local_code, True),
                _coded("kind", ("接入方式", "类型", "协议"), codes.ENDPOINTS, required=True),
                Field("name", ("接入点名称", "名称"), codes.text(200)),
                Field("address", ("地址", "接口地址"), codes.text(400)),
                Field("ae_title", ("AE标题", "AE名称", "AET"), codes.ae_title),
                Field("networks", ("网段", "允许网段"), codes.networks),
                Field("hl7_application", ("HL7应用", "发送应用"), codes.text(227)),
                Field("hl7_facility", ("HL7机构", "发送机构"), codes.text(227)),
                Field("certificate_sha256", ("证书指纹",), codes.digests),
                Field("certificate_name", ("证书主体", "证书名称"), codes.certificate_name),
                Field("token_sha256", ("令牌摘要",), codes.digests),
                _ACTIVE,
            ),
            ("name",),
        ),
        Kind(
            "certificates",
            Word("质控合格证", "certificates"),
            tables.CERTIFICATE,
            ("institution", "item", "level", "valid_from"),
            (
                _AT,
                Field("item", ("项目代码", "项目编码", "互认项目代码"), codes.local_code, True),
                Field("item_name", ("项目名称", "互认项目"), codes.text(200)),
                _coded("level", ("级别", "质控级别", "互认级别"), codes.SCOPES, required=True),
                Field("valid_from", _FROM.zh, codes.day, True),
                Field("valid_until", _UNTIL.zh, codes.day, True),
                _coded("result", ("结果", "质控结果"), codes.RESULTS, required=True),
                Field("number", ("证书编号", "证书号"), codes.text(100)),
                Field("issuer", ("发证机构", "颁发机构"), codes.text(200)),
            ),
            ("item_name", "item"),
        ),
    )
}


def heading(text: str) -> str:
    """A heading as it is compared: `AE_Title`, `ae title` and `ＡＥ标题 ` are written alike."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in plain if each.isalnum())


def columns_of(kind: Kind, headings: list[str]) -> list[Field | None]:
    """The field of each column; None where it means nothing."""
    known = {heading(text): field for field in kind.fields for text in (*field.zh, field.name)}
    return [known.get(heading(each)) for each in headings]


def kind_of(headings: list[str]) -> Kind | None:
    """The kind that has all it needs in these columns and knows most of them; None where none has."""
    best: tuple[int, Kind] | None = None
    for kind in KINDS.values():
        found = [field for field in columns_of(kind, headings) if field]
        complete = all(field in found for field in kind.fields if field.required)
        if complete and (best is None or len(found) > best[0]):
            best = len(found), kind
    return best[1] if best else None


def parsed(field: Field, text: str) -> str:
    """The value of a cell. Raises Refused."""
    value = text.strip()
    if value:
        return field.parse(value)
    if field.required:
        raise Refused("不能为空", "is needed")
    return field.default


def logical_id(kind: Kind, row: Mapping[str, str]) -> str:
    """FHIR's id (R4 2.24.0.1: 64 of A-Z a-z 0-9 - .) of a row, readable where it can be: `TAIYUAN.RAD`."""
    parts = [row[name] for name in kind.key]
    # A code begins with a letter or digit, so that of a run of dots an odd one is the separator, at its end.
    plain = ".".join(part.replace("_", "..") or "-" for part in parts)
    if len(plain) <= 64:
        return plain
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def parts_of(logical_id: str) -> list[str]:
    """The codes of which a readable id was made."""
    marked = re.sub(r"\.+", lambda run: "_" * (len(run[0]) // 2) + "\n" * (len(run[0]) % 2), logical_id)
    return ["" if part == "-" else part for part in marked.split("\n")]


#: Pinyin spellings of one name; characters with several readings multiply them.
_SPELLINGS = 8


def folded(kind: Kind, row: Mapping[str, str]) -> str:
    """What the row is looked for by: each form of its names on a line of its own, with one before the first."""
    forms: dict[str, None] = {}
    for name in kind.searched:
        if kind.name == "practitioners":
            forms |= dict.fromkeys(name_forms_of(row[name]))
        else:
            forms |= dict.fromkeys(_text_forms(row[name]))
    return "".join(f"\n{form}" for form in forms if form)


def _text_forms(value: str) -> list[str]:
    """Folded, and as pinyin and initials where it is hanzi."""
    plain = fold(value)
    spellings: list[tuple[str, ...]] = [()]
    for each in plain.replace(" ", ""):
        ways = readings(each) if not each.isascii() else (each,)
        spellings = [(*way, reading) for way in spellings for reading in (ways or (each,))][:_SPELLINGS]
    written = ["".join(way) for way in spellings]
    return [plain, plain.replace(" ", ""), *written, *("".join(part[0] for part in way) for way in spellings if way)]
