"""A person shares one study by link: who opens it, what it opens and for how long, on a real application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy import insert, select, text
from tests.archives import TestArchive, archive_in, signed_in
from tests.askers import doctor, resident, staff, work_of
from tests.imaging.test_persons import certificate, id_of, send
from tests.web.browsing import Browser

from huitong.access import auditing
from huitong.access.actions import SESSION_COOKIE, SHARE_COOKIE, Access
from huitong.access.model import Role
from huitong.access.sharing.model import Wish
from huitong.access.sharing.sessions import ShareSessions
from huitong.access.sharing.tables import SHARE, SHARE_FILE, SHARE_SESSION
from huitong.access.tables import GUARDIANSHIP
from huitong.app.asgi import application
from huitong.base.clock import milliseconds
from huitong.base.errors import NotFound
from huitong.catalog.sharing import SHARING
from huitong.directory.actions import read_directory
from huitong.imaging.actions import share_study
from huitong.people import actions as people
from huitong.people import rights
from huitong.wire import shl

MOTHER, OTHER = "11010519491231002X", "440524188001010014"
NOON = datetime(2026, 11, 26, 4, tzinfo=UTC)
ORIGIN = "http://huitong.example"
OURS = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


class Elsewhere(Browser):
    """A browser outside of the networks that may read."""

    def __init__(self, world: World, host: str = "203.0.113.9") -> None:
        super().__init__(application(world.archive.store, world.archive.access, lambda: 0))
        self.host = host

    async def _ask(self, method: str, url: str, follow: bool, more: dict[str, Any]) -> Any:

        transport = httpx.ASGITransport(self.app, client=(self.host, 50000))
        headers = {"accept": "text/html,*/*;q=0.8"} if "headers" not in more else {}
        async with httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, cookies=self.cookies, headers=headers, follow_redirects=follow
        ) as client:
            answer = await client.request(method, url, **more)
            self.cookies = client.cookies
            return answer

    def signed(self, secret: str) -> Elsewhere:
        self.cookies.set(SESSION_COOKIE, secret, "huitong.example", "/")
        return self

    def open(self, link: str, passcode: str = "") -> Any:
        """As the page's script does with what stands behind the #."""
        said = shl.read_link(link)
        secret = f"{said.url.rpartition('/')[2]}.{said.page}"
        return self.ask("POST", "/share/open", json={"secret": secret, "passcode": passcode}, headers=OURS)


