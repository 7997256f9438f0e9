"""Signed links: what the object store gives away is the instance as received, and nothing of another study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid
from tests import homes
from tests.archives import archive_in
from tests.objects import part10
from tests.serving import Server, serving

from huitong.imaging import actions

TOKEN = {"Authorization": "Bearer demo-TAIYUAN"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("links"), "--link-s", "60", "--settle-s", "0.2") as running:
        yield running


def study(count: int) -> tuple[str, list[bytes]]:
    uid, series = generate_uid(), generate_uid()
    same = {"StudyInstanceUID": uid, "SeriesInstanceUID": series}
    return uid, [part10(InstanceNumber=n, PixelData=bytes([n]) * 32, **same) for n in range(1, count + 1)]


def test_the_links_of_a_settled_study_give_its_instances_byte_for_byte(server: Server) -> None:
    uid, files = study(3)
    for each in files:
        server.stow(each)
    address = f"{server.dicomweb}/studies/{uid}/links"
    links = _settled(address)
    assert [each["length"] for each in links] == [len(each) for each in files]
    if homes.kind == homes.EMBEDDED:
        assert [each["url"] for each in links] == [None] * 3
        return
    assert len({each["url"] for each in links}) == 1  # brought together
    assert [_fetched(each) for each in links] == files
    unsigned = links[0]["url"].partition("?")[0]
    assert httpx.get(unsigned).status_code == 403


def _settled(address: str) -> list[dict[str, object]]:
    """The links once the study has been merged."""
    for _ in range(100):
        links = httpx.get(address).json()
        if len({each["url"] for each in links}) == 1:
            return list(links)
        time.sleep(0.1)
    raise AssertionError(links)


def _fetched(link: dict[str, object]) -> bytes:
    first, length = int(str(link["offset"])), int(str(link["length"]))
    answer = httpx.get(str(link["url"]), headers={"Range": f"bytes={first}-{first + length - 1}"})
    assert answer.status_code == 206
    return answer.content


def test_an_object_that_holds_two_studies_is_not_given_away(tmp_path: Path) -> None:
    (first, mine), (_, theirs) = study(4), study(4)
    with archive_in(tmp_path, link_s=60.0) as archive:
        # The first may go alone; those that come while it is made durable are one group, and one object.
        archive.keep_now(*(each for pair in zip(mine, theirs, strict=True) for each in pair))
        assert None in [each.url for each in actions.links(archive.reader, first, None, None)]


@pytest.mark.parametrize("path", ["studies/1.2.3/links", "studies/1.2.3/series/4.5/instances/6/links"])
def test_what_is_not_there_has_no_links(server: Server, path: str) -> None:
    assert httpx.get(f"{server.dicomweb}/{path}").status_code == 404
