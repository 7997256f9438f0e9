"""Slices of a series repeat nearly all of their headers, byte for byte: what was read of one need not be read again.

A header is remembered as runs of elements, their bytes and what these were read as. Where the next object of the
series has the same bytes, the run is taken over; an element that differs is read, and splits the run, so that after a
few objects only what differs from slice to slice is read at all. That takes 0.16 ms instead of 0.42 for a CT slice;
reading was more than a fifth of all that receiving cost.

Laws of this file. Only elements are remembered whose meaning lies in their own bytes and the character set they stand
under, which is compared, too: nothing that tells a position, waits for another element or was odd. After each step
the reader stands between two elements of the data set, and can go on by itself whatever was remembered; so what is
read does not depend on this memory, but for the time it takes. What is taken over is shared and never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from huitong.wire.dicom.charset import Decode
from huitong.wire.dicom.entries import EXPLICIT, IMPLICIT, LONG, OCTETS, PLAIN, SEQUENCE
from huitong.wire.dicom.pixels import Header

if TYPE_CHECKING:
    from huitong.wire.dicom.reader import Reader

#: Series that are remembered, and octets of header of each: as Python objects these take about ten times as much.
_MOST_SERIES, _MOST_BYTES = 64, 32 << 10
#: A series whose headers differ in what elements they have is read plainly after so many attempts to learn it.
_MOST_ATTEMPTS = 4
_OWN_KINDS = frozenset({PLAIN, LONG, OCTETS, SEQUENCE})
#: (0020,000E) Series Instance UID without and with its VR. Where a nested one comes first, several series may share a
#: memory, which then has more gaps.
_SERIES = {False: b"\x20\x00\x0e\x00", True: b"\x20\x00\x0e\x00UI"}
_LONGEST_UID = 64

#: How many elements have to be read.
Gap = int


@dataclass(frozen=True, slots=True)
class Run:
    """Elements in a row, and what the reader notes besides when it reads them."""

    raw: bytes
    elements: Header
    #: Character sets that they were read under.
    terms: tuple[str, ...]
    foreign: bool
    count: int
    octets_read: int
    #: Of a run of several: each alone.
    parts: tuple[Run, ...] = ()


@dataclass(slots=True)
class _Series:
    """What is remembered of a series."""

    #: The series was seen before: what comes alone is not learnt.
    seen: bool = False
    pieces: tuple[Run | Gap, ...] = ()
    attempts: int = 0


@lru_cache(maxsize=_MOST_SERIES)
def _series(key: bytes, explicit: bool) -> _Series:
    return _Series()


def forget() -> None:
    """All series are as if never seen."""
    _series.cache_clear()


def recall(reader: Reader, start: int, explicit: bool) -> int:
    """Read what can be taken over of the data set at `start`, and what lies between; where reading goes on."""
    key = _series_element(reader.data, start, explicit)
    if not key or reader.order != "<":
        return start
    series = _series(key, explicit)
    if not series.seen or series.attempts > _MOST_ATTEMPTS:
        series.seen = True
        return start
    walk = _Walk(reader, explicit)
    if series.pieces:
        end, pieces = walk.follow(series.pieces, start)
    else:
        series.attempts += 1
        end, pieces = walk.learn(start)
    if pieces is not None:
        series.pieces = pieces
    return end


def _series_element(data: bytes, start: int, explicit: bool) -> bytes:
    """The element whole; empty where there is none."""
    at = data.find(_SERIES[explicit], start)
    length = int.from_bytes(data[at + 6 : at + 8] if explicit else data[at + 4 : at + 8], "little")
    return data[at : at + 8 + length] if at >= 0 and length <= _LONGEST_UID else b""


@dataclass(slots=True)
class _Walk:
    """One header, read with the help of what is remembered."""

    reader: Reader
    explicit: bool
    #: The decoder of text, and of which character sets. The reader must not hold it: each would keep the other alive.
    _text: Decode = field(init=False)
    _terms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._text = self.reader.text(())

    def _step(self, pos: int, most: int) -> int:
        """Read so many elements."""
        reader = self.reader
        loop = reader.explicit if self.explicit else reader.implicit
        pos = loop(pos, len(reader.data), reader.header, 0, "", self._text, most)
        if reader.terms is not self._terms:
            self._terms, self._text = reader.terms, reader.text(reader.terms)
        return pos

    def follow(self, pieces: Iterable[Run | Gap], pos: int) -> tuple[int, tuple[Run | Gap, ...] | None]:
        """Where it ended, and the pieces from now on where they have changed."""
        reader, startswith = self.reader, self.reader.data.startswith
        followed: list[Run | Gap] = []
        changed = False
        for piece in pieces:
            if isinstance(piece, Gap):
                pos = self._step(pos, piece)
                followed.append(piece)
            elif startswith(piece.raw, pos) and piece.terms == reader.terms:
                pos = self._take(piece, pos)
                followed.append(piece)
            else:
                changed = True
                for part in piece.parts or (piece,):
                    if startswith(part.raw, pos) and part.terms == reader.terms:
                        pos = self._take(part, pos)
                        followed.append(part)
                    elif startswith(part.raw[:4], pos):
                        pos = self._step(pos, 1)
                        followed.append(1)
                    else:  # another element: what comes now is not what came before
                        return pos, ()
        return pos, _joined(followed) if changed else None

    def _take(self, run: Run, pos: int) -> int:
        reader = self.reader
        reader.header.update(run.elements)
        reader.foreign = reader.foreign or run.foreign
        reader.spend(run.count, run.octets_read)
        return pos + len(run.raw)

    def learn(self, pos: int) -> tuple[int, tuple[Run | Gap, ...]]:
        """The same, of a series that was seen once."""
        end, room, learnt = len(self.reader.data), _MOST_BYTES, list[Run | Gap]()
        while pos < end and room > 0:
            before, (pos, piece) = pos, self._learn_one(pos)
            learnt.append(piece)
            room -= pos - before if isinstance(piece, Run) else 0
        return pos, _joined(learnt)

    def _learn_one(self, pos: int) -> tuple[int, Run | Gap]:
        reader = self.reader
        entry = (
            EXPLICIT["<"].get(reader.data[pos : pos + 6])
            if self.explicit
            else IMPLICIT["<"].get(reader.data[pos : pos + 4])
        )
        noted, terms, foreign = _notes(reader), reader.terms, reader.foreign
        count, octets_read, known = reader.count, reader.octets_read, len(reader.header)
        reader.foreign = False
        after = self._step(pos, 1)
        own = entry is not None and entry[1] in _OWN_KINDS and _notes(reader) == noted and len(reader.header) > known
        piece: Run | Gap = 1
        if own and entry is not None:
            element = {entry[0]: reader.header[entry[0]]}
            piece = Run(
                reader.data[pos:after],
                element,
                terms,
                reader.foreign,
                reader.count - count,
                reader.octets_read - octets_read,
            )
        reader.foreign = foreign or reader.foreign
        return after, piece


def _notes(reader: Reader) -> tuple[int, ...]:
    """Grows with what the reader keeps of an element besides its JSON."""
    return (len(reader.problems), len(reader.uris), len(reader.pending), len(reader.bulk), len(reader.extended))


def _joined(pieces: Iterable[Run | Gap]) -> tuple[Run | Gap, ...]:
    return tuple(_join(pieces))


def _join(pieces: Iterable[Run | Gap]) -> Iterator[Run | Gap]:
    """Neighbours made one."""
    gap, row = 0, list[Run]()
    for piece in pieces:
        if isinstance(piece, Gap):
            if row:
                yield _one(row)
                row = []
            gap += piece
        else:
            if gap:
                yield gap
                gap = 0
            if row and row[0].terms != piece.terms:
                yield _one(row)
                row = []
            row += piece.parts or (piece,)
    if gap:
        yield gap
    if row:
        yield _one(row)


def _one(row: list[Run]) -> Run:
    if len(row) == 1:
        return row[0]
    return Run(
        raw=b"".join(run.raw for run in row),
        elements={key: element for run in row for key, element in run.elements.items()},
        terms=row[0].terms,
        foreign=any(run.foreign for run in row),
        count=sum(run.count for run in row),
        octets_read=sum(run.octets_read for run in row),
        parts=tuple(row),
    )
