"""A CT of 500 slices in OHIF: how long until the first picture is on the screen, and until all can be scrolled to.

The same Chromium opens the same OHIF build with the same configuration, once from Huitong, which serves it, and once
from nginx, with Orthanc behind it on the same origin, as Orthanc is installed with OHIF. So that nobody takes what
nginx adds for Orthanc's, Huitong is measured behind the same nginx, too.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from bench import procs
from bench.corpus import Corpus, Instance
from bench.http_client import Http, request
from bench.run import load
from bench.targets import Huitong, Nginx, Orthanc, Target, running
from huitong.base.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
#: Rendering without a graphics card, and nothing that reaches for the network.
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
_SCREEN = {"width": 1366, "height": 768}
_TIMEOUT_MS = 180_000
_CANVAS = "canvas.cornerstone-canvas"
#: Pearson's r with the slice that was sent; another slice of the phantom, or the right one turned over, has less.
_ALIKE = 0.9
_ALIKE_WITHIN_S = 20.0
#: How often each request that led to the first frame is asked again without a browser.
_ASKED_AGAIN = 9
_WEB = Path(__file__).resolve().parents[1] / "src" / "huitong" / "web"


def missing() -> str:
    """Why no browser can be driven here; empty when it can."""
    if find_spec("playwright") is None or CHROMIUM is None:
        return "Chromium and playwright are needed: make setup test-tools"
    return "" if (_build() / "index.html").is_file() else "OHIF is not installed: make setup"


def _build() -> Path:
    return Settings().ohif_path


# --- who serves the viewer ---


class Front(Nginx):
    """nginx that serves OHIF and passes DICOMweb on to an archive, on one origin."""

    def __init__(self, folder: Path, archive: Target, document: bytes) -> None:
        super().__init__(folder)
        self._archive, self._document = archive, document

    def _locations(self) -> str:
        root = self.folder / "root"
        (root / "static").mkdir(parents=True, exist_ok=True)
        (root / "viewer.html").write_bytes(self._document)
        (root / "app-config.js").write_text(_configuration(self._archive), "utf-8")
        shutil.copy(_WEB / "static" / "mark.svg", root / "static")
        isolated = " ".join(
            f"add_header {name} {value};"
            for name, value in (
                ("Cross-Origin-Opener-Policy", "same-origin"),
                ("Cross-Origin-Embedder-Policy", "require-corp"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
            )
        )
        return f"""
    include /etc/nginx/mime.types; {isolated}
    location = /viewer {{ root {root}; try_files /viewer.html =404; default_type text/html; }}
    location = /app-config.js {{ root {root}; }}
    location /static/ {{ root {root}; }}
    location /dicom-web/ {{
      proxy_pass http://archive; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_buffers 64 64k; proxy_max_temp_file_size 0;
    }}
    location / {{ root {_build()}; }}
"""

    def _upstreams(self) -> str:
        return f"upstream archive {{ server {self._archive.http}; keepalive 32; }}"


def _configuration(archive: Target) -> str:
    """Huitong's own, but for what Orthanc does not have: thumbnails."""
    text = (_WEB / "static" / "app-config.js").read_text("utf-8")
    if not isinstance(archive, Orthanc):
        return text
    ours, theirs = "thumbnailRendering: 'thumbnail'", "thumbnailRendering: 'wadors'"
    if ours not in text:
        raise ValueError(f"app-config.js has no {ours}")
    return text.replace(ours, theirs)


# --- one opening ---


@dataclass
class Opened:
    """What one opening took, in ms."""

    who: str
    #: From opening the address, and from the viewer's first question to the archive.
    first_image_ms: float
    asked_first_image_ms: float
    all_images_ms: float
    asked_all_images_ms: float
    #: Of the archive's processes until the first picture, and until the last.
    cpu_first_image_ms: float
    cpu_all_images_ms: float
    #: The requests that led to the first frame, asked again one after another without a browser.
    server_ms: float
    server_requests: int
    peak_rss_mb: float
    #: Other than the right pictures on the screen.
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """An archive, and where its viewer is opened."""

    name: str
    title: str
    archive: Target
    front: Target