@dataclass
class World:
    """A mother with studies at two hospitals, and her account."""

    archive: TestArchive
    clock: Clock
    mother: str
    ct: str
    other: str
    cookie: str

    @property
    def person(self) -> Elsewhere:
        return Elsewhere(self, "203.0.113.7").signed(self.cookie)

    def share(self, *, hours: int = 24, passcode: bool = False, study: str = "", label: str = "") -> tuple[str, str]:
        """Link and passcode, read off the page."""
        form = {"seconds": str(hours * 3600), "passcode": "yes" if passcode else "no", "label": label}
        answer = self.person.ask("POST", f"/me/share/TAIYUAN/{study or self.ct}", data=form, headers=OURS)
        assert answer.status_code == 200, answer.text
        [link] = re.findall(r"<textarea[^>]*>([^<]*)</textarea>", answer.text)
        shown = re.findall(r"<strong>(\d{3}) (\d{3})</strong>", answer.text)
        return unescape(link), "".join(shown[0]) if shown else ""

    def images(self, study: str = "", root: str = "/dicom-web/at/TAIYUAN") -> list[str]:
        """Addresses of a study's images, every kind."""
        base = f"{root}/studies/{study or self.ct}"
        of = f"{base}/series/1.2.1/instances/1.2.1.1"
        below = ("rendered", "frames/1", "metadata", "thumbnail")
        return [*(f"{of}/{each}" for each in below), of, base, f"{base}/metadata", f"{base}/series/1.2.1/metadata"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    with archive_in(tmp_path / "data", sign_ins_per_min=0, session_s=1e9, session_idle_s=1e9) as archive:
        archive.access = Access(archive.store, read_directory(None, demo=True), clock)
        born: dict[str, Any] = {
            "OtherPatientIDsSequence": certificate(MOTHER), "PatientName": "王^晓岚", "PatientBirthDate": "19491231",
            "AccessionNumber": "ACC77", "PatientAddress": "盐湖区", "SOPInstanceUID": "1.2.1.1",
        }  # fmt: skip
        ct = send(archive, "TAIYUAN", "T1", SeriesInstanceUID="1.2.1", StudyDescription="胸部平扫", **born)
        other = send(archive, "TAIYUAN", "T1", SeriesInstanceUID="1.2.1", StudyDescription="头颅", **born)
        send(archive, "YUNCHENG", "Y1", PatientName="赵^强", OtherPatientIDsSequence=certificate(OTHER))
        archive.settle()
        mother = id_of(archive, "TAIYUAN", "T1")
        cookie = signed_in(archive, "wang", person=mother)
        yield World(archive, clock, mother, ct, other, cookie)


def test_a_stranger_sees_the_one_study_and_nothing_else(world: World) -> None:
    link, passcode = world.share(label="给张大夫")
    assert link.startswith(f"{ORIGIN}/s#shlink:/")
    assert passcode == ""
    stranger = Elsewhere(world)
    assert stranger.get(f"/look/TAIYUAN/{world.ct}", follow=False).status_code == 303  # to the sign-in
    opened = stranger.open(link)
    assert opened.status_code == 200
    assert opened.json()["look"] == f"/look/TAIYUAN/{world.ct}"
    page = stranger.get(opened.json()["look"])
    assert page.status_code == 200
    assert "王*岚" in page.text
    assert "王晓岚" not in page.text
    for path in world.images():
        answer = stranger.get(path, headers={"accept": "*/*"})
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store", path
    for path in [*world.images(world.other), f"/look/TAIYUAN/{world.other}", "/dicom-web/at/YUNCHENG/studies/1.2.3"]:
        assert stranger.get(path, headers={"accept": "*/*"}).status_code in (401, 404), path
    for path in ("/", "/people", f"/person/{world.mother}", "/me", "/me/shares", f"/study/TAIYUAN/{world.ct}"):
        assert stranger.get(path, headers={"accept": "*/*"}).status_code in (401, 403, 404), path
    found = stranger.get("/dicom-web/studies", headers={"accept": "application/dicom+json"}).json()
    assert [row["0020000D"]["Value"] for row in found] == [[world.ct]]


def test_what_viewers_write_across_images_is_masked(world: World) -> None:
    stranger = Elsewhere(world)
    stranger.open(world.share()[0])
    accept = {"accept": "application/dicom+json"}
    base = f"/dicom-web/at/TAIYUAN/studies/{world.ct}"
    paths = [f"{base}/metadata", f"{base}/series/1.2.1/metadata", f"{base}/series/1.2.1/instances/1.2.1.1/metadata"]
    paths += [f"/dicom-web/studies?StudyInstanceUID={world.ct}&includefield=all", f"{base}/series", f"{base}/instances"]
    for path in paths:
        answer = stranger.get(path, headers=accept)
        for word in ("晓岚", "ACC77", "19491231", MOTHER, "盐湖区", world.mother, '"T1"'):
            assert word not in answer.text, (path, word)
    [row] = stranger.get(paths[0], headers=accept).json()
    assert row["00100010"]["Value"][0]["Alphabetic"] == "王*岚"
    whole = world.person.get(paths[0], headers=accept).text
    assert "晓岚" in whole  # the person's own is as it was sent
    assert "ACC77" in whole


def test_the_database_holds_no_secret(world: World) -> None:
    link, passcode = world.share(passcode=True)
    said = shl.read_link(link)
    Elsewhere(world).open(link, passcode)
    with world.archive.store.database.read() as tx:
        rows = [*tx.execute(select(SHARE)), *tx.execute(select(SHARE_SESSION))]
    kept = " ".join(str(value) for row in rows for value in row)
    for secret in (said.url.rpartition("/")[2], said.page, shl.encoded(said.key), passcode):
        assert secret not in kept
    with world.archive.store.database.read() as tx:
        told = " ".join(
            map(
                str,
                [*tx.execute(text("SELECT body FROM ledger")), *tx.execute(text("SELECT asker, detail FROM audit"))],
            )
        )
    for secret in (said.url.rpartition("/")[2], said.page, shl.encoded(said.key), passcode):
        assert secret not in told


def test_it_ends_to_the_second_everywhere_also_for_a_page_that_is_open(world: World) -> None:
    link, _ = world.share(hours=1)
    stranger = Elsewhere(world)
    stranger.open(link)
    world.clock.time = NOON + timedelta(minutes=59, seconds=59)
    assert all(stranger.get(path, headers={"accept": "*/*"}).status_code == 200 for path in world.images())
    world.clock.time = NOON + timedelta(hours=1)
    assert all(stranger.get(path, headers={"accept": "*/*"}).status_code == 404 for path in world.images())
    page = stranger.get(f"/look/TAIYUAN/{world.ct}")
    assert page.status_code == 404
    assert "这个链接已失效" in page.text
    stranger.cookies.set("i18next", "en-US", "huitong.example", "/")
    assert "This link has ended" in stranger.get(f"/look/TAIYUAN/{world.ct}").text
    assert stranger.open(link).status_code == 404


def test_it_is_revoked_while_a_page_is_open(world: World) -> None:
    link, _ = world.share()
    stranger, person = Elsewhere(world), world.person
    stranger.open(link)
    listed = person.get("/me/shares").text
    assert "已打开 1 次" in listed
    assert "胸部平扫" in listed
    [public_id] = re.findall(r"/me/shares/(\w+)/end", listed)
    assert stranger.get(world.images()[0], headers={"accept": "*/*"}).status_code == 200
    assert person.ask("POST", f"/me/shares/{public_id}/end", headers=OURS).status_code == 200
    for path in world.images():
        assert stranger.get(path, headers={"accept": "*/*"}).status_code == 404, path
    assert stranger.open(link).status_code == 404
    assert "已由您结束" in person.get("/me/shares").text


def test_another_process_refuses_what_was_revoked_within_two_seconds(world: World) -> None:
    link, _ = world.share()
    now_s = [0.0]
    elsewhere = Access(world.archive.store, read_directory(None, demo=True), world.clock)
    elsewhere.sharing.sessions = ShareSessions(world.archive.store, world.clock, lambda: now_s[0])
    stranger = Elsewhere(world)
    stranger.open(link)
    cookie = next(each.value for each in stranger.cookies.jar if each.name == SHARE_COOKIE)
    assert elsewhere.reader(None, "203.0.113.9", share=cookie).asker.study == ("TAIYUAN", world.ct)
    [public_id] = re.findall(r"/me/shares/(\w+)/end", world.person.get("/me/shares").text)
    world.person.ask("POST", f"/me/shares/{public_id}/end", headers=OURS)
    now_s[0] = 2.1
    with pytest.raises(NotFound):
        elsewhere.reader(None, "203.0.113.9", share=cookie)


def test_a_passcode_is_asked_for_and_kills_the_link_when_it_is_guessed(world: World) -> None:
    link, passcode = world.share(passcode=True)
    assert shl.read_link(link).flags == "P"
    stranger = Elsewhere(world)
    assert stranger.open(link, f"{passcode[:3]} {passcode[3:]}").status_code == 200
    wrong = "000000" if passcode != "000000" else "000001"
    for left in range(SHARING.passcode_tries - 1, -1, -1):
        answer = Elsewhere(world).open(link, wrong)
        assert (answer.status_code, answer.json()) == (401, {"remainingAttempts": left})
    for given in (wrong, passcode):
        assert Elsewhere(world).open(link, given).status_code == 404
    assert all(Elsewhere(world).get(each, headers={"accept": "*/*"}).status_code == 401 for each in world.images())
    assert "提取码输错次数过多" in world.person.get("/me/shares").text


def test_guesses_at_once_are_no_more_than_guesses_in_a_row(world: World) -> None:
    link, passcode = world.share(passcode=True)
    wrong = "000000" if passcode != "000000" else "000001"
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: Elsewhere(world).open(link, wrong).status_code, range(24)))
    assert sorted(codes) == [401] * SHARING.passcode_tries + [404] * (24 - SHARING.passcode_tries)


