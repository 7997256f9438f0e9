from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import archive_in
from tests.people.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with archive_in(tmp_path) as archive:
        yield Registry(archive)
