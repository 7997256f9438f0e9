"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from tests import homes

from huitong.cli.servers import missing

# CI tries the same examples every time, so that a red run is this change's doing; at a desk they are new each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "where archives live: embedded (SQLite, files) or scaled (PostgreSQL, S3)"
    parser.addoption("--home", choices=(homes.EMBEDDED, homes.SCALED), default=homes.EMBEDDED, help=about)


def pytest_configure(config: pytest.Config) -> None:
    homes.kind = config.getoption("--home")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = missing()
    for item in items:
        if absent and (homes.kind == homes.SCALED or item.get_closest_marker("scaled")):
            item.add_marker(pytest.mark.skip(reason=absent))
        elif homes.kind == homes.SCALED and item.get_closest_marker("embedded"):
            item.add_marker(pytest.mark.skip(reason="of SQLite and local files alone"))
