"""Scripts for Node.js with clients from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Of tests that drive fhir-kit-client.
fhir_kit = pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "node_modules/fhir-kit-client").is_dir(),
    reason="node or fhir-kit-client is not installed",
)


def said_by(script: str, *arguments: str) -> dict[str, Any]:
    """The JSON object that the script prints."""
    command = ["node", "-e", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