def test_unknown_links_are_answered_as_those_that_have_ended(world: World) -> None:
    link, _ = world.share(hours=1)
    world.clock.time = NOON + timedelta(hours=2)
    ended = Elsewhere(world).open(link)
    made_up = Elsewhere(world).ask(
        "POST", "/share/open", json={"secret": "x" * 43 + ".y", "passcode": ""}, headers=OURS
    )
    assert (ended.status_code, ended.text) == (made_up.status_code, made_up.text)
    said = shl.read_link(link).url
    answers = [
        Elsewhere(world).ask("POST", url, json={"recipient": "x"}, headers={}) for url in (said, said[:-4] + "AAAA")
    ]
    assert [each.status_code for each in answers] == [404, 404]
    assert answers[0].text == answers[1].text
    # what stands in the address of the manifest alone opens no page
    half = said.rpartition("/")[2]
    fresh = shl.read_link(world.share()[0]).url.rpartition("/")[2]
    for secret in (half, fresh, f"{fresh}.", f"{fresh}.AAAAAAAAAAAAAAAAAAAAAA"):
        answer = Elsewhere(world).ask("POST", "/share/open", json={"secret": secret, "passcode": ""}, headers=OURS)
        assert answer.status_code == 404


def test_two_strangers_at_once_have_a_session_each(world: World) -> None:
    links = [world.share()[0], world.share(study=world.other)[0]]
    one, two = Elsewhere(world), Elsewhere(world, "203.0.113.10")
    one.open(links[0])
    two.open(links[1])
    assert (
        one.get(f"/look/TAIYUAN/{world.ct}").status_code == two.get(f"/look/TAIYUAN/{world.other}").status_code == 200
    )
    assert one.get(world.images(world.other)[0], headers={"accept": "*/*"}).status_code == 404
    assert two.get(world.images()[0], headers={"accept": "*/*"}).status_code == 404
    # one browser opens both: each has its own cookie
    one.open(links[1])
    assert all(one.get(f"/look/TAIYUAN/{each}").status_code == 200 for each in (world.ct, world.other))
    assert one.get(world.images()[0], headers={"accept": "*/*"}).status_code == 200


