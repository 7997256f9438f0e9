"""`huitong serve`: HTTP, DIMSE and the followers of one store in one process, until told to stop."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from huitong.access.head_maker import HeadMaker
from huitong.access.work import Work
from huitong.app.archive import Archive, open_now
from huitong.app.asgi import application
from huitong.app.http import serve_http
from huitong.app.zerocopy import Bounds
from huitong.base import log as logs
from huitong.base import metrics
from huitong.base.errors import SettingsError
from huitong.base.setting_kinds import Address
from huitong.base.settings import Settings
from huitong.base.tls import TlsFiles, server_context
from huitong.imaging import actions as imaging
from huitong.imaging.doors.dimse import DimseServer, DimseService
from huitong.people import actions as people
from huitong.people.cards.actions import check_keys
from huitong.people.doors.mllp import MllpServer, MllpService
from huitong.wire.hl7 import Sender

log = logs.logger(__name__)
_MOST_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that accepts, and how to stop it."""

    archive: Archive
    http_port: int
    dimse_port: int
    #: None where no messages are taken.
    mllp_port: int | None
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
    https = _tls("HTTP", settings.http_certificate, settings.http_key)
    archive = open_now(settings)
    settler, matcher = imaging.Settler(archive.store), people.Matcher(archive.access.local)
    dimse = DimseServer(_dimse_service(archive))
    mllp = MllpServer(_mllp_service(archive))
    head_maker = HeadMaker(archive.store, archive.access.heads)
    followers = (settler, matcher, head_maker)
    others = asyncio.create_task(_stop_with_http(stop, dimse, mllp, followers, settings.stop_grace_s), name="stop")
    try:
        dimse_port = await _listen(dimse, settings.dimse, "DIMSE")
        dimse_tls_port = await _listen_tls(dimse, settings)
        mllp_port = await _listen(mllp, settings.mllp, "MLLP") if settings.mllp else None
        settler.start()
        matcher.start()
        head_maker.start()

        def accepting(http_port: int) -> None:
            http = f"{'https' if https else 'http'}://{settings.http.host}:{http_port}/"
            log.info("ready", http=http, **_doors(settings, dimse_port, dimse_tls_port, mllp_port))
            started(Serving(archive, http_port, dimse_port, mllp_port, stop))

        await serve_http(
            application(archive.store, archive.access, lambda: dimse.associations),
            settings.http.host,
            settings.http.port,
            stop=stop,
            grace_s=settings.stop_grace_s,
            started=accepting,
            tls=https,
            trusted_proxies=",".join(map(str, settings.trusted_proxies)),
            bounds=Bounds(
                settings.max_http_connections,
                settings.max_http_connections_of_one,
                settings.http_header_s,
                settings.trusted_proxies,
            ),
        )
    finally:
        stop.set()
        await others
        await asyncio.to_thread(archive.store.close)
        log.info("stopped")


async def _stop_with_http(
    stop: asyncio.Event,
    dimse: DimseServer,  # type: ignore[type-arg]
    mllp: MllpServer[Work],
    followers: tuple[imaging.Settler, people.Matcher, HeadMaker],
    grace_s: float,
) -> None:
    """All doors close at one moment and have one deadline: a sender must not find one still open behind another."""
    await stop.wait()
    log.info("stopping")
    settler, matcher, head_maker = followers
    await asyncio.gather(
        dimse.stop(grace_s),
        mllp.stop(grace_s),
        asyncio.to_thread(_stop_settler, settler),
        asyncio.to_thread(matcher.stop),
        asyncio.to_thread(head_maker.stop),
    )


def _stop_settler(settler: imaging.Settler) -> None:
    if settler.started:
        settler.stop()


class _Listener(Protocol):
    async def start(self, host: str, port: int) -> int: ...


async def _listen(door: _Listener, at: Address, name: str) -> int:
    try:
        return await door.start(at.host, at.port)
    except OSError as e:
        raise SettingsError(f"cannot listen for {name} at {at}: {e.strerror or e}") from e


def _doors(settings: Settings, dimse_port: int, dimse_tls_port: int | None, mllp_port: int | None) -> dict[str, object]:
    """What the line "ready" says of the doors beside HTTP."""
    more = {"dimse_tls": dimse_tls_port, "mllp": mllp_port}
    there = {name: port for name, port in more.items() if port is not None}
    return {"dimse": dimse_port, "aet": settings.ae_title, **there}


def _tls(name: str, certificate: Path | None, *files: Path | None) -> ssl.SSLContext | None:
    """None without a certificate; `files` as `TlsFiles` has them. Raises SettingsError."""
    return server_context(TlsFiles(certificate, *files), name) if certificate is not None else None


async def _listen_tls(dimse: DimseServer, settings: Settings) -> int | None:  # type: ignore[type-arg]
    tls = _tls("DIMSE", settings.dimse_certificate, settings.dimse_key, settings.dimse_clients, settings.dimse_revoked)
    if settings.dimse_tls is None or tls is None:
        return None
    at = settings.dimse_tls
    try:
        return await dimse.start(at.host, at.port, tls)
    except OSError as e:
        raise SettingsError(f"cannot listen for DIMSE over TLS at {at}: {e.strerror or e}") from e


def _dimse_service(archive: Archive) -> DimseService:  # type: ignore[type-arg]
    settings = archive.store.settings
    return DimseService(
        identify=archive.access.by_ae,
        new_intake=imaging.new_intake,
        keep=imaging.keep_instance,
        aet=settings.ae_title,
        max_pdu_bytes=settings.max_pdu_bytes,
        max_associations=settings.max_associations,
        max_associations_of_one=settings.max_associations_of_one,
        idle_timeout_s=settings.association_idle_s,
        on_event=_count,
    )


def _mllp_service(archive: Archive) -> MllpService[Work]:
    settings = archive.store.settings
    certificate = settings.mllp_certificate
    return MllpService(
        knows=archive.access.directory.knows,
        identify=archive.access.by_message,
        take=people.take_message,
        we=Sender(settings.ae_title, settings.ae_title),
        max_message_bytes=settings.max_message_bytes,
        max_connections=settings.max_mllp_connections,
        idle_timeout_s=settings.mllp_idle_s,
        tls=_tls("MLLP", certificate, settings.mllp_key, settings.mllp_clients, settings.mllp_revoked),
        max_connections_of_one=settings.max_mllp_connections_of_one,
        on_event=_count_mllp,
    )


def _count_mllp(name: str, /, **fields: object) -> None:
    if name == "answered":
        event = str(fields["event"])
        known = event if event in people.EVENTS else "other"  # labels are for ever: no stranger chooses them
        metrics.HL7_MESSAGES.labels(known, fields["code"]).inc()
        metrics.HL7_SECONDS.observe(float(str(fields["seconds"])))
        return
    metrics.MLLP_CONNECTIONS.labels(name).inc()
    if name != "refused":
        metrics.MLLP_OPEN.inc(1 if name == "connected" else -1)


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
