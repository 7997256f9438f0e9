"""The pages on a real archive in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in
from tests.web.browsing import Browser, pages_on


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def pages(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as browser:
        yield browser
