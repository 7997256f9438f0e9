"""The demo: a server, and two hospitals that send it real studies, each by its own way."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import chain, islice
from pathlib import Path
from threading import Thread
from typing import Any

import pydicom
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from huitong.access.accounts.demo import PASSWORD
from huitong.app import Serving, serve
from huitong.base import log
from huitong.base.errors import SettingsError
from huitong.base.setting_kinds import Address
from huitong.base.settings import PREFIX, Loaded, Settings
from huitong.cli import servers
from huitong.cli.asking import ask
from huitong.cli.demo_accounts import add_demo_accounts
from huitong.cli.demo_directory import load_demo_directory
from huitong.cli.demo_sharing import tell_sharing
from huitong.cli.demo_story import tell_story
from huitong.cli.dicomdir import is_dicomdir
from huitong.cli.options import ALL_GOOD, SOME_WRONG, console
from huitong.cli.phantom import ct
from huitong.cli.phantom.ct import SLICES
from huitong.cli.phantom.elsewhere import made_elsewhere
from huitong.cli.phantom.messages import registrations
from huitong.cli.phantom.persons import persons_files
from huitong.cli.sending import Part10, association, send_messages, stow

HOSPITALS = ("TAIYUAN", "YUNCHENG")
DEMO_FOLDER, SCALED_FOLDER = Path("run/demo"), Path("run/demo-scaled")
#: Written when everything has been sent, so that a second run starts at once.
MARK = "demo-sent"
#: Files of one STOW-RS request.
STOW_FILES = 8
#: Set aside for HL7.
MLLP_PORT = 2575
SETTLE_S = 5.0
_START_S = 60.0
#: Of the files that pydicom ships: real CT, MR and CR studies of three patients, and kinds that the phantoms lack.
SHIPPED = (
    "dicomdirtests/77654033",
    "dicomdirtests/98892001",
    "dicomdirtests/98892003",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "693_J2KI.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "examples_palette.dcm",
    "waveform_ecg.dcm",
)


def run_demo(loaded: Loaded, once: bool = False, scaled: bool = False) -> int:
    """Serve until told to stop; send once the server accepts. Settings that were not given are chosen for a demo.

    With `once` it stops by itself when both hospitals' studies are found, and says so by its exit status. `scaled`
    keeps in PostgreSQL and S3, started for it, with a second server beside the first. Raises SettingsError.
    """
    settings = demo_settings(loaded, SCALED_FOLDER if scaled else DEMO_FOLDER)
    if loaded.sources["log_level"] == "default":
        log.configure(settings.log_format, "warning")
    out = console()
    if not settings.ohif_path.is_dir():
        out.print(f"The viewer is not in {settings.ohif_path}: `make setup` fetches it.")
    if not scaled:
        return _serve_and_send(settings, out, once, [])
    with ExitStack() as running:
        settings = running.enter_context(_scaled_home(settings, out))
        second = running.enter_context(_second_server(settings))
        return _serve_and_send(settings, out, once, [second])


@contextmanager
def _scaled_home(settings: Settings, out: Console) -> Iterator[Settings]:
    """PostgreSQL and S3 in the demo's folder, and the settings that name them."""
    out.print("Starting PostgreSQL and an S3 server (SeaweedFS)")
    with servers.local_servers(settings.data / "servers") as (postgres, s3):
        out.print(f"PostgreSQL is at {postgres.url()}\nS3         is at {s3.endpoint}, bucket {s3.bucket}")
        yield replace(settings, database=postgres.url(), blobs=s3.url("demo"), s3_key_id=s3.key_id, s3_secret=s3.secret)


@contextmanager
def _second_server(settings: Settings) -> Iterator[Address]:
    """Another process on the same store, on the next ports; gives its address when it answers."""
    http = Address(settings.http.host, settings.http.port + 1)
    flags = {"data": f"{settings.data}/second", "http": str(http), "dimse": str(settings.dimse.port + 1)}
    same = {"database": settings.database, "blobs": settings.blobs, "s3_key_id": settings.s3_key_id}
    told = {
        "s3_secret": settings.s3_secret,
        "settle_s": f"{settings.settle_s}",
        "log_level": "warning",
        "totp_roles": settings.totp_roles,
    }
    environment = {f"{PREFIX}{name}".upper(): value for name, value in (flags | same | told).items()}
    command = [sys.executable, "-m", "huitong.cli", "serve", "--demo"]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        _wait_for(http, process)
        yield http
    finally:
        process.terminate()
        process.wait()