def test_whoever_is_signed_in_opens_a_link_and_stays_signed_in(world: World) -> None:
    link, _ = world.share()
    visitor = Elsewhere(world).signed(signed_in(world.archive, "zhao", person=id_of(world.archive, "YUNCHENG", "Y1")))
    assert visitor.get(f"/look/TAIYUAN/{world.ct}").status_code == 404
    visitor.open(link)
    assert visitor.get(f"/look/TAIYUAN/{world.ct}").status_code == 200
    assert "zhao" in visitor.get("/me").text
    found = visitor.get("/dicom-web/studies", headers={"accept": "application/dicom+json"}).json()
    assert world.ct not in str(found)
    # and who signs in afterwards is not held to the link
    later = Elsewhere(world)
    later.open(link)
    later.signed(world.cookie)
    found = later.get("/dicom-web/studies", headers={"accept": "application/dicom+json"}).json()
    assert len(found) == 2


def test_whoever_has_still_to_choose_a_password_opens_a_link_and_goes_on_with_it(world: World) -> None:
    accounts, link = world.archive.access.accounts, world.share()[0]
    accounts.add(world.archive.access.local(), "new", "given by an admin", roles=frozenset({Role.DOCTOR}))
    step = accounts.sign_in("new", "given by an admin", "203.0.113.9")
    visitor = Elsewhere(world).signed(step.secret)
    assert visitor.open(link).status_code == 200
    assert visitor.get(f"/look/TAIYUAN/{world.ct}").status_code == 200
    assert visitor.cookies.get(SESSION_COOKIE, domain="huitong.example", path="/") == step.secret
    assert visitor.get("/sign-in/password").status_code == 200


