"""Heads of the audit: what the log was when it had so many lines, as a root over all of them, signed and published.

Leaf `n` of the tree is the hash of line `n + 1`, 32 bytes, which covers that line's canonical bytes and all lines
before (`chaining`). So a head is made, and a proof held against it, without reading what the lines say; and the
hashes of leaves in a published proof tell nothing of a line to somebody who guesses what it says.

A head is made from the one before and the lines since. It commits to what was there then: lines that are altered
later do not get into a later head, and `access.checking` shows that they are not those of the heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from huitong.access.chaining import FIRST
from huitong.access.checking import Beginning
from huitong.access.head_key import Signer, signer_of
from huitong.access.merkle import STEP, Frontier, consistency_ranges, leaf_hash, range_root
from huitong.base import metrics
from huitong.base.clock import Clock, milliseconds
from huitong.base.errors import AuditDamaged, NotFound
from huitong.store.database import Session
from huitong.store.store import Store
from huitong.wire.checkpoint import Checkpoint, Note, read_note

_HASH_BYTES = 32
#: Hashes read in one transaction.
_PAGE = 10_000
#: Heads are added by one at a time.
_LOCK = ("audit head",)


@dataclass(frozen=True, slots=True)
class Head:
    """One head, as it is kept."""

    size: int
    at_ms: int
    #: What is published: the checkpoint, with its signature if there is one.
    note: str
    frontier: bytes
    #: Of line `size`.
    last_hash: bytes

    @property
    def root(self) -> bytes:
        return self.tree().root()

    def published(self) -> tuple[Checkpoint, Note]:
        """What is published of it. Raises AuditDamaged where the row does not agree with itself."""
        try:
            note = read_note(self.note)
            checkpoint = Checkpoint.read(note.text)
        except ValueError as e:
            raise AuditDamaged(f"the head of {self.size} lines was altered: {e}") from None
        if (checkpoint.size, checkpoint.root) != (self.size, self.root):
            raise AuditDamaged(f"the head of {self.size} lines was altered: its note says other than its row")
        return checkpoint, note

    def tree(self) -> Frontier:
        """Raises AuditDamaged."""
        hashes = (self.frontier[at : at + _HASH_BYTES] for at in range(0, len(self.frontier), _HASH_BYTES))
        try:
            return Frontier(self.size, hashes)
        except ValueError:
            raise AuditDamaged(f"the head of {self.size} lines has another number of subtrees") from None


class Heads:
    """Makes, finds and proves; one for each process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.origin = store.settings.audit_origin
        if store.settings.audit_key is not None:
            _ = self.signer  # a key that is none is said at the start

    @property
    def signer(self) -> Signer | None:
        """Raises SettingsError."""
        return self._store.once("access.head_signer", lambda: signer_of(self._store.settings))

    def newest(self, limit: int = 1, *, before: int | None = None) -> list[Head]:
        """The newest first, those of fewer than `before` lines where that is given."""
        with self._store.database.reading() as session:
            return _newest(session, limit, before)

    def of(self, size: int) -> Head:
        """The head that was made of so many lines. Raises NotFound."""
        found = self.newest(before=size + 1)
        if not found or found[0].size != size:
            raise NotFound("no head was made of so many lines")
        return found[0]

    def each(self, first: int = 1) -> Iterator[Head]:
        """All of `first` lines and more, the oldest first."""
        while True:
            with self._store.database.reading() as session:
                rows = session.rows(_EACH, {"first": first})
            yield from map(_head, rows)
            if not rows:
                return
            first = rows[-1]["size"] + 1

    def is_due(self) -> bool:
        """Whether the newest is `audit_head_s` old and lines were added since."""
        with self._store.database.reading() as session:
            last = _newest(session, 1)
            if not session.rows(_ANY_BEHIND, {"size": last[0].size if last else 0}):
                return False
        age_ms = milliseconds(self._clock()) - last[0].at_ms if last else 0
        return not last or age_ms >= self._store.settings.audit_head_s * 1000 or age_ms < 0

    def is_overdue(self) -> bool:
        """Whether a line waits for its head three times as long as it should: something is wrong."""
        with self._store.database.reading() as session:
            last = _newest(session, 1)
            waiting = session.rows(_ANY_BEHIND, {"size": last[0].size if last else 0})
        since_ms = max(last[0].at_ms if last else 0, waiting[0]["at_ms"]) if waiting else None
        waits_ms = milliseconds(self._clock()) - since_ms if since_ms is not None else 0
        return waits_ms > 3 * self._store.settings.audit_head_s * 1000

    def make(self) -> Head | None:
        """A head of all lines that are there; the newest, where it is that already, None where there is no line.

        Raises AuditDamaged where lines are missing, or the last line of the newest head is another by now.
        """
        try:
            made = self._make()
        except AuditDamaged:
            metrics.AUDIT_HEADS.labels("damaged").inc()
            raise
        return made

    def _make(self) -> Head | None:
        last = next(iter(self.newest()), None)
        grown, digest, nodes = self._grown(last)
        if grown.size == (last.size if last else 0):
            return last
        head = self._signed(grown, digest)
        with self._store.database.writing() as session:
            session.lock(_LOCK)
            now_last = next(iter(_newest(session, 1)), None)
            if (now_last.size if now_last else 0) != (last.size if last else 0):
                return now_last  # another process was quicker; what came since is for the next
            if session.rows(_NODE_BEHIND, {"number": (last.size if last else 0) >> STEP, "level": STEP}):
                raise AuditDamaged("subtrees are there of which no head is: heads were removed")
            session.run_many(_ADD_NODE, nodes)
            session.run(_ADD_HEAD, {name: getattr(head, name) for name in _COLUMNS})
        metrics.AUDIT_HEADS.labels("made").inc()
        return head

    def _grown(self, last: Head | None) -> tuple[Frontier, bytes, list[dict[str, object]]]:
        """The tree with all lines by now, the hash of the last, and the subtrees that became whole."""
        grown, digest = (last.tree(), last.last_hash) if last else (Frontier(), b"")
        if last is not None and self._hashes(last.size, 1) != [digest]:
            raise AuditDamaged(f"line {last.size} is not the one of which a head was made")
        nodes: list[dict[str, object]] = []

        def ended(level: int, number: int, node: bytes) -> None:
            nodes.append({"level": level, "number": number, "hash": node})

        while page := self._hashes(grown.size + 1, _PAGE):
            for digest in page:
                grown.add(leaf_hash(digest), ended)
        return grown, digest, nodes

    def _signed(self, grown: Frontier, digest: bytes) -> Head:
        checkpoint = Checkpoint(self.origin, grown.size, grown.root())
        note = self.signer.sign(checkpoint) if self.signer else Note(checkpoint.text())
        return Head(grown.size, milliseconds(self._clock()), str(note), b"".join(grown.hashes), digest)

    def _hashes(self, first: int, count: int) -> list[bytes]:
        """Of lines from number `first` on; raises AuditDamaged where one is missing among them."""
        with self._store.database.reading() as session:
            rows = session.rows(_HASHES, {"first": first, "count": count})
        for number, row in enumerate(rows, first):
            if row["seq"] != number:
                raise AuditDamaged(f"line {number} is missing")
        return [bytes(row["hash"]) for row in rows]

    # --- proofs ---

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof (RFC 9162 2.1.4.1) that the tree of `first` lines is the beginning of that of `second` lines.

        Raises NotFound where no head is of so many lines yet, or `first` is not from 1 to `second`.
        """
        newest = next(iter(self.newest()), None)
        if newest is None or not 0 < first <= second <= newest.size:
            raise NotFound("there is no proof between such numbers of lines")
        try:
            return [range_root(start, end, self._kept) for start, end in consistency_ranges(first, second)]
        except LookupError as e:
            raise AuditDamaged(str(e)) from None

    def _kept(self, level: int, number: int, count: int) -> list[bytes]:
        if level == 0:
            return [leaf_hash(each) for each in self._hashes(number + 1, count)]
        asked = {"level": level, "number": number, "behind": number + count}
        with self._store.database.reading() as session:
            return [bytes(row["hash"]) for row in session.rows(_NODES, asked)]

    def nodes(self) -> tuple[int, dict[tuple[int, int], bytes]]:
        """Of how many lines the newest head is, and all subtrees by level and number: one for 256 lines."""
        with self._store.database.reading() as session:
            newest = _newest(session, 1)
            found = {(row["level"], row["number"]): bytes(row["hash"]) for row in session.rows(_ALL_NODES, {})}
        return newest[0].size if newest else 0, found

    def beginning(self, lines: int) -> Beginning:
        """What is before line `lines + 1`. Raises AuditDamaged."""
        last = next(iter(self.newest(before=lines + 1)), None)
        grown, digest = (last.tree(), last.last_hash) if last else (Frontier(), FIRST)
        while grown.size < lines:
            page = self._hashes(grown.size + 1, min(_PAGE, lines - grown.size))
            if not page:
                raise AuditDamaged(f"line {grown.size + 1} is missing")
            for digest in page:
                grown.add(leaf_hash(digest))
        return Beginning(lines, digest, tuple(grown.hashes))


_COLUMNS = ("size", "at_ms", "frontier", "last_hash", "note")
_NEWEST = (
    "SELECT size, at_ms, frontier, last_hash, note FROM audit_head WHERE size < :behind ORDER BY size DESC LIMIT :limit"
)
_EACH = "SELECT size, at_ms, frontier, last_hash, note FROM audit_head WHERE size >= :first ORDER BY size LIMIT 1000"
_ADD_HEAD = """
    INSERT INTO audit_head (size, at_ms, frontier, last_hash, note)
    VALUES (:size, :at_ms, :frontier, :last_hash, :note)
"""
_ADD_NODE = "INSERT INTO audit_node (level, number, hash) VALUES (:level, :number, :hash)"
_NODES = """
    SELECT hash FROM audit_node WHERE level = :level AND number >= :number AND number < :behind ORDER BY number
"""
_NODE_BEHIND = "SELECT number FROM audit_node WHERE level = :level AND number >= :number LIMIT 1"
_ALL_NODES = "SELECT level, number, hash FROM audit_node"
_HASHES = "SELECT seq, hash FROM audit WHERE seq >= :first ORDER BY seq LIMIT :count"
_ANY_BEHIND = "SELECT at_ms FROM audit WHERE seq > :size ORDER BY seq LIMIT 1"
_HIGHEST = 2**63 - 1


def _newest(session: Session, limit: int, before: int | None = None) -> list[Head]:
    rows = session.rows(_NEWEST, {"limit": limit, "behind": _HIGHEST if before is None else before})
    return [_head(row) for row in rows]


def _head(row: object) -> Head:
    values = {name: row[name] for name in _COLUMNS}  # type: ignore[index]
    return Head(**{**values, "frontier": bytes(values["frontier"]), "last_hash": bytes(values["last_hash"])})
