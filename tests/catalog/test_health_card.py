"""The codes of card use, as the catalogue has them."""

from __future__ import annotations

from huitong.catalog.health_card import HEALTH_CARD, OTHER_STEP, STEPS, TERMINAL_TYPES, WINDOW
from huitong.people.cards.rules import FIELDS


def test_the_codes_say_where_they_come_from() -> None:
    assert HEALTH_CARD.date.year >= 2026
    assert "not public" in HEALTH_CARD.source


def test_every_code_is_one_that_a_record_of_use_takes_and_has_both_names() -> None:
    for field, table in (("step", STEPS), ("terminal_type", TERMINAL_TYPES)):
        for code, names in table.items():
            assert FIELDS[field].fullmatch(code)
            assert all(names)
            assert len(names) == 2


def test_what_pages_fall_back_to_is_there() -> None:
    assert OTHER_STEP in STEPS
    assert TERMINAL_TYPES[WINDOW] == ("人工窗口", "Staffed window")
    assert STEPS["010101"][0] == "挂号"
