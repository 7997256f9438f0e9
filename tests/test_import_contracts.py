from __future__ import annotations

from grimp import ImportGraph
from scripts.import_contracts import EntrancesContract


def _graph(*imports: tuple[str, str]) -> ImportGraph:
    graph = ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    return graph


def _kept(graph: ImportGraph) -> bool:
    contract = EntrancesContract(
        name="",
        session_options={},
        contract_options={"room": "h.room", "entrances": ["h.room.actions", "h.room.doors"]},
    )
    graph.add_module("h.room")
    return contract.check(graph, verbose=False).kept


def test_an_entrance_and_what_lies_below_it_may_be_imported() -> None:
    assert _kept(_graph(("h.app", "h.room.actions"), ("h.app", "h.room.doors.http")))


def test_the_room_may_use_all_of_itself() -> None:
    assert _kept(_graph(("h.room.actions", "h.room.records")))


def test_what_is_no_entrance_may_not_be_imported_from_outside() -> None:
    assert not _kept(_graph(("h.app", "h.room.records")))
    assert not _kept(_graph(("h.app", "h.room.actions_too")))
