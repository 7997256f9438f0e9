"""The audit verified: that of the store, or an exported file without any store; with heads that were kept elsewhere."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from huitong.access import auditing
from huitong.access.checking import Beginning, Checker, Findings, KeptHead
from huitong.access.exporting import VERSION
from huitong.access.heads import Head, Heads
from huitong.base.errors import AuditDamaged, BadRequest
from huitong.store.store import Store
from huitong.wire.checkpoint import Checkpoint, VerifierKey, read_note, read_notes

#: Longer records are in no file of ours.
_MOST_BYTES = 16 << 20


# --- what was kept ---


def read_heads(files: Sequence[Path]) -> list[KeptHead]:
    """From files with checkpoints one behind another, or with what `/audit/heads` answered. Raises BadRequest."""
    return sorted((head for file in files for head in _heads_in(file)), key=_size)


def _heads_in(file: Path) -> Iterator[KeptHead]:
    try:
        text = file.read_text("utf-8")
        if text.lstrip().startswith("{"):
            text = "\n".join(str(each["note"]) for each in orjson.loads(text)["heads"])
        for note in read_notes(text):
            yield KeptHead(Checkpoint.read(note.text), note, elsewhere=True)
    except OSError as e:
        raise BadRequest(f"{file}: {e.strerror}") from None
    except (ValueError, KeyError, TypeError) as e:
        raise BadRequest(f"{file} has no heads that can be read: {e}") from None


def read_keys(given: Sequence[str]) -> list[VerifierKey]:
    """Keys as they are written, or files with one in each line. Raises BadRequest."""
    found: list[VerifierKey] = []
    for each in given:
        try:
            lines = Path(each).read_text("utf-8").splitlines() if Path(each).is_file() else [each]
            found += [VerifierKey.read(line) for line in lines if line.strip()]
        except (OSError, ValueError) as e:
            raise BadRequest(f"{each[:200]}: {e}") from None
    return found


def _of_this_log(kept: Sequence[KeptHead], origin: str) -> None:
    for head in kept:
        if head.checkpoint.origin != origin:
            raise BadRequest(f"a head that was kept is of {head.checkpoint.origin!r}, and this log is {origin!r}")


def _size(head: KeptHead) -> int:
    return head.checkpoint.size


# --- the store ---


def verify_store(store: Store, heads: Heads, kept: Sequence[KeptHead], keys: Sequence[VerifierKey]) -> Findings:
    """All lines, and all heads that there are by now; also while a server runs. Raises BadRequest."""
    _of_this_log(kept, heads.origin)
    held = _Held(heads)
    checker = Checker(heapq.merge(held.each(), kept, key=_size), keys, ended=held.ended)
    try:
        for row in auditing.every(store):
            digest, number = bytes(row["hash"]), row["seq"]
            if not checker.line(number, row, digest) or not _sound_beside(checker, held, row, digest):
                break
    except AuditDamaged as e:
        checker.faulty(e.detail)
    found = checker.end()
    if not found.fault and held.faults():
        found.fault = held.faults()[0]
    return found


def _sound_beside(checker: Checker, held: _Held, row: Any, digest: bytes) -> bool:
    """What stands beside a line and is not hashed: columns by which it is found, and its head's copy of its hash."""
    if not auditing.is_found(row):
        checker.found.lines -= 1
        return checker.wrong(row["seq"])
    if held.last.pop(row["seq"], digest) != digest:
        return checker.faulty(f"the head of {row['seq']} lines names another last line")
    return True