def open_series(browser: Browser, source: Source, series: Sequence[Instance]) -> Opened:
    archive = source.archive
    archive.wait_until_quiet(0.1)
    procs.reset_peak(archive.pid)
    context = browser.new_context(viewport=_SCREEN)  # type: ignore[arg-type]
    context.set_default_timeout(_TIMEOUT_MS)
    context.add_init_script(path=Path(__file__).with_name("front.js"))
    context.add_init_script(f"window.bench.wanted = {len(series)}")
    page = context.new_page()
    asked: list[Request] = []
    failed: list[str] = []
    page.on("request", lambda each: asked.append(each) if "/dicom-web/" in each.url else None)
    page.on("response", lambda each: failed.append(f"{each.status} {each.url}") if each.status >= 400 else None)
    before = procs.usage(archive.pid).cpu_s
    page.goto(f"http://{source.front.http}/viewer?StudyInstanceUIDs={series[0].study.uid}")
    page.wait_for_function("window.bench.firstImageMs > 0")
    at_first = procs.usage(archive.pid).cpu_s
    page.wait_for_function("window.bench.allImagesMs > 0", polling=100)
    at_last = procs.usage(archive.pid)
    first_ms, all_ms, asked_ms = page.evaluate(
        "[window.bench.firstImageMs, window.bench.allImagesMs, Math.min(...performance.getEntriesByType('resource')"
        ".filter(each => each.name.includes('/dicom-web/')).map(each => each.startTime))]"
    )
    faults = [*failed[:3], *_shown(page, series)]
    requests = _until_first_frame(asked)
    server_ms = _ask_again(archive, requests)
    context.close()
    return Opened(
        source.name, first_ms, first_ms - asked_ms, all_ms, all_ms - asked_ms, 1000 * (at_first - before),
        1000 * (at_last.cpu_s - before), server_ms, len(requests), at_last.peak_rss_bytes / 1e6, faults,
    )  # fmt: skip


def _until_first_frame(asked: Sequence[Request]) -> list[tuple[str, Mapping[str, str]]]:
    """Path and headers of the questions up to the first for a frame."""
    found: list[tuple[str, Mapping[str, str]]] = []
    for each in asked:
        url = urlsplit(each.url)
        headers = {"Accept": each.headers.get("accept", "*/*"), "Accept-Encoding": "gzip"}
        found.append((url.path + (f"?{url.query}" if url.query else ""), headers))
        if "/frames/" in url.path:
            break
    return found


def _ask_again(archive: Target, requests: Sequence[tuple[str, Mapping[str, str]]]) -> float:
    """The sum of medians, in ms."""
    total_ms = 0.0
    with closing(Http(archive.http)) as http:
        for path, headers in requests:
            prepared, took_s = request("GET", archive.http, path, headers), []
            for _ in range(_ASKED_AGAIN):
                began = time.perf_counter()
                http.ask(prepared)
                took_s.append(time.perf_counter() - began)
            total_ms += 1000 * statistics.median(took_s)
    return total_ms


# --- whether it is right ---


def _shown(page: Page, series: Sequence[Instance]) -> list[str]:
    """What is wrong with the picture now, and with the last one after scrolling to it, which must ask nobody."""
    first = page.evaluate(f"{_VIEWPORT}.getCurrentImageIdIndex()")
    faults = [] if _becomes(page, series, first) else [f"slice {first} is not the one that was sent"]
    page.evaluate("performance.clearResourceTimings()")
    last = len(series) - 1 if first < len(series) // 2 else 0
    page.evaluate(f"{_VIEWPORT}.setImageIdIndex({last})")
    if not _becomes(page, series, last):
        faults.append(f"slice {last} is not the one that was sent")
    again = page.evaluate(
        "performance.getEntriesByType('resource').filter(each => each.name.includes('/frames/')).length"
    )
    return [*faults, *([f"{again} frames were asked for again"] if again else [])]


_VIEWPORT = "window.cornerstone.getEnabledElements()[0].viewport"


def _becomes(page: Page, series: Sequence[Instance], index: int) -> bool:
    """Whether the slice is on the screen within some seconds; OHIF sorts by position, in either direction."""
    end = time.monotonic() + _ALIKE_WITHIN_S
    image_id = page.evaluate(f"{_VIEWPORT}.getCurrentImageId()")
    wanted = next((one for one in series if one.sop_instance_uid in image_id), None)
    if wanted is None:
        return False
    frame = windowed(wanted)
    while time.monotonic() < end:
        if likeness(page.locator(_CANVAS).first.screenshot(), frame) >= _ALIKE:
            return True
        time.sleep(0.2)
    return False


Grey = NDArray[np.float64]


