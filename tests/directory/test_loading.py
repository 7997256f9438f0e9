"""Files into the directory: what is kept, what is refused and why, and that loading again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in

from huitong.base.errors import NotFound, SenderFault
from huitong.cli.demo_directory import FILES
from huitong.directory import actions
from huitong.directory.model import LoadReport
from huitong.store import ledger


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        yield opened


def load(archive: TestArchive, text: str, *, encoding: str = "utf-8", dry_run: bool = False) -> LoadReport:
    return actions.load(archive.access.local(), "file.csv", text.encode(encoding), dry_run=dry_run)


def load_demo(archive: TestArchive) -> list[LoadReport]:
    return [actions.load(archive.access.local(), file, text.encode()) for file, text in FILES.items()]


def counts(report: LoadReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.refused


def facts(archive: TestArchive) -> list[ledger.Fact]:
    with archive.store.database.read() as tx:
        return [each for each in ledger.follow(tx, 0) if each.kind == "directory.loaded"]


INSTITUTIONS = "机构代码,机构名称,等级\nA,甲医院,三甲\nB,乙卫生院,乡镇卫生院\n"


def test_the_demo_s_files_are_taken_whole_and_again_change_nothing(archive: TestArchive) -> None:
    first = load_demo(archive)
    assert [each.kind for each in first] == [
        "institutions", "departments", "practitioners", "roles", "endpoints", "certificates"
    ]  # fmt: skip
    assert [counts(each)[1:] for each in first] == [(0, 0, 0)] * 6
    again = load_demo(archive)
    assert all(
        each.changes_nothing and each.unchanged == before.added for each, before in zip(again, first, strict=True)
    )
    assert len(facts(archive)) == 6


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_in_the_encodings_that_spreadsheets_write(archive: TestArchive, encoding: str) -> None:
    assert counts(load(archive, INSTITUTIONS, encoding=encoding)) == (2, 0, 0, 0)
    assert actions.institution_page(archive.reader, "A").institution.name == "甲医院"


def test_english_headings_and_words_do_as_well(archive: TestArchive) -> None:
    assert counts(load(archive, "code,name,level\na,First Hospital,tertiary A\n")) == (1, 0, 0, 0)
    assert actions.institution_page(archive.reader, "A").institution.level == "3A"


def test_good_lines_are_kept_beside_refused_ones_which_are_named(archive: TestArchive) -> None:
    text = (
        "机构代码,机构名称,等级,行政区划代码,统一社会信用代码,备注\n"
        "A,甲医院,四级,990101,12140100MB0000010X,x\n"
        "B,乙医院,二甲,140107,12140100MB0000010B,x\n"
        "\n"
        ",丙医院,,,,\n"
        "D,丁医院,,,,,多一列\n"
    )
    report = load(archive, text)
    assert counts(report) == (1, 0, 0, 3)
    assert report.ignored == ("备注",)
    assert [(each.line, each.field, each.value) for each in report.refusals] == [
        (2, "等级", "四级"),
        (2, "行政区划代码", "990101"),
        (2, "统一社会信用代码", "12140100MB0000010X"),
        (5, "机构代码", ""),
        (6, "", ""),
    ]
    assert all(each.reason_zh and each.reason_en for each in report.refusals)
    assert actions.load_report(archive.reader, report.pk) == report


def test_a_line_that_contradicts_another_of_the_file_is_refused(archive: TestArchive) -> None:
    report = load(archive, "code,name\nA,one\nA,two\nA,one\n")
    assert counts(report) == (1, 0, 1, 1)
    assert (report.refusals[0].line, "2" in report.refusals[0].reason_en) == (3, True)


def test_what_a_file_has_no_column_for_stays_and_an_empty_cell_empties(archive: TestArchive) -> None:
    load(archive, INSTITUTIONS)
    assert counts(load(archive, "code,name,phone\nA,甲医院,0351\n")) == (0, 1, 0, 0)
    page = actions.institution_page(archive.reader, "A").institution
    assert (page.level, page.phone, page.version) == ("3A", "0351", 2)
    load(archive, "code,name,phone\nA,甲医院,\n")
    assert actions.institution_page(archive.reader, "A").institution.phone == ""


def test_a_dry_run_says_what_would_be_and_keeps_nothing(archive: TestArchive) -> None:
    report = load(archive, INSTITUTIONS, dry_run=True)
    assert (counts(report), report.pk) == ((2, 0, 0, 0), 0)
    assert actions.find_institutions(archive.reader)[0] == 0
    assert actions.load_reports(archive.reader) == []
    assert facts(archive) == []


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("institution,code,name\nZ,RAD,放射科\n", "institution", "not in the directory"),
        ("code,name,parent\nC,c,Z\n", "parent", "not in the directory"),
        ("code,name,parent\nC,c,C\n", "parent", "itself"),
        ("institution,code,kind,ae_title\nB,X,hl7,AE\n", "ae_title", "dicom-dimse"),
        ("institution,code,kind\nB,X,hl7\n", "address", "no address"),
        ("institution,code,kind,ae_title,networks\nB,X,dimse,CT1,10.1.0.0/24\n", "ae_title", "A from the same"),
        ("institution,code,kind,networks\nB,X,dimse,10.1.0.1/24\n", "networks", "no network"),
        (f"institution,code,kind,token_sha256\nB,X,dicomweb,{'ab' * 32}\n", "token_sha256", "A from"),
        ("institution,code,kind,hl7_application,networks\nB,X,hl7,HIS,10.1.2.0/24\n", "hl7_application", "A from"),
        ("institution,item,level,valid_from,valid_until,result\nA,CT,省,2026-02-01,2026-01-01,合格\n",
         "valid_until", "before"),
        ("institution,item,level,valid_from,valid_until,result\nA,CT,村,2026-02-30,2026-12-31,合格\n",
         "level", "none of"),
        ("practitioner,institution,role\nP9,A,doctor\n", "practitioner", "not in the directory"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_rest_is_refused(archive: TestArchive, text: str, field: str, reason: str) -> None:
    load(archive, INSTITUTIONS)
    own = load(
        archive,
        "institution,code,kind,ae_title,networks,token_sha256,hl7_application\n"
        f"A,PACS,dimse,CT1,10.1.0.0/16,{'ab' * 32},\nA,HIS,hl7,,10.1.0.0/16,,HIS\n",
    )
    assert counts(own) == (2, 0, 0, 0)
    report = load(archive, text)
    assert counts(report) == (0, 0, 0, 1)
    assert report.refusals[0].field == field
    assert reason in report.refusals[0].reason_en


def test_two_institutions_may_use_one_ae_title_from_networks_apart(archive: TestArchive) -> None:
    load(archive, INSTITUTIONS)
    text = "institution,code,kind,ae_title,networks\nA,X,dimse,CT1,10.1.0.0/16\nB,X,dimse,CT1,10.2.0.0/16\n"
    assert counts(load(archive, text)) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff,\xff", b"a,b\n1,2\n", b"", b"{", b"{}x", b"code,name\0\n", b'"a\n']
)
def test_what_is_no_such_file_is_refused_whole(archive: TestArchive, data: bytes) -> None:
    with pytest.raises(SenderFault):
        actions.load(archive.access.local(), "file", data)


def test_a_quote_that_is_never_closed_is_refused_from_its_line_on(archive: TestArchive) -> None:
    report = load(archive, 'code,name\nA,甲医院\nB,"乙医院\n')
    assert counts(report) == (1, 0, 0, 1)
    assert report.refusals[0].line == 3


def test_institutions_are_found_by_name_pinyin_initials_code_region_and_level(archive: TestArchive) -> None:
    load_demo(archive)

    def found(*asked: str) -> list[str]:
        total, rows = actions.find_institutions(archive.reader, *asked)
        assert total == len(rows)
        return [row.code for row in rows]

    assert found() == ["TAIYUAN", "YC_DONGCUN", "YC_XIECHI", "YUNCHENG"]
    for text in ("太原", "中心医院", "taiyuan", "tyszxyy", "Central", "TAIY", "12140100MB0000010B"):
        assert found(text) == ["TAIYUAN"], text
    assert found("", "1408") == ["YC_DONGCUN", "YC_XIECHI", "YUNCHENG"]
    assert found("", "140100") == ["TAIYUAN"]
    assert found("", "", "village") == ["YC_DONGCUN"]
    assert found("%") == []


def test_a_certificate_counts_on_its_days_if_it_was_passed(archive: TestArchive) -> None:
    load_demo(archive)
    ask = [("TAIYUAN", "CT-HEAD"), ("TAIYUAN", "US-ABD"), ("YUNCHENG", "DR-CHEST"), ("YUNCHENG", "CT-HEAD")]
    assert [actions.certified(archive.reader, *each, "20261126") for each in ask] == [["province"], [], [], ["city"]]
    assert actions.certified(archive.reader, "TAIYUAN", "CT-HEAD", "20270101") == []


def test_an_institution_that_nobody_knows_has_no_page(archive: TestArchive) -> None:
    with pytest.raises(NotFound):
        actions.institution_page(archive.reader, "NOBODY")


def bundle(*resources: dict[str, object]) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]})


def test_resources_of_other_kinds_or_forms_are_refused_by_their_number(archive: TestArchive) -> None:
    report = load(
        archive,
        bundle(
            {"resourceType": "Organization", "id": "C", "name": "丙医院"},
            {"resourceType": "Patient", "id": "1"},
            {"resourceType": "PractitionerRole", "id": "1"},
            {"resourceType": "Organization", "id": "D"},
            {"resourceType": "Organization", "id": "C.RAD", "name": "放射科",
             "type": [{"coding": [{"code": "dept"}]}], "partOf": {"reference": "Organization/C"}},
        ),
    )  # fmt: skip
    assert counts(report) == (2, 0, 0, 3)
    assert [(each.line, each.field) for each in report.refusals] == [
        (2, "resourceType"),
        (3, "PractitionerRole"),
        (4, "name"),
    ]
