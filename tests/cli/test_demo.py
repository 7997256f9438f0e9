"""The demo sends for real: our server, our upper layer as client, the standard library's HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.archives import LOOPBACK, archive_in

from huitong.access import auditing
from huitong.access.accounts.demo import PASSWORD, STAFF
from huitong.app import Serving, serve
from huitong.base.errors import NotSignedIn
from huitong.base.setting_kinds import Address
from huitong.base.settings import Settings, load
from huitong.cli import demo
from huitong.cli.demo_accounts import add_demo_accounts
from huitong.cli.demo_sharing import tell_sharing
from huitong.cli.demo_story import tell_story
from huitong.cli.phantom import ct, ecg_file
from huitong.cli.phantom.messages import registrations
from huitong.cli.phantom.persons import ELSEWHERE, MAYBE, persons_files
from huitong.cli.sending import Part10, SendingFailed, association, send_messages, stow
from huitong.imaging.actions import list_studies
from huitong.people import actions as people
from huitong.wire.query import Level, Query


@asynccontextmanager
async def _server(data: Path, **more: Any) -> AsyncIterator[tuple[Settings, Serving]]:
    here = Address("127.0.0.1", 0)
    settings = Settings(data=data, demo=True, totp_roles="", http=here, dimse=here, mllp=here, **more)
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings, ready.set_result))
    done, _ = await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        await task
    serving = ready.result()
    try:
        yield settings, serving
    finally:
        serving.stop.set()
        await task


def test_settings_that_were_given_are_kept_and_the_others_are_the_demos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = demo.demo_settings(load({"settle_s": "60"}, {"HUITONG_DATA": "here"}))
    assert (settings.data, settings.settle_s, settings.demo) == (Path("here"), 60.0, True)
    settings = demo.demo_settings(load({}, {}))
    assert (settings.data, settings.settle_s, settings.demo) == (demo.DEMO_FOLDER, demo.SETTLE_S, True)


def test_the_shipped_files_are_there_and_none_is_a_directory() -> None:
    names = [path.name for path in demo.shipped_files()]
    assert len(names) >= 35
    assert "DICOMDIR" not in names


async def test_both_hospitals_studies_arrive(tmp_path: Path) -> None:
    async with _server(tmp_path, readers=LOOPBACK) as (settings, serving):
        await asyncio.to_thread(demo.send_all, settings, serving.http_port, serving.dimse_port, 3, ["ecg"])
        counted = await asyncio.to_thread(demo.studies_found, Address("127.0.0.1", serving.http_port))
        rows, found = list_studies(serving.archive.access.local(), Query(Level.STUDY, limit=100))
        card = await asyncio.to_thread(demo.card_page, Address("127.0.0.1", serving.http_port))
        shown = await asyncio.to_thread(_read, card)
    assert "王*东" in shown
    assert "<svg" in shown
    assert found.total == len(rows)
    sent = {code: [row for row in rows if row.institution == code] for code in ("TAIYUAN", "YUNCHENG")}
    (ct,) = (row for row in sent["TAIYUAN"] if "CT" in row.modalities)
    assert ct.instance_count == 4  # three slices and the report
    assert {"ECG", "CT", "MR", "CR"} <= {modality for row in sent["YUNCHENG"] for modality in row.modalities}
    assert counted == {code: len(rows) for code, rows in sent.items()}
    files = len(list(demo.shipped_files())) + 1 + len(list(persons_files()))
    assert sum(row.instance_count for row in sent["YUNCHENG"]) == files


def _read(url: str) -> str:
    with urlopen(url, timeout=30) as answer:
        return str(answer.read(), "utf-8")


async def test_without_the_patient_there_is_no_card(tmp_path: Path) -> None:
    async with _server(tmp_path) as (_, serving):
        assert await asyncio.to_thread(demo.card_page, Address("127.0.0.1", serving.http_port)) == ""


async def test_one_patient_is_joined_by_certificate_and_a_third_record_waits_for_a_human(tmp_path: Path) -> None:
    async with _server(tmp_path) as (settings, serving):
        await asyncio.to_thread(demo.send_all, settings, serving.http_port, serving.dimse_port, 1, [])
        work = serving.archive.access.local()
        here, there, third = ("TAIYUAN", ct.PATIENT.number), ("YUNCHENG", ELSEWHERE.number), ("YUNCHENG", MAYBE.number)
        async with asyncio.timeout(20):
            while not people.questions(work):
                await asyncio.sleep(0.1)
        ids = {key: person.exchange_id for key, person in people.persons_of(work, [here, there, third]).items()}
        assert ids[here] == ids[there] != ids[third]
        (asked,) = people.questions(work)
        assert third in (asked.low.key, asked.high.key)


async def test_a_doctor_opens_another_hospitals_images_once_a_visit_is_open(tmp_path: Path) -> None:
    said: list[str] = []
    async with _server(tmp_path) as (settings, serving):
        http, mllp = Address("127.0.0.1", serving.http_port), Address("127.0.0.1", serving.mllp_port or 0)
        await asyncio.to_thread(demo.send_all, settings, serving.http_port, serving.dimse_port, 1, [])
        for _ in range(2):  # a second start changes nothing
            await asyncio.to_thread(add_demo_accounts, serving.archive.access)
        await asyncio.to_thread(send_messages, mllp, registrations(datetime.now(UTC)))
        assert await asyncio.to_thread(tell_story, http, mllp, said.append)
        shared: list[str] = []
        assert await asyncio.to_thread(tell_sharing, http, shared.append)
        work = serving.archive.access.local()
        (stay,) = people.visits(work, "YUNCHENG", MAYBE.number)
        offered = await asyncio.to_thread(_read, f"http://{http}/sign-in")
        lines = auditing.lines(serving.archive.store)
    assert "404 Not Found, as no visit" in said[1]
    assert "200 OK, as a visit is open" in said[3]
    of_doctors = [each.looked for each in lines if each.looked.kind == "study" and each.asker["roles"] == ["doctor"]]
    assert [each.allowed for each in of_doctors] == [False, True, False]
    opened = [each.looked for each in reversed(lines) if each.looked.action == "share.open"]
    assert [(each.allowed, each.rule) for each in opened] == [
        (False, "passcode"), *[(True, "share")] * 4, *[(False, "expired")] * 2,
    ]  # fmt: skip
    assert "opens the link            200 OK; when the time is over 404 Not Found" in shared[4]
    assert stay.closed_at is not None
    assert all(each in offered for each in ("薛文静", "王晓东", "监督员"))


def test_the_demos_password_opens_nothing_elsewhere(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        add_demo_accounts(archive.access)
        assert [each.name for each in archive.access.accounts.of_demo()] == [each.name for each in STAFF]
        archive.access.accounts.sign_in("xuewenjing", PASSWORD, "127.0.0.1")
    with archive_in(tmp_path, demo=False) as archive:
        assert archive.access.accounts.of_demo() == []
        with pytest.raises(NotSignedIn):
            archive.access.accounts.sign_in("xuewenjing", PASSWORD, "127.0.0.1")


async def test_an_unknown_hospital_is_turned_away_by_both_doors(tmp_path: Path) -> None:
    file = Part10.of(ecg_file())

    def call(port: int, calling: str, called: str) -> None:
        kinds = [(file.sop_class_uid, file.transfer_syntax_uid)]
        with association(Address("127.0.0.1", port), calling, called, kinds) as storer:
            storer.store(file)

    async with _server(tmp_path) as (_, serving):
        with pytest.raises(SendingFailed, match="AssociateReject"):
            await asyncio.to_thread(call, serving.dimse_port, "STRANGER", "HUITONG")
        with pytest.raises(SendingFailed, match="AssociateReject"):
            await asyncio.to_thread(call, serving.dimse_port, "TAIYUAN", "ELSEWHERE")
        with pytest.raises(SendingFailed, match=r"status 40[13]"):
            await asyncio.to_thread(stow, Address("127.0.0.1", serving.http_port), "no token", [file.content])


def test_a_peer_that_hangs_up_is_an_error_and_not_a_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kinds = [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]
        to = Address("127.0.0.1", listener.getsockname()[1])

        def hang_up() -> None:
            listener.accept()[0].close()

        async def both() -> None:
            def call() -> None:
                with association(to, "TAIYUAN", "HUITONG", kinds):
                    pass

            await asyncio.gather(asyncio.to_thread(hang_up), asyncio.to_thread(call))

        with pytest.raises((SendingFailed, ConnectionResetError)):
            asyncio.run(both())


def test_the_three_lines_name_the_address_that_is_served() -> None:
    said = demo.words("http://127.0.0.1:8080/", "127.0.0.1", 11112, "HUITONG")
    assert "storescu -aet TAIYUAN -aec HUITONG 127.0.0.1 11112 image.dcm" in said
    assert "http://127.0.0.1:8080/" in said
    for line in ("sudo apt-get install dcmtk", "echoscu -aet TAIYUAN -aec HUITONG 127.0.0.1 11112"):
        assert line in said
        assert line in (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
