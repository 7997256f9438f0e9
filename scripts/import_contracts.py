"""A contract that import-linter has no type for: a room is entered from outside by its entrances only."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class EntrancesContract(Contract):
    """Modules outside `room` import, of it, `entrances` (and what lies below these) and nothing else."""

    type_name = "entrances"

    room = fields.StringField()
    entrances = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        room, entrances = str(self.room), tuple(str(name) for name in self.entrances)  # type: ignore[attr-defined]
        inside = {room, *graph.find_descendants(room)}
        wrong = sorted(
            (importer, imported)
            for imported in inside - {room}
            if not any(imported == name or imported.startswith(f"{name}.") for name in entrances)
            for importer in graph.find_modules_that_directly_import(imported) - inside
        )
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong, "entrances": entrances})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} imports {imported}, which is no entrance", bold=False)
        output.print_error(f"entrances: {', '.join(check.metadata['entrances'])}", bold=False)