def test_another_sites_page_opens_and_ends_nothing(world: World) -> None:
    link, _ = world.share()
    said = shl.read_link(link)
    body = {"secret": f"{said.url.rpartition('/')[2]}.{said.page}", "passcode": ""}
    theirs = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    assert Elsewhere(world).ask("POST", "/share/open", json=body, headers=theirs).status_code == 403
    [public_id] = re.findall(r"/me/shares/(\w+)/end", world.person.get("/me/shares").text)
    assert world.person.ask("POST", f"/me/shares/{public_id}/end", headers=theirs).status_code == 403
    form = {"seconds": "86400", "passcode": "no"}
    assert world.person.ask("POST", f"/me/share/TAIYUAN/{world.ct}", data=form, headers=theirs).status_code == 403
    assert Elsewhere(world).open(link).status_code == 200


# --- who may share ---


def test_nobody_shares_or_ends_what_is_anothers(world: World) -> None:
    world.share()
    [public_id] = re.findall(r"/me/shares/(\w+)/end", world.person.get("/me/shares").text)
    theirs = Elsewhere(world).signed(signed_in(world.archive, "zhao", person=id_of(world.archive, "YUNCHENG", "Y1")))
    address, form = f"/me/share/TAIYUAN/{world.ct}", {"seconds": "86400", "passcode": "no"}
    assert theirs.get(address).status_code == 404
    assert theirs.ask("POST", address, data=form, headers=OURS).status_code == 404
    assert theirs.ask("POST", f"/me/shares/{public_id}/end", headers=OURS).status_code == 404
    assert world.ct not in theirs.get("/me/shares").text

    ward = Elsewhere(world).signed(signed_in(world.archive, "doc", Role.DOCTOR, institution="TAIYUAN"))
    assert ward.get(f"/look/TAIYUAN/{world.ct}").status_code == 200
    assert ward.get(address).status_code == 404
    assert ward.ask("POST", address, data=form, headers=OURS).status_code == 404


def test_the_demos_short_link_is_offered_in_the_demo_alone(world: World) -> None:
    address, form = f"/me/share/TAIYUAN/{world.ct}", {"seconds": str(SHARING.demo_seconds), "passcode": "no"}
    offered = f'value="{SHARING.demo_seconds}"'
    assert offered in world.person.get(address).text
    assert world.person.ask("POST", address, data=form, headers=OURS).status_code == 200
    world.archive.store.settings = replace(world.archive.store.settings, demo=False)
    assert offered not in world.person.get(address).text
    assert world.person.ask("POST", address, data=form, headers=OURS).status_code == 400


@pytest.mark.parametrize(
    "form", [{}, {"seconds": "86401"}, {"seconds": "0"}, {"seconds": "²"}, {"seconds": "86400", "label": "x" * 31}]
)
def test_longer_than_the_catalogue_allows_is_refused(world: World, form: dict[str, str]) -> None:
    assert world.person.ask("POST", f"/me/share/TAIYUAN/{world.ct}", data=form, headers=OURS).status_code == 400


def test_an_objection_does_not_stop_the_persons_own_link(world: World) -> None:
    rights.object_to(work_of(world.archive, resident(world.mother), world.clock), world.mother)
    link, _ = world.share()
    stranger = Elsewhere(world)
    assert stranger.open(link).status_code == 200
    assert stranger.get(f"/look/TAIYUAN/{world.ct}").status_code == 200