def _wait_for(http: Address, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), closing(HTTPConnection(http.host, http.port, timeout=5)) as connection:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == HTTPStatus.OK:
                return
        time.sleep(0.1)
    raise SettingsError(f"the second server did not start at {http}")


def _serve_and_send(settings: Settings, out: Console, once: bool, others: Sequence[Address]) -> int:
    good = not once

    def started(serving: Serving) -> None:
        loop = asyncio.get_running_loop()

        def send() -> None:
            nonlocal good
            try:
                told = _send_and_say(settings, serving, out)
                here = Address(settings.http.host, serving.http_port)
                found = [studies_found(http) for http in (here, *others)]
                for http in others:
                    out.print(f"The same studies are at http://{http}/, served by a second process.", soft_wrap=True)
                good = told and all(all(each.values()) and each == found[0] for each in found)
            finally:
                if once:
                    loop.call_soon_threadsafe(serving.stop.set)

        Thread(target=send, name="demo", daemon=True).start()

    asyncio.run(serve(settings, started))
    return ALL_GOOD if good or not once else SOME_WRONG


def studies_found(http: Address) -> dict[str, int]:
    """How many studies a search finds of each demo hospital (QIDO-RS, PS3.18 10.6)."""
    found = {}
    for code in HOSPITALS:
        answer = ask(http, "GET", f"/dicom-web/at/{code}/studies?limit=100", authorization=f"Bearer demo-{code}")
        found[code] = len(json.loads(answer.body or b"[]"))
    return found


def demo_settings(loaded: Loaded, folder: Path = DEMO_FOLDER) -> Settings:
    """The settings in force, with the demo's own where the operator chose nothing."""
    # Whoever tries the demo has no authenticator to enrol.
    wanted: dict[str, Any] = {"data": folder, "settle_s": SETTLE_S, "mllp": Address("", MLLP_PORT), "totp_roles": ""}
    chosen = {name: value for name, value in wanted.items() if loaded.sources[name] == "default"}
    return replace(loaded.settings, demo=True, **chosen)


def _send_and_say(settings: Settings, serving: Serving, out: Console) -> bool:
    """Whether what is shown of access was as it should be."""
    good = False
    page = f"http://{Address(settings.http.host, serving.http_port)}/"
    out.print(f"Huitong is at {page}")
    mark = settings.data / MARK
    try:
        load_demo_directory(settings)
        if mark.exists():
            out.print("The studies of an earlier run are there.")
        else:
            send_all(settings, serving.http_port, serving.dimse_port)
            if serving.mllp_port:
                mllp = Address(settings.dimse.host, serving.mllp_port)
                send_messages(mllp, registrations(datetime.now(UTC)))
            mark.touch()
        add_demo_accounts(serving.archive.access)
        good = _tell(settings, serving, out)
    except Exception as error:  # the server goes on; whoever started the demo has to see why it is empty
        log.logger(__name__).exception("the demo could not send", error=type(error).__name__)
        out.print(f"Sending failed: {error}")
    if card := card_page(Address(settings.http.host, serving.http_port)):
        out.print(f"The health card of 王晓东 is at {card}; scan it at {page}health-card", soft_wrap=True)
    out.print(words(page, settings.dimse.host, serving.dimse_port, settings.ae_title), soft_wrap=True)
    return good


def _tell(settings: Settings, serving: Serving, out: Console) -> bool:
    if not serving.mllp_port:
        return True
    http, mllp = Address(settings.http.host, serving.http_port), Address(settings.dimse.host, serving.mllp_port)

    def say(line: str) -> None:
        out.print(line, soft_wrap=True, highlight=False)

    return tell_story(http, mllp, say) & tell_sharing(http, say)