def windowed(one: Instance) -> Grey:
    """The slice as its window shows it."""
    ds = pydicom.dcmread(io.BytesIO(one.content))
    values = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    centre, width = (float(np.atleast_1d(ds[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    grey: Grey = np.clip((values - centre) / width + 0.5, 0, 1)
    return grey


def likeness(shot: bytes, frame: Grey) -> float:
    """Pearson's r of the middle of a screenshot with that of the frame, scaled to fit and centred; 0 when blank."""
    seen = np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=np.float64)
    (high, wide), (rows, columns) = seen.shape, frame.shape
    scale = min(high / rows, wide / columns)
    height, width = round(rows * scale), round(columns * scale)
    top, left = (high - height) // 2, (wide - width) // 2
    picture = Image.fromarray((frame * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    middle = (slice(height // 4, -height // 4), slice(width // 4, -width // 4))
    shown = seen[top : top + height, left : left + width][middle]
    if shown.std() < 1:
        return 0.0
    return float(np.corrcoef(shown.ravel(), np.asarray(picture, dtype=np.float64)[middle].ravel())[0, 1])


# --- the plan ---


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    slices: int = 500
    rounds: int = 5


@dataclass
class Seen:
    """What is written to the file of results."""

    about: dict[str, Any] = field(default_factory=dict)
    rows: list[Opened] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps({"about": self.about, "rows": [asdict(row) for row in self.rows]}, indent=1)

    @classmethod
    def read(cls, path: Path) -> Seen:
        data = json.loads(path.read_text("utf-8"))
        return cls(data["about"], [Opened(**row) for row in data["rows"]])


def run(options: Options, say: Callable[[str], None], file: Path) -> Seen:
    """Open the series of each source in turns, with an empty cache; the first opening of each is not counted."""
    from playwright.sync_api import sync_playwright

    folder = options.folder / "ohif"
    shutil.rmtree(folder, ignore_errors=True)
    archives: list[Target] = [Huitong(folder / "huitong")]
    for kind in (Orthanc, Nginx):
        if missing_here := kind.missing():
            say(f"without {kind.name}: {missing_here}")
    if not Nginx.missing() and not Orthanc.missing():
        archives.append(Orthanc(folder / "orthanc"))
    series = Corpus().series(3_000_000, options.slices)
    results = Seen()
    with running(archives):
        for archive in archives:
            say(f"{archive.name}: {len(series)} slices to look at")
            if faults := load(archive, series).notes:
                raise RuntimeError(f"{archive.name} could not be filled: {faults}")
        ours = archives[0]
        sources = [Source("huitong", "Huitong", ours, ours)]
        if not Nginx.missing():
            with urllib.request.urlopen(f"http://{ours.http}/viewer") as answer:
                document = answer.read()
            for archive in archives[::-1]:
                front = Front(folder / f"front-{archive.name}", archive, document)
                title = f"{archive.title} behind nginx"
                sources.append(Source(f"{archive.name}-nginx", title, archive, front))
        results.about = _about(options, sources)
        fronts = [source.front for source in sources[1:]]
        with running(fronts), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
            results.about["versions"]["chromium"] = f"Chromium {browser.version}"
            for number in range(-1, options.rounds):
                for source in sources[::-1] if number % 2 else sources:
                    opened = open_series(browser, source, series)
                    say(_line(source, number, opened))
                    if number >= 0:
                        results.rows.append(opened)
                        file.write_text(results.as_json(), "utf-8")
            browser.close()
    shutil.rmtree(folder, ignore_errors=True)
    return results


def _about(options: Options, sources: Sequence[Source]) -> dict[str, Any]:
    package = json.loads((_build().parent / "package.json").read_text("utf-8"))
    archives = {source.archive.name: type(source.archive).version() for source in sources}
    return {
        "date": time.strftime("%Y-%m-%d"),
        **procs.machine(),
        "slices": options.slices,
        "rounds": options.rounds,
        "versions": {**archives, "nginx": Nginx.version(), "ohif": f"OHIF {package['version']}"},
        "titles": {source.name: source.title for source in sources},
    }


def _line(source: Source, number: int, opened: Opened) -> str:
    when = f"round {number + 1}" if number >= 0 else "warm-up"
    return (
        f"{source.title:22} {when}  first image {opened.first_image_ms:6.0f} ms"
        f" ({opened.asked_first_image_ms:5.0f} since asked)  all {opened.all_images_ms:6.0f}"
        f" ({opened.asked_all_images_ms:6.0f})  server {opened.server_ms:6.1f} ms in {opened.server_requests} requests"
        f"  CPU {opened.cpu_first_image_ms:5.0f} / {opened.cpu_all_images_ms:6.0f} ms  {opened.faults or ''}"
    )
