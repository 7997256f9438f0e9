"""An HL7 v2 message as values: segments of fields, repetitions, components and subcomponents (v2.5 chapter 2.5).

Texts are unescaped. What is absent is the empty text or an empty tuple, and no tuple ends with one. `NULL` (two
quotation marks) is a value: it says that what was known is to be forgotten, where absent says nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NULL = '""'

#: Subcomponents.
Component = tuple[str, ...]
Repetition = tuple[Component, ...]
Field = tuple[Repetition, ...]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2. One that the sender did not name is empty, and not met."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    #: From v2.7 on.
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


def part(repetition: Repetition, component: int, subcomponent: int = 1) -> str:
    """A text within a repetition, both numbers from 1; empty where it is absent."""
    parts = repetition[component - 1] if component <= len(repetition) else ()
    return parts[subcomponent - 1] if subcomponent <= len(parts) else ""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; of MSH, field 1 is the separator itself and field 2 the encoding characters."""

    name: str
    #: Field 1 first.
    fields: tuple[Field, ...]

    def repetitions(self, number: int) -> Field:
        """All that field `number` (from 1) has; empty where it is absent."""
        return self.fields[number - 1] if number <= len(self.fields) else ()

    def value(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """A text of the first repetition; empty where it is absent, `NULL` where it is null."""
        repetitions = self.repetitions(number)
        return part(repetitions[0], component, subcomponent) if repetitions else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message; its first segment is MSH."""

    segments: tuple[Segment, ...]
    delimiters: Delimiters = Delimiters()

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """The segments of this name, in their order."""
        return (each for each in self.segments if each.name == name)

    def first(self, name: str) -> Segment:
        """The first segment of this name; one without fields where there is none."""
        return next(self.all(name), Segment(name, ()))

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.value(10)

    @property
    def kind(self) -> tuple[str, str]:
        """Message code and trigger event, MSH-9.1 and MSH-9.2."""
        return self.header.value(9, 1), self.header.value(9, 2)

    @property
    def version(self) -> str:
        """MSH-12, as in "2.5.1"."""
        return self.header.value(12)


def field_of(text: str) -> Field:
    """A field that is one text."""
    return (((text,),),) if text else ()