def card_page(http: Address) -> str:
    """Where the card of the CT's patient is, issued as a terminal of the hospital does; empty without that patient."""
    body = json.dumps({"patient_number": ct.PATIENT.number})
    headers = {"authorization": f"Bearer demo-{HOSPITALS[0]}", "content_type": "application/json"}
    answer = ask(http, "POST", "/card/issue", body, **headers)
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        return ""
    return f"http://{http}/health-card/{json.loads(answer.body)['person']['id']}"


def words(page: str, dimse_host: str, dimse_port: int, ae_title: str) -> str:
    """Where to look, and the three lines with which a stranger sends a file."""
    peer = f"-aet TAIYUAN -aec {ae_title} {dimse_host} {dimse_port}"
    return (
        f"\nOpen   {page}   and sign in as one of the people it names (their password is {PASSWORD})\n\n"
        f"王晓东 has images at two hospitals under two numbers, joined by his citizen number: {page}people?q=王晓东\n"
        f"Whether 王小东 is the same person is for a human to say: {page}questions\n\n"
        "Send an image of your own from another terminal:\n\n"
        f"  sudo apt-get install dcmtk\n  echoscu {peer}\n  storescu {peer} image.dcm\n\nCtrl-C stops the server.\n"
    )


def send_all(
    settings: Settings,
    http_port: int,
    dimse_port: int,
    slices: int = SLICES,
    generated: Sequence[str] = ("us", "dx"),
) -> None:
    """TAIYUAN by C-STORE, YUNCHENG by STOW-RS, at the same time; returns when both are kept."""
    shipped = list(shipped_files())
    with Progress(*_COLUMNS, console=console(stderr=True)) as progress, ThreadPoolExecutor(2) as senders:
        taiyuan = _Sent(progress, "TAIYUAN   C-STORE ", slices + 2)
        yuncheng = _Sent(progress, "YUNCHENG  STOW-RS ", len(shipped) + len(generated))
        dimse, http = Address(settings.dimse.host, dimse_port), Address(settings.http.host, http_port)
        jobs = (
            senders.submit(_by_c_store, dimse, settings.ae_title, slices, taiyuan),
            senders.submit(_by_stow, http, shipped, generated, yuncheng),
        )
        for job in jobs:
            job.result()
        for file in persons_files():
            stow(http, "demo-YUNCHENG", [file])


_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[rate]}", justify="right"),
    TimeRemainingColumn(),
)


class _Sent:
    """A line of the progress display: files, and megabytes a second since the first."""

    def __init__(self, progress: Progress, name: str, files: int) -> None:
        self._progress = progress
        self._line = progress.add_task(name, total=files, rate="")
        self._bytes, self._since = 0, time.monotonic()

    def add(self, files: Sequence[int]) -> None:
        """Files of these sizes were kept."""
        self._bytes += sum(files)
        rate = self._bytes / 1e6 / max(time.monotonic() - self._since, 0.001)
        self._progress.update(self._line, advance=len(files), rate=f"{rate:.1f} MB/s")


def _by_c_store(to: Address, called: str, slices: int, sent: _Sent) -> None:
    files = map(Part10.of, made_elsewhere("ecg", "report", f"ct:{slices}"))
    first = list(islice(files, 3))
    kinds = [(file.sop_class_uid, file.transfer_syntax_uid) for file in first]
    with association(to, "TAIYUAN", called, kinds) as storer:
        for file in chain(first, files):
            storer.store(file)
            sent.add([len(file.content)])


def _by_stow(to: Address, shipped: list[Path], generated: Sequence[str], sent: _Sent) -> None:
    waiting = chain((path.read_bytes() for path in shipped), made_elsewhere(*generated))
    while batch := list(islice(waiting, STOW_FILES)):
        stow(to, "demo-YUNCHENG", batch)
        sent.add([len(file) for file in batch])


def shipped_files() -> Iterator[Path]:
    """Those of `SHIPPED` that the installed pydicom has, folders with all they hold."""
    root = Path(pydicom.__file__).parent / "data" / "test_files"
    for name in SHIPPED:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and not is_dicomdir(path.read_bytes()[:2048]):
                yield path