class _Held:
    """The heads of a store, each held against itself, and the subtrees from which its proofs are made."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._newest, self._nodes = heads.nodes()
        #: Hashes of last lines, by number, that are not looked at yet.
        self.last: dict[int, bytes] = {}
        self._wrong: list[str] = []

    def each(self) -> Iterator[KeptHead]:
        """Those that there were at the beginning; raises AuditDamaged."""
        for head in self._heads.each():
            if head.size > self._newest:
                return
            self.last[head.size] = head.last_hash
            yield _read(head, self._heads.origin)

    def ended(self, level: int, number: int, node: bytes) -> None:
        if (number + 1) << level <= self._newest and self._nodes.pop((level, number), None) != node:
            self._wrong.append(f"subtree {number} of level {level} is not that of the lines: proofs would be false")

    def faults(self) -> list[str]:
        return [*self._wrong, *(f"subtree {number} of level {level} is of no lines" for level, number in self._nodes)]


def _read(head: Head, origin: str) -> KeptHead:
    """Raises AuditDamaged where the row does not agree with itself."""
    checkpoint, note = head.published()
    if checkpoint.origin != origin:
        raise AuditDamaged(f"the head of {head.size} lines is of the log {checkpoint.origin!r}, and this is {origin!r}")
    return KeptHead(checkpoint, note)


# --- a file ---


def verify_file(file: Path, kept: Sequence[KeptHead], keys: Sequence[VerifierKey]) -> Findings:
    """An exported file. Raises BadRequest for one that is none, or of which the heads are not."""
    try:
        with file.open("rb") as lines:
            return _verified(lines, kept, keys)
    except OSError as e:
        raise BadRequest(f"{file}: {e.strerror}") from None


def _verified(lines: Any, kept: Sequence[KeptHead], keys: Sequence[VerifierKey]) -> Findings:
    origin, beginning = _begun(_record(lines.readline(_MOST_BYTES)))
    _of_this_log(kept, origin)
    checker, ended = Checker(kept, keys, beginning, may_be_older=True), False
    while raw := lines.readline(_MOST_BYTES):
        record = _record(raw)
        if ended:
            checker.faulty("there are records behind the end of the file")
        elif record.keys() == {"end", "whole"}:
            ended = _ends(checker, record)
        else:
            _take(checker, record, origin)
        if checker.fault:
            break
    if not ended:
        checker.faulty(f"the file breaks off behind line {beginning.lines + checker.found.lines}")
    return checker.end()


def _record(raw: bytes) -> dict[str, Any]:
    """What is no record is an empty one."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _begun(record: dict[str, Any]) -> tuple[str, Beginning]:
    try:
        return _beginning(record)
    except (KeyError, TypeError, ValueError) as e:
        raise BadRequest(f"this is no file of `huitong audit export`: {e!r}") from None


def _beginning(record: dict[str, Any]) -> tuple[str, Beginning]:
    """The origin of the log, and what is before the first line. Raises KeyError, TypeError, ValueError."""
    if record["audit"] != VERSION:
        raise ValueError(f"its version is {record['audit']}, and this program reads {VERSION}")
    tree = tuple(map(bytes.fromhex, record["tree"]))
    found = Beginning(int(record["first"]) - 1, bytes.fromhex(record["before"]), tree)
    if found.lines < 0 or found.lines.bit_count() != len(tree) or (found.lines == 0 and found != Beginning()):
        raise ValueError("what stands before its first line cannot be")
    return str(record["origin"]), found


def _take(checker: Checker, record: dict[str, Any], origin: str) -> None:
    awaited = checker.tree.size + 1
    if "head" in record:
        head = _head(record, origin)
        if head is None:
            checker.faulty(f"the head behind line {awaited - 1} was altered")
        else:
            checker.head(head)
        return
    digest = _hex(record.get("hash"))
    if digest is None or type(record.get("line")) is not int:
        checker.wrong(awaited)
    else:
        checker.line(record["line"], record, digest)


def _head(record: dict[str, Any], origin: str) -> KeptHead | None:
    try:
        note = read_note(record["note"])
        found = KeptHead(Checkpoint.read(note.text), note)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if (found.checkpoint.origin, found.checkpoint.size) == (origin, record["head"]) else None


def _ends(checker: Checker, record: dict[str, Any]) -> bool:
    if record["end"] != checker.tree.size:
        return checker.faulty(f"lines after {checker.tree.size} were removed: the file went to line {record['end']}")
    checker.whole = record["whole"] is True
    return True


def _hex(text: object) -> bytes | None:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else None
    except ValueError:
        return None
