"""`huitong serve`: HTTP, DIMSE and the followers of one store in one process, until told to stop."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass

from huitong.app.archive import Archive, open_now
from huitong.app.asgi import application
from huitong.app.http import serve_http
from huitong.base import log as logs
from huitong.base import metrics
from huitong.base.errors import SettingsError
from huitong.base.settings import Settings
from huitong.imaging import actions as imaging
from huitong.imaging.doors.dimse import DimseServer, DimseService
from huitong.people import actions as people
from huitong.people.cards.actions import check_keys

log = logs.logger(__name__)
_MOST_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that accepts, and how to stop it."""

    archive: Archive
    http_port: int
    dimse_port: int
    stop: asyncio.Event


async def serve(settings: Settings, started: Callable[[Serving], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT, or until `started`'s `Serving.stop` is set; then finish what was accepted.

    Raises SettingsError when an address cannot be had or an institution is not usable.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    spare_the_collector()
    _allow_many_files()
    check_keys(settings)
    archive = open_now(settings)
    settler, matcher = imaging.Settler(archive.store), people.Matcher(archive.access.local)
    dimse = DimseServer(_dimse_service(archive))
    others = asyncio.create_task(_stop_with_http(stop, dimse, settler, matcher, settings.stop_grace_s), name="stop")
    try:
        dimse_port = await _listen(dimse, settings)
        settler.start()
        matcher.start()

        def accepting(http_port: int) -> None:
            log.info("ready", http=f"http://{settings.http.host}:{http_port}/", dimse=dimse_port, aet=settings.ae_title)
            started(Serving(archive, http_port, dimse_port, stop))

        await serve_http(
            application(archive.store, archive.access, lambda: dimse.associations),
            settings.http.host,
            settings.http.port,
            stop=stop,
            grace_s=settings.stop_grace_s,
            started=accepting,
        )
    finally:
        stop.set()
        await others
        await asyncio.to_thread(archive.store.close)
        log.info("stopped")


async def _stop_with_http(
    stop: asyncio.Event,
    dimse: DimseServer,  # type: ignore[type-arg]
    settler: imaging.Settler,
    matcher: people.Matcher,
    grace_s: float,
) -> None:
    """All doors close at one moment and have one deadline: a sender must not find one still open behind another."""
    await stop.wait()
    log.info("stopping")
    await asyncio.gather(
        dimse.stop(grace_s), asyncio.to_thread(_stop_settler, settler), asyncio.to_thread(matcher.stop)
    )


def _stop_settler(settler: imaging.Settler) -> None:
    if settler.started:
        settler.stop()


async def _listen(dimse: DimseServer, settings: Settings) -> int:  # type: ignore[type-arg]
    try:
        return await dimse.start(settings.dimse.host, settings.dimse.port)
    except OSError as e:
        raise SettingsError(f"cannot listen for DIMSE at {settings.dimse}: {e.strerror or e}") from e


def _dimse_service(archive: Archive) -> DimseService:  # type: ignore[type-arg]
    settings = archive.store.settings
    return DimseService(
        identify=archive.access.by_ae,
        new_intake=imaging.new_intake,
        keep=imaging.keep_instance,
        aet=settings.ae_title,
        max_pdu_bytes=settings.max_pdu_bytes,
        max_associations=settings.max_associations,
        idle_timeout_s=settings.association_idle_s,
        on_event=_count,
    )


def _count(name: str, /, **_fields: object) -> None:
    if name.startswith("association_"):
        metrics.ASSOCIATIONS.labels(name.removeprefix("association_")).inc()


def spare_the_collector() -> None:
    """Headers are trees of small dicts that reference counting frees; the collector walked them, and every module
    ever imported, for a third of all CPU time at ingest (docs/benchmarks.md). What is loaded now stays for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _allow_many_files() -> None:
    """Connections and parts of stored objects that are open for reading, as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, in tests
            return
