"""Where the folder of real DICOM files beside the clone is; tests that want it are skipped where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[1] / "../shared"


def shared(*parts: str) -> Path:
    """The path of a file or folder in it; skips the test, saying so, where that does not exist."""
    path = _SHARED.joinpath(*parts).resolve()
    if not path.exists():
        pytest.skip(f"{path} is not there (the folder of real files lies beside the clone where there is one)")
    return path
