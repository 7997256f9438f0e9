"""OHIF's query for prior studies: one person's studies of all hospitals, and never another's of the same number."""

from __future__ import annotations

import io
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pydicom
import pytest
from playwright.sync_api import Page
from pydicom.dataset import Dataset
from tests.browser import images
from tests.browser.images import Sent
from tests.browser.test_viewer import ALIKE, CANVAS, until_alike
from tests.serving import Server

pytestmark = pytest.mark.usefixtures("ohif")
LI_MING = "440524188001010014"


def sent_of(made: Sent, number: str, name: str, certificate: str = "", **more: str) -> Sent:
    """The same picture as another patient's."""
    ds = pydicom.dcmread(io.BytesIO(made.data))
    ds.SpecificCharacterSet, ds.PatientID, ds.PatientName = "ISO_IR 192", number, name
    ds.PatientBirthDate, ds.PatientSex = "", ""
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    if certificate:
        item, qualifier = Dataset(), Dataset()
        item.PatientID, item.TypeOfPatientID, qualifier.IdentifierTypeCode = certificate, "TEXT", "NI"
        item.IssuerOfPatientIDQualifiersSequence = [qualifier]
        ds.OtherPatientIDsSequence = [item]
    return Sent(images.written(ds), made.study_uid, made.frame)


def persons(server: Server, *sent: Sent) -> list[str]:
    """What the exchange says of whose these are."""
    rows = httpx.get(f"{server.dicomweb}/studies?limit=100").json()
    found = {row["0020000D"]["Value"][0]: row["00100020"].get("Value", [""])[0] for row in rows}
    return [found[each.study_uid] for each in sent]


def until_one(server: Server, *sent: Sent) -> None:
    """Records of images are matched soon after they came."""
    end = time.monotonic() + 20
    while len(set(persons(server, *sent))) > 1:
        assert time.monotonic() < end, "they are not one person"
        time.sleep(0.2)


def test_priors_are_one_persons_of_all_hospitals_and_nobody_elses(server: Server, tab: Page, pictures: Path) -> None:
    ours = sent_of(images.as_shipped("CT_small.dcm"), "P7001", "李^明", LI_MING, StudyDescription="Ours CT")
    theirs = sent_of(images.as_shipped("MR_small.dcm"), "2026-77", "李^明", LI_MING, StudyDescription="Prior MR")
    strangers = sent_of(images.as_shipped("examples_ybr_color.dcm"), "P7001", "王^芳", StudyDescription="Stranger US")
    server.stow(ours.data)
    server.stow(theirs.data, strangers.data, institution="YUNCHENG")
    until_one(server, ours, theirs)
    assert len(set(persons(server, ours, strangers))) == 2

    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"/viewer?StudyInstanceUIDs={ours.study_uid}")
    assert ours.frame is not None
    assert theirs.frame is not None
    assert until_alike(tab, ours.frame) >= ALIKE
    prior = tab.locator("[data-cy=studyBrowser-panel]").get_by_text("Prior MR")
    prior.wait_for()
    tab.screenshot(path=pictures / "viewer-priors.png")
    assert tab.get_by_text("Stranger US").count() == 0
    queries = [parse_qs(urlsplit(url).query) for url in asked]
    numbers = {n for query in queries for tag in ("PatientID", "00100020") for n in query.get(tag, [])}
    assert numbers == set(persons(server, ours))

    prior.click()
    tab.locator("[data-cy=study-browser-thumbnail]").filter(has_text="MR").dblclick()
    assert until_alike(tab, theirs.frame) >= ALIKE
    tab.screenshot(path=pictures / "viewer-prior-opened.png")
    (person,) = set(persons(server, ours, theirs))
    tab.get_by_text(person[:12]).first.wait_for()  # the viewer shortens it
    assert tab.get_by_text("Multiple Patients").count() == 0
    assert tab.locator(CANVAS).count() >= 1
