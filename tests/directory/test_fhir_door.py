"""The directory over FHIR: by clients that are not ours, and by what each search parameter finds."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhirpy import SyncFHIRClient
from tests.archives import TestArchive, archive_in, settings_for
from tests.serving import Server, serving

from huitong.app.archive import load_directory
from huitong.app.asgi import application
from huitong.cli.demo_directory import FILES, load_demo_directory
from huitong.directory import actions

ROOT = Path(__file__).resolve().parents[2]


class Client:
    def __init__(self, archive: TestArchive) -> None:
        self.app = application(archive.store, archive.access, lambda: 0)

    def get(self, path: str) -> dict[str, Any]:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 50000))
            async with httpx.AsyncClient(transport=transport, base_url="http://huitong.example") as client:
                return await client.get(f"/fhir/{path}", headers={"Prefer": "handling=strict"})

        answer = asyncio.run(ask())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ids(self, path: str) -> list[str]:
        bundle = self.get(path)
        found = [each["resource"]["id"] for each in bundle.get("entry", [])]
        assert bundle["total"] == len(found)
        return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestArchive]:
    with archive_in(tmp_path_factory.mktemp("fhir") / "data") as opened:
        for file, text in FILES.items():
            assert not actions.load(opened.access.local(), file, text.encode()).refused
        yield opened


@pytest.fixture(scope="module")
def fhir(archive: TestArchive) -> Client:
    return Client(archive)


INSTITUTIONS = ["TAIYUAN", "YC..DONGCUN", "YC..XIECHI", "YUNCHENG"]
DEPARTMENTS = [
    "TAIYUAN.ECG", "TAIYUAN.ORTHO", "TAIYUAN.RAD", "TAIYUAN.US", "YC..XIECHI.GP", "YUNCHENG.ENDO", "YUNCHENG.LAB",
    "YUNCHENG.RAD",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Organization", sorted([*INSTITUTIONS, *DEPARTMENTS])),
        ("Organization?type=prov", INSTITUTIONS),
        ("Organization?type=dept", DEPARTMENTS),
        ("Organization?name=太原", ["TAIYUAN"]),
        ("Organization?name=taiyuan", ["TAIYUAN"]),
        ("Organization?name=hospital", ["TAIYUAN", "YUNCHENG"]),
        ("Organization?name=中心医院", []),
        ("Organization?name:contains=中心医院", ["TAIYUAN"]),
        ("Organization?name:exact=放射科", ["TAIYUAN.RAD"]),
        ("Organization?name=放射科,内镜中心", ["TAIYUAN.RAD", "YUNCHENG.ENDO"]),
        ("Organization?identifier=TAIYUAN", ["TAIYUAN"]),
        ("Organization?identifier=urn:huitong:gb32100|12140100MB0000010B", ["TAIYUAN"]),
        ("Organization?identifier=urn:huitong:gb32100|TAIYUAN", []),
        ("Organization?identifier=urn:huitong:gb32100|", ["TAIYUAN", "YUNCHENG"]),
        ("Organization?partof=Organization/TAIYUAN", DEPARTMENTS[:4]),
        ("Organization?partof=YUNCHENG", ["YC..XIECHI", *DEPARTMENTS[5:]]),
        ("Organization?region=1408", INSTITUTIONS[1:]),
        ("Organization?level=3A", ["TAIYUAN"]),
        ("Organization?county-group=盐湖区", INSTITUTIONS[1:]),
        ("Organization?address=杏花岭", ["TAIYUAN"]),
        ("Organization?active=false", []),
        ("Organization?_id=TAIYUAN,YUNCHENG", ["TAIYUAN", "YUNCHENG"]),
        ("Organization?_lastUpdated=lt2020", []),
        ("Organization?type=prov&_lastUpdated=ge2020", INSTITUTIONS),
        ("Location?status=active&partof=Location/TAIYUAN", DEPARTMENTS[:4]),
        ("Location?organization=Organization/TAIYUAN", ["TAIYUAN"]),
        ("Location?region=140107", ["TAIYUAN"]),
        ("Practitioner?name=李", ["D1001"]),
        ("Practitioner?name=limingyuan", ["D1001"]),
        ("Practitioner?identifier=141140800000001", ["D2001"]),
        ("Practitioner?gender=female", ["D1002", "D2001"]),
        ("PractitionerRole?practitioner=Practitioner/D1001", ["D1001.TAIYUAN.RAD.doctor"]),
        ("PractitionerRole?organization=Organization/TAIYUAN.RAD",
         ["D1001.TAIYUAN.RAD.doctor", "T1003.TAIYUAN.RAD.technician"]),
        ("PractitionerRole?role=technician", ["T1003.TAIYUAN.RAD.technician"]),
        ("PractitionerRole?organization=YUNCHENG", ["D2001.YUNCHENG.RAD.doctor"]),
        ("PractitionerRole?date=le2013", ["T1003.TAIYUAN.RAD.technician"]),
        ("PractitionerRole?specialty=超声", ["D1002.TAIYUAN.US.doctor"]),
        ("Endpoint?connection-type=hl7v2-mllp", ["TAIYUAN.HIS", "YUNCHENG.HIS"]),
        ("Endpoint?organization=TAIYUAN&status=active", ["TAIYUAN.HIS", "TAIYUAN.PACS"]),
        ("Endpoint?identifier=urn:huitong:endpoint|CT1", ["YUNCHENG.CT1"]),
    ],
)  # fmt: skip
def test_a_search_finds(fhir: Client, path: str, found: list[str]) -> None:
    assert fhir.ids(path) == found


def test_pages_go_through_institutions_and_departments(fhir: Client) -> None:
    found, path = [], "Organization?_count=5"
    while path:
        bundle = fhir.get(path)
        found += [each["resource"]["id"] for each in bundle["entry"]]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        path = links.get("next", "").removeprefix("http://huitong.example/fhir/")
    assert found == sorted([*INSTITUTIONS, *DEPARTMENTS])


def test_an_organization_has_its_certificates_as_r5_says_them(fhir: Client) -> None:
    said = fhir.get("Organization/TAIYUAN")
    extensions = [each for each in said["extension"] if "qualification" in each["url"]]
    assert len(extensions) == 3
    parts = {each["url"]: each for each in extensions[0]["extension"]}
    assert parts["code"]["valueCodeableConcept"]["coding"][0]["code"] == "CT-HEAD"
    assert parts["period"]["valuePeriod"] == {"start": "2026-01-01", "end": "2026-12-31"}
    assert parts["urn:huitong:certificate-level"]["valueCode"] == "province"


def test_an_endpoint_tells_no_networks(fhir: Client) -> None:
    assert "127.0.0" not in json.dumps(fhir.get("Endpoint/TAIYUAN.PACS"))


def test_what_is_read_over_fhir_can_be_loaded_elsewhere_and_here_changes_nothing(
    fhir: Client, archive: TestArchive, tmp_path: Path
) -> None:
    types = ("Organization", "Practitioner", "PractitionerRole", "Endpoint")
    entries = [each for name in types for each in fhir.get(f"{name}?_count=100")["entry"]]
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    here = actions.load(archive.access.local(), "all.json", data)
    assert (here.refusals, here.changes_nothing) == ((), True)
    with archive_in(tmp_path / "other") as other:
        there = actions.load(other.access.local(), "all.json", data)
        assert (there.refusals, there.added) == ((), here.unchanged)
        again = Client(other)
        for entry in entries:
            said, had = again.get(f"{entry['resource']['resourceType']}/{entry['resource']['id']}"), entry["resource"]
            assert {**said, "meta": None} == {**had, "meta": None}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server") / "data"
    load_demo_directory(settings_for(folder))
    with serving(folder) as started:
        yield started


def test_fhirpy_searches_and_follows_references(server: Server) -> None:
    client = SyncFHIRClient(f"{server.base}/fhir")
    found = client.resources("Organization").search(type="dept").limit(3).fetch_all()
    assert sorted(each["id"] for each in found) == DEPARTMENTS
    assert found[0]["partOf"].to_resource()["name"] == "太原市中心医院"
    role = client.resources("PractitionerRole").search(role="technician").first()
    assert role["practitioner"].to_resource()["name"][0]["text"] == "郭建军"


@pytest.mark.peer
def test_fhir_kit_client_reads_pages_and_capabilities(server: Server, tmp_path: Path) -> None:
    if shutil.which("node") is None or not (ROOT / "node_modules/fhir-kit-client").is_dir():
        pytest.skip("node or fhir-kit-client is not installed")
    script = f"""
        const kit = require({json.dumps(str(ROOT / "node_modules/fhir-kit-client"))});
        const client = new kit.Client({{baseUrl: {json.dumps(server.base + "/fhir")}}});
        (async () => {{
          const capability = await client.capabilityStatement();
          const one = await client.read({{resourceType: 'Organization', id: 'TAIYUAN'}});
          let page = await client.search({{resourceType: 'Organization', searchParams: {{_count: 5}}}});
          const ids = [];
          while (page) {{
            ids.push(...page.entry.map(e => e.resource.id));
            page = page.link.some(l => l.relation === 'next') ? await client.nextPage({{bundle: page}}) : null;
          }}
          let fault = null;
          try {{ await client.read({{resourceType: 'Organization', id: 'NOBODY'}}); }}
          catch (error) {{ fault = error.response.status; }}
          console.log(JSON.stringify({{version: capability.fhirVersion, name: one.name, ids, fault}}));
        }})().catch(error => {{ console.error(error); process.exit(1); }});
    """
    (tmp_path / "ask.cjs").write_text(script, "utf-8")
    done = subprocess.run(["node", str(tmp_path / "ask.cjs")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["version"], said["name"], said["fault"]) == ("4.0.1", "太原市中心医院", 404)
    assert said["ids"] == sorted([*INSTITUTIONS, *DEPARTMENTS])


def test_a_running_server_tells_what_was_loaded_meanwhile(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = httpx.get(f"{server.base}/fhir/Organization/NEWLY")
    assert before.status_code == 404
    folder = next(p for p in tmp_path_factory.getbasetemp().glob("server*/data"))
    load_directory(settings_for(folder), "new.csv", "机构代码,机构名称\nNEWLY,新医院\n".encode(), None, dry_run=False)
    assert httpx.get(f"{server.base}/fhir/Organization/NEWLY").json()["name"] == "新医院"
