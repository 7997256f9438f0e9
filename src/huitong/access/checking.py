"""Whether lines of the audit are those that were written: held against one another, and against heads. Pure.

The chain shows a line that was altered, removed or put in. What the chain cannot show, as whoever writes the database
can write it anew, a head shows that was kept elsewhere: an end that was cut off, and a history that is whole in itself
and not the one of which the head was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from huitong.access.chaining import FIRST, Chain
from huitong.access.merkle import Ended, Frontier, leaf_hash
from huitong.wire.checkpoint import Checkpoint, Note, VerifierKey, is_signed_by


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head and where it was: in the store or the file with the lines, or elsewhere."""

    checkpoint: Checkpoint
    note: Note
    #: Somebody kept it where the lines are not: it must be signed, if a key is given.
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was before the first line that is looked at: nothing, where that is line 1."""

    lines: int = 0
    head: bytes = FIRST
    tree: tuple[bytes, ...] = ()


@dataclass
class Findings:
    """What was found. All is well where `fault` is empty."""

    #: Lines that are as they were written.
    lines: int = 0
    first: int = 1
    #: Hash of the last of them.
    head: bytes = FIRST
    #: What is wrong first, in words; with the number of the line where it is one.
    fault: str = ""
    first_fault: int | None = None
    #: Heads that agree with the lines, those of them that one of the keys has signed, and those kept elsewhere.
    heads: int = 0
    signed: int = 0
    kept: int = 0
    #: Heads of fewer lines than the first one looked at, or (of a part) of more than the last.
    not_covered: int = 0
    #: Lines of the last head that agrees.
    covered: int = 0


@dataclass
class Checker:
    """Takes lines in their order; `heads` come by number of lines, the smallest first."""

    heads: Iterable[KeptHead] = ()
    keys: Sequence[VerifierKey] = ()
    beginning: Beginning = field(default_factory=Beginning)
    #: Whether the lines go on to the end of the log: then a head of more lines shows that the end was cut off.
    whole: bool = True
    #: Whether the lines may be from before the last of the heads: those of a file are of the day when it was written.
    may_be_older: bool = False
    #: Told of whole subtrees, as `Frontier.add` does.
    ended: Ended | None = None

    def __post_init__(self) -> None:
        start = self.beginning
        self._chain = Chain(start.lines, start.head)
        self.tree = Frontier(start.lines, start.tree)
        self._heads = iter(self.heads)
        self._next = next(self._heads, None)
        self.found = Findings(first=start.lines + 1, head=start.head)
        self._hold_heads()

    @property
    def fault(self) -> str:
        return self.found.fault

    def line(self, number: int, line: Mapping[str, Any], digest: bytes) -> bool:
        """Whether all is well up to this line, and with the heads of so many; nothing is taken after a fault."""
        if self.fault:
            return False
        awaited = self._chain.number + 1
        if not self._chain.follows(number, line, digest):
            return self.wrong(awaited)
        self.tree.add(leaf_hash(digest), self.ended)
        self.found.lines += 1
        self.found.head = digest
        self._hold_heads()
        return not self.fault

    def head(self, head: KeptHead) -> bool:
        """Whether the head, which stands behind the last line, agrees."""
        if not self.fault and head.checkpoint.size != self.tree.size:
            return self.faulty(f"the head of {head.checkpoint.size} lines stands behind line {self.tree.size}")
        if not self.fault:
            self._hold(head)
        return not self.fault

    def wrong(self, number: int) -> bool:
        """Line `number` is the first that is not as it was written; always false."""
        self.found.first_fault = number
        return self.faulty(f"line {number} was altered, removed or put in")

    def faulty(self, what: str) -> bool:
        self.found.fault = self.found.fault or what
        return False

    def end(self) -> Findings:
        """What was found, when there are no more lines."""
        if self._next is not None and not self.fault and self.whole:
            missing = "were removed, or the file is older than the head" if self.may_be_older else "were removed"
            self.faulty(
                f"lines after {self._chain.number} {missing}: {_name(self._next)} is of {self._next.checkpoint.size}"
                " lines"
            )
        while self._next is not None and not self.fault:
            self.found.not_covered += 1
            self._next = next(self._heads, None)
        return self.found

    def _hold_heads(self) -> None:
        """Against all of as many lines as there are by now."""
        while self._next is not None and self._next.checkpoint.size <= self.tree.size and not self.fault:
            if self._next.checkpoint.size < self.tree.size:
                self.found.not_covered += 1
            else:
                self._hold(self._next)
            self._next = next(self._heads, None)

    def _hold(self, head: KeptHead) -> None:
        size = head.checkpoint.size
        signed = is_signed_by(head.note, self.keys) if self.keys else None
        if signed is False:
            self.faulty(f"the signature of {_name(head)} of {size} lines is false")
        elif head.elsewhere and self.keys and not signed:
            self.faulty(f"{_name(head)} of {size} lines is not signed by a key that was given")
        elif head.checkpoint.root != self.tree.root():
            self.faulty(
                f"{_between(self.found.covered, size)} not those of which {_name(head)} of {size} lines was made:"
                " written anew"
            )
        else:
            self.found.heads += 1
            self.found.signed += bool(signed)
            self.found.kept += head.elsewhere
            self.found.covered = size


def _name(head: KeptHead) -> str:
    return "the head that was kept" if head.elsewhere else "the head"


def _between(covered: int, size: int) -> str:
    """The lines among which the first altered one is: those of the last head that agrees are sound."""
    return f"line {size} is" if covered + 1 == size else f"lines among {covered + 1} to {size} are"