def test_a_guardian_shares_a_childs_and_the_child_ends_it_later(world: World) -> None:
    study = send(world.archive, "TAIYUAN", "C1", PatientName="王^小明", PatientBirthDate="20121127")
    child = id_of(world.archive, "TAIYUAN", "C1")
    address = f"/me/share/TAIYUAN/{study}"
    assert world.person.get(address).status_code == 404
    with world.archive.store.database.write() as tx:
        said = {"person": child, "guardian": world.mother, "basis": "出生医学证明", "by": "registrar", "at_ms": 0}
        tx.execute(insert(GUARDIANSHIP).values(said))
    assert world.person.get(address).status_code == 200
    link, _ = world.share(study=study, hours=720)
    stranger = Elsewhere(world)
    assert stranger.open(link).status_code == 200
    grown = Elsewhere(world).signed(signed_in(world.archive, "xiaoming", person=child))
    [public_id] = re.findall(r"/me/shares/(\w+)/end", grown.get("/me/shares").text)
    assert grown.ask("POST", f"/me/shares/{public_id}/end", headers=OURS).status_code == 200
    assert stranger.get(f"/look/TAIYUAN/{study}").status_code == 404


def test_a_link_of_a_guardian_who_is_none_any_more_opens_nothing(world: World) -> None:
    study = send(world.archive, "TAIYUAN", "C1", PatientName="王^小明", PatientBirthDate="20201127")
    child = id_of(world.archive, "TAIYUAN", "C1")
    with world.archive.store.database.write() as tx:
        said = {"person": child, "guardian": world.mother, "basis": "出生医学证明", "by": "registrar", "at_ms": 0}
        pk = tx.execute(insert(GUARDIANSHIP).values(said).returning(GUARDIANSHIP.c.pk)).scalar_one()
    stranger = Elsewhere(world)
    assert stranger.open(world.share(study=study)[0]).status_code == 200
    assert stranger.get(f"/look/TAIYUAN/{study}").status_code == 200
    rights.end_guardian(work_of(world.archive, staff(Role.REGISTRAR, institution="TAIYUAN"), world.clock), child, pk)
    assert world.person.get(f"/look/TAIYUAN/{study}").status_code == 404
    assert stranger.get(f"/look/TAIYUAN/{study}").status_code == 404


def test_a_link_to_a_study_that_was_given_to_another_person_opens_nothing(world: World) -> None:
    known: dict[str, Any] = {"PatientName": "王^晓岚", "PatientBirthDate": "19491231"}
    study = send(world.archive, "YUNCHENG", "Y2", OtherPatientIDsSequence=certificate(MOTHER), **known)
    work = work_of(world.archive, resident(world.mother), world.clock)
    made = share_study(
        work, world.archive.access.sharing, study, "YUNCHENG", Wish(timedelta(days=1), False), ORIGIN, "运城"
    )
    stranger = Elsewhere(world)
    assert stranger.open(made.link).status_code == 200
    assert stranger.get(f"/look/YUNCHENG/{study}").status_code == 200
    registrar = world.archive.access.local()
    event = people.history(registrar, people.person_by_exchange_id(registrar, world.mother))[-1]
    people.split(registrar, event.pk, "电话核实：是两个人")
    assert stranger.get(f"/look/YUNCHENG/{study}").status_code == 404


def test_a_link_of_somebody_whom_a_split_has_made_another_person_opens_nothing(world: World) -> None:
    send(world.archive, "YUNCHENG", "Y3", PatientName="李^梅", PatientBirthDate="19880101")
    other, registrar = id_of(world.archive, "YUNCHENG", "Y3"), world.archive.access.local()
    people.join(registrar, ("TAIYUAN", "T1"), ("YUNCHENG", "Y3"), "两张就诊卡，核实有误")
    work = work_of(world.archive, resident(other), world.clock)
    sharing, wish = world.archive.access.sharing, Wish(timedelta(days=1), False)
    made = share_study(work, sharing, world.ct, "TAIYUAN", wish, ORIGIN, "太原")
    kept, _ = world.share()
    strangers = [Elsewhere(world), Elsewhere(world)]
    for stranger, link in zip(strangers, (made.link, kept), strict=True):
        assert stranger.open(link).status_code == 200
        assert stranger.get(f"/look/TAIYUAN/{world.ct}").status_code == 200
    event = people.history(registrar, people.person_by_exchange_id(registrar, world.mother))[-1]
    people.split(registrar, event.pk, "电话核实：是两个人")
    answers = [stranger.get(f"/look/TAIYUAN/{world.ct}").status_code for stranger in strangers]
    assert answers == [404, 200]  # the mother's own link goes on


