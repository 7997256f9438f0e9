"""The picture on the screen is told from every other, and OHIF's configuration is Huitong's but for one line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from bench.corpus import Corpus
from bench.ohif import Front, _configuration, likeness, windowed
from bench.targets import Huitong, Orthanc
from PIL import Image


def _shot(grey: np.ndarray) -> bytes:  # type: ignore[type-arg]
    """As a viewport shows it: scaled, between black bars, with other brightness and contrast."""
    picture = Image.fromarray((40 + grey * 150).astype(np.uint8)).resize((600, 600))
    screen = Image.new("RGB", (900, 600))
    screen.paste(picture, (150, 0))
    out = io.BytesIO()
    screen.save(out, "PNG")
    return out.getvalue()


def test_a_slice_is_like_itself_and_not_like_another_or_itself_turned_over() -> None:
    first, _, _, last = (windowed(one) for one in Corpus(base_slices=4).series(1, 4))
    shot = _shot(first)
    assert likeness(shot, first) > 0.98
    assert likeness(shot, last) < 0.9
    assert likeness(shot, first[::-1]) < 0.9
    assert likeness(_shot(np.zeros((512, 512))), first) == 0.0


def test_orthanc_gets_our_configuration_without_thumbnails(tmp_path: Path) -> None:
    ours, theirs = (_configuration(kind(tmp_path)).splitlines() for kind in (Huitong, Orthanc))
    assert [(a.strip(), b.strip()) for a, b in zip(ours, theirs, strict=True) if a != b] == [
        ("thumbnailRendering: 'thumbnail',", "thumbnailRendering: 'wadors',")
    ]


def test_nginx_serves_the_viewer_and_passes_questions_on(tmp_path: Path) -> None:
    front = Front(tmp_path / "front", Orthanc(tmp_path / "orthanc"), b"<!doctype html>")
    (tmp_path / "front").mkdir()
    front._command()
    said = (tmp_path / "front" / "nginx.conf").read_text()
    assert "location /dicom-web/" in said
    assert "Cross-Origin-Embedder-Policy require-corp" in said
    assert said.count("{") == said.count("}")
