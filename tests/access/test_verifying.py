"""The log of the store and its exported file, altered by hand in every way: found, and the first line named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from tests.access.test_auditing import looked, work_of
from tests.access.test_heads import write_lines
from tests.archives import TestArchive, archive_in

from huitong.access import auditing
from huitong.access.chaining import COLUMNS, FIRST, chained
from huitong.access.checking import Findings, KeptHead
from huitong.access.exporting import export, part_of
from huitong.access.head_key import new_key, signer_of
from huitong.access.verifying import read_heads, read_keys, verify_file, verify_store
from huitong.base.clock import now
from huitong.base.errors import BadRequest
from huitong.base.settings import Settings
from huitong.wire.checkpoint import Checkpoint, Note, VerifierKey, read_note

LINES = 600
#: Heads were made of so many lines.
SIZES = (1, 256, 300, 590)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        fill(opened)
        yield opened


def fill(archive: TestArchive) -> None:
    done = 0
    for size in (*SIZES, LINES):
        write_lines(archive, size - done, done + 1)
        if size != LINES:
            archive.access.heads.make()
        done = size


def by_hand(archive: TestArchive, *statements: str) -> None:
    with archive.store.database.write() as tx:
        for statement in statements:
            tx.execute(text(statement))


def verified(archive: TestArchive, kept: tuple[KeptHead, ...] = (), keys: tuple[VerifierKey, ...] = ()) -> Findings:
    return verify_store(archive.store, archive.access.heads, kept, keys)


def key_of(archive: TestArchive) -> VerifierKey:
    assert archive.access.heads.signer is not None
    return archive.access.heads.signer.key


def kept_of(archive: TestArchive, size: int) -> KeptHead:
    """As somebody keeps it elsewhere."""
    note = read_note(archive.access.heads.of(size).note)
    return KeptHead(Checkpoint.read(note.text), note, elsewhere=True)


def rewrite(archive: TestArchive, first: int, **to: Any) -> None:
    """Line `first` says something else, and all hashes from there on are those of what the lines say by now."""
    rows = [dict(zip((*COLUMNS, "seq"), [r[n] for n in (*COLUMNS, "seq")], strict=True)) for r in _rows(archive)]
    before, hashes = FIRST, []
    for row in rows:
        if row["seq"] == first:
            row.update(to)
        before = chained(before, row)
        hashes.append({"seq": row["seq"], "hash": before})
    with archive.store.database.writing() as session:
        for name, value in to.items():
            session.run(f"UPDATE audit SET {name} = :value WHERE seq = :seq", {"value": value, "seq": first})
        session.run_many("UPDATE audit SET hash = :hash WHERE seq = :seq", hashes)


def _rows(archive: TestArchive) -> list[Any]:
    return list(auditing.every(archive.store))


# --- the store ---


def test_all_is_well_and_how_far_the_heads_go_is_said(archive: TestArchive) -> None:
    found = verified(archive, (kept_of(archive, 300),), (key_of(archive),))
    assert (found.fault, found.lines, found.first_fault) == ("", LINES, None)
    assert (found.heads, found.signed, found.kept) == (5, 5, 1)
    assert found.covered == 590
    assert found.head == bytes(_rows(archive)[-1]["hash"])


def test_an_empty_log_is_well(tmp_path: Path) -> None:
    with archive_in(tmp_path) as empty:
        assert verified(empty) == Findings()


_TEXT = ("asker", "action", "rule", "purpose", "person", "kind", "object", "institution", "detail")


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        *((f"UPDATE audit SET {name} = {name} || ' ' WHERE seq = 123", 123) for name in _TEXT),
        ("UPDATE audit SET at_ms = at_ms - 1 WHERE seq = 123", 123),
        ("UPDATE audit SET allowed = 1 - allowed WHERE seq = 123", 123),
        ("UPDATE audit SET account = 'wu' WHERE seq = 123", 123),
        ("UPDATE audit SET asker_institution = 'YUNCHENG' WHERE seq = 123", 123),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 123", 123),
        ("DELETE FROM audit WHERE seq = 123", 123),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("UPDATE audit SET seq = seq + 1000 WHERE seq >= 123", 123),
    ],
)
def test_the_first_line_that_was_touched_is_named(archive: TestArchive, statement: str, line: int) -> None:
    by_hand(archive, statement)
    found = verified(archive)
    assert (found.first_fault, found.lines) == (line, line - 1)
    assert f"line {line} was altered, removed or put in" in found.fault


@pytest.mark.parametrize("seq", [0, -5])
def test_a_line_that_was_put_in_is_found(archive: TestArchive, seq: int) -> None:
    names = ", ".join((*COLUMNS, "hash", "account", "asker_institution"))
    by_hand(archive, f"INSERT INTO audit (seq, {names}) SELECT {seq}, {names} FROM audit WHERE seq = 7")
    assert verified(archive).first_fault == 1


def test_a_line_that_was_put_in_in_the_middle_is_found(archive: TestArchive) -> None:
    names = ", ".join((*COLUMNS, "hash", "account", "asker_institution"))
    by_hand(
        archive,
        "UPDATE audit SET seq = -seq WHERE seq >= 400",
        "UPDATE audit SET seq = 1 - seq WHERE seq <= -400",
        f"INSERT INTO audit (seq, {names}) SELECT 400, {names} FROM audit WHERE seq = 7",
    )
    assert verified(archive).first_fault == 400


def test_an_end_that_was_cut_shows_by_the_heads_of_the_store_and_without_them_by_a_kept_one(
    archive: TestArchive,
) -> None:
    kept = kept_of(archive, 590)
    by_hand(archive, "DELETE FROM audit WHERE seq > 580")
    assert verified(archive).fault == "lines after 580 were removed: the head is of 590 lines"
    by_hand(archive, "DELETE FROM audit_head WHERE size > 580", "DELETE FROM audit_node")
    assert "were removed: the head that was kept is of 590 lines" in verified(archive, (kept,)).fault


def test_lines_after_the_last_head_can_be_cut_unseen_and_not_once_a_head_was_made(archive: TestArchive) -> None:
    by_hand(archive, "DELETE FROM audit WHERE seq > 595")
    assert verified(archive).fault == ""  # what the interval between heads is about
    archive.access.heads.make()
    by_hand(archive, "DELETE FROM audit WHERE seq > 594")
    assert "lines after 594 were removed" in verified(archive).fault


def test_a_history_that_was_written_anew_is_not_the_one_of_the_heads(archive: TestArchive) -> None:
    rewrite(archive, 280, person="HT9999")
    assert auditing.check(archive.store).first_fault is None  # the chain alone says nothing
    found = verified(archive)
    assert found.fault.startswith("lines among 257 to 300 are not those of which the head of 300 lines was made")


def test_a_history_with_heads_that_agree_is_not_the_one_of_a_head_that_was_kept(archive: TestArchive) -> None:
    kept, key = kept_of(archive, 300), key_of(archive)
    rewrite(archive, 280, person="HT9999")
    by_hand(archive, "DELETE FROM audit_head", "DELETE FROM audit_node")
    archive.access.heads.make()  # by whoever has the key, too
    assert verified(archive).fault == ""
    found = verified(archive, (kept,), (key,))
    assert "300 are not those of which the head that was kept of 300 lines was made" in found.fault


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_head SET note = replace(note, '300', '301') WHERE size = 300", "300 lines was altered"),
        ("UPDATE audit_head SET note = 'x' WHERE size = 300", "300 lines was altered"),
        ("UPDATE audit_head SET frontier = (SELECT frontier FROM audit_head WHERE size = 1) WHERE size = 256",
         "256 lines was altered"),
        ("UPDATE audit_head SET frontier = (SELECT frontier FROM audit_head WHERE size = 300) WHERE size = 256",
         "another number of subtrees"),
        ("UPDATE audit_head SET last_hash = (SELECT hash FROM audit WHERE seq = 1) WHERE size = 300",
         "names another last line"),
        ("UPDATE audit_head SET size = 299 WHERE size = 300", "299 lines"),
        ("UPDATE audit_node SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE number = 1", "subtree 1"),
        ("DELETE FROM audit_node WHERE number = 0", "subtree 0"),
        ("UPDATE audit_node SET number = 77 WHERE number = 1", "subtree 1 of level 8 is not"),
    ],
)  # fmt: skip
def test_heads_and_subtrees_that_were_touched_are_named(archive: TestArchive, statement: str, said: str) -> None:
    archive.access.heads.make()
    assert verified(archive).fault == ""
    by_hand(archive, statement)
    assert said in verified(archive).fault


def test_a_signature_that_is_false_or_of_another_is_found(archive: TestArchive, tmp_path: Path) -> None:
    key, head = key_of(archive), kept_of(archive, 300)
    (tmp_path / "key").write_bytes(new_key())
    (tmp_path / "key").chmod(0o600)
    other = signer_of(Settings(audit_key=tmp_path / "key"))
    assert other is not None
    by_other = KeptHead(head.checkpoint, other.sign(head.checkpoint), elsewhere=True)
    assert verified(archive, (head,), (key,)).fault == ""
    assert "not signed by a key that was given" in verified(archive, (by_other,), (key,)).fault
    unsigned = KeptHead(head.checkpoint, Note(head.note.text), elsewhere=True)
    assert "not signed by a key that was given" in verified(archive, (unsigned,), (key,)).fault
    assert verified(archive, (unsigned,)).fault == ""
    false = replace(head.note.signatures[0], signature=bytes(64))
    forged = KeptHead(head.checkpoint, Note(head.note.text, (false,)), elsewhere=True)
    assert "signature of the head that was kept of 300 lines is false" in verified(archive, (forged,), (key,)).fault
    by_hand(archive, f"UPDATE audit_head SET note = '{Note(head.note.text, (false,))}' WHERE size = 300")
    assert "the signature of the head of 300 lines is false" in verified(archive, (), (key,)).fault


def test_a_log_that_grows_while_it_is_verified_is_well(archive: TestArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    every = auditing.every

    def growing(*given: Any, **more: Any) -> Iterator[Any]:
        yield from every(*given, **more)
        auditing.record(work_of(archive), looked())
        archive.access.heads.make()

    with monkeypatch.context() as patched:
        patched.setattr(auditing, "every", growing)
        assert verified(archive).fault == ""
    assert verified(archive).lines == LINES + 1


# --- a file ---


@pytest.fixture
def file(archive: TestArchive, tmp_path: Path) -> Path:
    return exported(archive, tmp_path / "audit.jsonl")


def exported(archive: TestArchive, to: Path, **which: Any) -> Path:
    export(archive.store, archive.access.heads, part_of(archive.store, **which), now, to)
    assert to.stat().st_mode & 0o777 == 0o600
    return to


def change(file: Path, how: Callable[[list[dict[str, Any]]], object]) -> Path:
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    how(records)
    file.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in records))
    return file


def at(records: list[dict[str, Any]], line: int) -> int:
    return next(n for n, each in enumerate(records) if each.get("line") == line)


def test_a_whole_file_is_well_without_any_store(archive: TestArchive, file: Path) -> None:
    found = verify_file(file, [kept_of(archive, 300)], [key_of(archive)])
    assert (found.fault, found.lines, found.heads, found.signed, found.kept) == ("", LINES, 5, 5, 1)
    assert found.covered == 590
    assert found.head == bytes(_rows(archive)[-1]["hash"])


@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 600), (257, 300), (258, 590), (591, 600), (301, 301)])
def test_a_part_is_verified_with_the_heads_within_it(
    archive: TestArchive, tmp_path: Path, first: int, last: int
) -> None:
    part = exported(archive, tmp_path / "part", first=first, last=last)
    kept = [kept_of(archive, size) for size in SIZES]
    found = verify_file(part, kept, [key_of(archive)])
    assert (found.fault, found.first, found.lines) == ("", first, last - first + 1)
    assert found.kept == sum(first - 1 <= size <= last for size in SIZES)
    assert found.not_covered == len(SIZES) - found.kept


@pytest.mark.parametrize("name", [*COLUMNS, "hash", "line"])
def test_the_first_line_of_a_file_that_was_touched_is_named(file: Path, name: str) -> None:
    def touch(records: list[dict[str, Any]]) -> None:
        line = records[at(records, 123)]
        line[name] = (
            line[name] + 1 if isinstance(line[name], int) else line[name][:-1] + chr(ord(line[name][-1:] or "a") ^ 1)
        )

    found = verify_file(change(file, touch), [], [])
    assert (found.first_fault, found.lines) == (123, 122)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda r: r.pop(at(r, 123)), "line 123 was"),
        (lambda r: r.insert(at(r, 123), r[at(r, 50)]), "line 123 was"),
        (lambda r: r[at(r, 123)].pop("rule"), "line 123 was"),
        (lambda r: r[at(r, 123)].update(hash=7), "line 123 was"),
        (lambda r: r[at(r, 123)].update(line="123"), "line 123 was"),
        (lambda r: r.pop(), "breaks off behind line 600"),
        (lambda r: r.__delitem__(slice(at(r, 581), None)), "breaks off behind line 580"),
        (lambda r: r.__delitem__(slice(at(r, 581), -1)), "lines after 580 were removed"),
        (lambda r: r.append(r[5]), "records behind the end"),
        (lambda r: r[at(r, 300) + 1].update(note="x"), "head behind line 300 was altered"),
        (lambda r: r[at(r, 300) + 1].update(head=299), "head behind line 300 was altered"),
        (lambda r: r.insert(at(r, 310), r.pop(at(r, 300) + 1)), "head of 300 lines stands behind line"),
    ],
)  # fmt: skip
def test_a_file_that_was_touched_says_where(
    file: Path, how: Callable[[list[dict[str, Any]]], object], said: str
) -> None:
    assert said in verify_file(change(file, how), [], []).fault


def test_a_file_written_anew_is_not_of_the_head_that_was_kept(archive: TestArchive, tmp_path: Path) -> None:
    kept = kept_of(archive, 300)
    rewrite(archive, 280, person="HT9999")
    by_hand(archive, "DELETE FROM audit_head", "DELETE FROM audit_node")
    archive.access.heads.make()
    file = exported(archive, tmp_path / "anew")
    assert verify_file(file, [], []).fault == ""
    assert "not those of which the head that was kept of 300 lines" in verify_file(file, [kept], []).fault


def test_a_file_whose_end_was_cut_and_mended_is_short_of_a_head_that_was_kept(archive: TestArchive, file: Path) -> None:
    def cut(records: list[dict[str, Any]]) -> None:
        del records[at(records, 581) :]
        records.append({"end": 580, "whole": True})

    change(file, cut)
    assert verify_file(file, [], []).fault == ""
    assert "lines after 580 were removed, or the file is older" in verify_file(file, [kept_of(archive, 590)], []).fault


def test_a_part_with_another_beginning_is_not_of_the_heads(archive: TestArchive, tmp_path: Path) -> None:
    part = exported(archive, tmp_path / "part", first=258)
    change(part, lambda r: r[0].update(tree=[hashlib.sha256(b"").hexdigest(), *r[0]["tree"][1:]]))
    assert "head of 300 lines" in verify_file(part, [], []).fault


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}\n", b"\xff\n", b"[]\n", b'{"audit":2}\n',
        b'{"audit":1,"origin":"x","first":2,"before":"","tree":[]}\n',
        b'{"audit":1,"origin":"x","first":1,"before":"00","tree":[]}\n',
        b'{"audit":1,"origin":"x","first":0,"before":"","tree":[]}\n',
    ],
)  # fmt: skip
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadRequest):
        verify_file(tmp_path / "file", [], [])


def test_lines_are_chosen_by_number_and_time(archive: TestArchive) -> None:
    with archive.store.database.write() as tx:
        tx.execute(text("UPDATE audit SET at_ms = seq * 1000"))
    start = datetime(1970, 1, 1, tzinfo=UTC)
    part = part_of(archive.store, since=start + timedelta(seconds=100), until=start + timedelta(seconds=200))
    assert (part.first, part.last, part.whole) == (100, 199, False)
    whole = part_of(archive.store)
    assert (whole.first, whole.last, whole.whole) == (1, LINES, True)
    assert part_of(archive.store, first=5, last=9999).last == LINES
    for which in ({"first": 601}, {"first": 9, "last": 8}, {"since": now()}, {"until": start}):
        with pytest.raises(BadRequest):
            part_of(archive.store, **which)  # type: ignore[arg-type]


# --- what was kept ---


def test_heads_are_read_as_checkpoints_and_as_they_were_listed(archive: TestArchive, tmp_path: Path) -> None:
    notes = [archive.access.heads.of(size).note for size in (590, 1, 300)]
    (tmp_path / "notes").write_text("".join(notes), "utf-8")
    (tmp_path / "listed").write_bytes(orjson.dumps({"heads": [{"note": each} for each in notes]}))
    assert [each.checkpoint.size for each in read_heads([tmp_path / "notes"])] == [1, 300, 590]
    assert read_heads([tmp_path / "listed"]) == read_heads([tmp_path / "notes"])
    key = key_of(archive)
    (tmp_path / "keys").write_text(f"{key}\n")
    assert read_keys([str(key), str(tmp_path / "keys")]) == [key, key]


def test_heads_and_keys_that_are_none_and_heads_of_another_log_are_refused(
    archive: TestArchive, tmp_path: Path
) -> None:
    for content in ("x", "{}", '{"heads": 1}', "a\n1\nb\n\n"):
        (tmp_path / "heads").write_text(content)
        with pytest.raises(BadRequest):
            read_heads([tmp_path / "heads"])
    for each in ("x", str(tmp_path / "absent")):
        with pytest.raises(BadRequest):
            read_keys([each])
    with pytest.raises(BadRequest):
        read_heads([tmp_path / "absent"])
    other = KeptHead(Checkpoint("other", 300, bytes(32)), Note(""), elsewhere=True)
    with pytest.raises(BadRequest, match="is of 'other'"):
        verified(archive, (other,))