def test_no_more_links_than_the_catalogue_allows_are_open(world: World) -> None:
    with world.archive.store.database.write() as tx:
        for n in range(SHARING.open_links):
            digests = {f"{name}_sha256": f"{name} {n}".encode().ljust(32) for name in ("manifest", "page", "token")}
            words = dict.fromkeys(("by", "institution", "study_uid", "label", "file", "passcode_hash"), "")
            ms = milliseconds(NOON)
            tx.execute(insert(SHARE).values(
                public_id=str(n), person=world.mother, sharer=world.mother, made_at_ms=ms, until_ms=ms + 3_600_000,
                **digests, **words,
            ))  # fmt: skip
    form, address = {"seconds": "3600", "passcode": "no"}, f"/me/share/TAIYUAN/{world.ct}"
    assert world.person.ask("POST", address, data=form, headers=OURS).status_code == 400
    world.clock.time = NOON + timedelta(hours=1)
    assert world.person.ask("POST", address, data=form, headers=OURS).status_code == 200


def test_all_of_it_is_in_the_audit_and_the_person_reads_it(world: World) -> None:
    link, passcode = world.share(passcode=True, label="给张大夫")
    stranger = Elsewhere(world)
    stranger.open(link, "x")
    stranger.open(link, passcode)
    stranger.get(f"/look/TAIYUAN/{world.ct}")
    said = shl.read_link(link)
    answer = stranger.ask("POST", said.url, json={"recipient": "太原市中心医院", "passcode": passcode}, headers={})
    assert answer.status_code == 200
    [public_id] = re.findall(r"/me/shares/(\w+)/end", world.person.get("/me/shares").text)
    world.person.ask("POST", f"/me/shares/{public_id}/end", headers=OURS)
    stranger.open(link, passcode)
    lines = auditing.lines(world.archive.store, person=world.mother)
    told = [(line.looked.action, line.looked.allowed, line.looked.rule) for line in reversed(lines)]
    assert [each for each in told if each[0].startswith("share.")] == [
        ("share.make", True, "self"), ("share.open", False, "passcode"), ("share.open", True, "share"),
        ("share.open", True, "share"), ("share.make", True, "self"), ("share.end", True, "self"),
        ("share.open", False, "revoked"),
    ]  # fmt: skip
    assert ("imaging.see", True, "share") in told
    recipients = {line.looked.detail.get("recipient") for line in lines} - {None}
    assert recipients == {"太原市中心医院"}
    page = world.person.get("/me/looked").text
    assert "打开了检查的分享链接" in page
    assert "给张大夫" in page
    assert "提取码不对" in page
    assert "您本人" not in page


# --- other people's programs ---


def test_anothers_program_opens_the_link_and_fetches_the_images(world: World) -> None:
    link, passcode = world.share(passcode=True)
    said, program = shl.read_link(link), Elsewhere(world)
    assert said.expires == (NOON + timedelta(hours=24)).timestamp()
    wrong = program.ask("POST", said.url, json={"recipient": "x", "passcode": "1"}, headers={})
    assert (wrong.status_code, wrong.json()) == (401, {"remainingAttempts": SHARING.passcode_tries - 1})
    answer = program.ask("POST", said.url, json={"recipient": "x", "passcode": passcode}, headers={})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    [file] = answer.json()["files"]
    assert file["contentType"] == "application/fhir+json"
    bundle = _decrypted(file["embedded"], said.key)
    patient, study, endpoint = (each["resource"] for each in bundle["entry"])
    assert patient["name"] == [{"text": "王*岚"}]
    assert patient["birthDate"] == "1949"
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{world.ct}"}]
    assert study["endpoint"] == [{"reference": bundle["entry"][2]["fullUrl"]}]
    assert endpoint["address"] == f"{ORIGIN}/dicom-web/at/TAIYUAN"
    name, _, value = endpoint["header"][0].partition(": ")
    shown = {"accept": "*/*", name: value}
    for path in world.images():
        assert program.get(path, headers=shown).status_code == 200, path
    for path in [*world.images(world.other), f"/look/TAIYUAN/{world.other}"]:
        assert program.get(path, headers=shown).status_code in (403, 404), path
    for path in ("/", "/people", f"/fhir/Patient/{world.mother}", "/me/shares"):
        assert program.get(path, headers=shown).status_code in (401, 403, 404), path
    world.clock.time = NOON + timedelta(hours=24)
    assert all(program.get(path, headers=shown).status_code == 401 for path in world.images())
    assert program.ask("POST", said.url, json={"recipient": "x", "passcode": passcode}, headers={}).status_code == 404


