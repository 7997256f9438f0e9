"""OHIF's own DICOMweb client, from npm, in a real browser: the same answers that OHIF reads, read by their reader."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page
from pydicom.uid import ExplicitVRLittleEndian
from tests.browser import images
from tests.browser.conftest import NODE_MODULES
from tests.serving import Server

pytestmark = pytest.mark.peer

CLIENT = NODE_MODULES / "dicomweb-client" / "build" / "dicomweb-client.js"


def ask(tab: Page, call: str) -> Any:
    """The value of an expression in which `client` is the npm client on our DICOMweb root."""
    return tab.evaluate(
        """async ([source, call]) => {
            const module = { exports: {} };
            new Function('exports', 'module', source)(module.exports, module);
            const { DICOMwebClient } = module.exports.api;
            const client = new DICOMwebClient({ url: location.origin + '/dicom-web' });
            const bytes = buffer => Array.from(new Uint8Array(buffer));
            return await new Function('client', 'bytes', 'return (async () => ' + call + ')()')(client, bytes);
        }""",
        [CLIENT.read_text("utf-8"), call],
    )


@pytest.fixture
def sent(server: Server, tab: Page) -> images.Sent:
    if not CLIENT.is_file():
        pytest.skip("the npm client is not installed; `make setup` does it")
    made = images.ct_as(ExplicitVRLittleEndian)
    server.stow(made.data)
    tab.goto("/app-config.js")  # a document of our origin, without a policy against `new Function`
    return made


def test_it_finds_studies_series_and_instances(tab: Page, sent: images.Sent) -> None:
    study = f"studyInstanceUID: '{sent.study_uid}'"
    [found] = ask(tab, f"client.searchForStudies({{ queryParams: {{ StudyInstanceUID: '{sent.study_uid}' }} }})")
    assert found["0020000D"]["Value"] == [sent.study_uid]
    [series] = ask(tab, f"client.searchForSeries({{ {study} }})")
    [instance] = ask(tab, f"client.searchForInstances({{ {study} }})")
    assert instance["0020000E"]["Value"] == series["0020000E"]["Value"]


def test_it_reads_metadata_and_frames(tab: Page, sent: images.Sent) -> None:
    study = f"studyInstanceUID: '{sent.study_uid}'"
    [header] = ask(tab, f"client.retrieveStudyMetadata({{ {study} }})")
    series_uid, sop_uid = header["0020000E"]["Value"][0], header["00080018"]["Value"][0]
    assert (header["00280010"]["Value"], header["00280011"]["Value"]) == ([128], [128])
    which = f"{study}, seriesInstanceUID: '{series_uid}', sopInstanceUID: '{sop_uid}'"
    [frame] = ask(tab, f"(await client.retrieveInstanceFrames({{ {which}, frameNumbers: [1] }})).map(bytes)")
    assert sent.frame is not None
    assert bytes(frame) == sent.frame.astype("<u2").tobytes()


def test_it_retrieves_the_file_as_it_was_sent(tab: Page, sent: images.Sent) -> None:
    [file] = ask(tab, f"(await client.retrieveStudy({{ studyInstanceUID: '{sent.study_uid}' }})).map(bytes)")
    assert bytes(file) == sent.data
