"""All scenarios, by the group in which they run: a group has its archive, filled in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from bench import ingest, retrieve, search

Scenario: TypeAlias = ingest.Ingest | retrieve.Retrieve | search.Search

GROUPS: dict[str, Sequence[Scenario]] = {
    "ingest": ingest.SCENARIOS,
    "scaled": ingest.SCALED,
    "retrieve": retrieve.SCENARIOS,
    "search": search.SCENARIOS,
}
NAMES = list(dict.fromkeys(one.name for group in GROUPS.values() for one in group))