def test_a_file_that_is_not_wanted_in_the_manifest_is_fetched_once_soon(world: World) -> None:
    said, program = shl.read_link(world.share()[0]), Elsewhere(world)
    places = []
    for _ in range(2):
        asked = {"recipient": "x", "embeddedLengthMax": 100}
        [file] = program.ask("POST", said.url, json=asked, headers={}).json()["files"]
        assert "embedded" not in file
        places.append(file["location"])
    answer = program.get(places[0], headers={})
    assert answer.headers["content-type"] == "application/jose"
    assert _decrypted(answer.text, said.key)["resourceType"] == "Bundle"
    assert program.get(places[0], headers={}).status_code == 404
    world.clock.time = NOON + timedelta(minutes=10)
    assert program.get(places[1], headers={}).status_code == 404
    program.ask("POST", said.url, json=asked, headers={})
    with world.archive.store.database.read() as tx:
        assert len(list(tx.execute(select(SHARE_FILE)))) == 1


@pytest.mark.parametrize("how", ["ended", "over"])
def test_a_file_that_was_left_ends_with_its_link(world: World, how: str) -> None:
    said, program = shl.read_link(world.share(hours=1)[0]), Elsewhere(world)
    world.clock.time = NOON + timedelta(minutes=55)
    asked = {"recipient": "x", "embeddedLengthMax": 100}
    [file] = program.ask("POST", said.url, json=asked, headers={}).json()["files"]
    if how == "ended":
        [public_id] = re.findall(r"/me/shares/(\w+)/end", world.person.get("/me/shares").text)
        world.person.ask("POST", f"/me/shares/{public_id}/end", headers=OURS)
    else:
        world.clock.time = NOON + timedelta(hours=1)
    assert program.get(file["location"], headers={}).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"recipient": ""}', b"x" * 20_000, b'{"recipient": "x", "passcode": 1}']
)
def test_a_program_that_does_not_say_who_asks_is_told_so(world: World, body: bytes) -> None:
    said = shl.read_link(world.share()[0])
    assert Elsewhere(world).ask("POST", said.url, content=body, headers={}).status_code == 400


def test_pages_of_other_origins_may_ask_for_the_manifest(world: World) -> None:
    said = shl.read_link(world.share()[0])
    preflight = Elsewhere(world).ask("OPTIONS", said.url, headers={"origin": "https://viewer.example"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert "access-control-allow-credentials" not in preflight.headers


def _decrypted(text: str, key: bytes) -> Any:
    """By a library of JOSE that is not ours."""
    return orjson.loads(jwe.decrypt_compact(text, OctKey.import_key(key), ["dir", "A256GCM", "DEF"]).plaintext or b"")


def test_doctors_get_no_link_by_what_they_may_see(world: World) -> None:

    for asker in (doctor("TAIYUAN"), resident(id_of(world.archive, "YUNCHENG", "Y1"))):
        work = work_of(world.archive, asker, world.clock)
        with pytest.raises(NotFound):
            share_study(
                work, world.archive.access.sharing, world.ct, "TAIYUAN", Wish(timedelta(days=1), False), ORIGIN, ""
            )
