"""A server at its most talkative, shown every kind of secret at every door: none is in what it logs or counts."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import httpx
from pydicom.uid import ExplicitVRLittleEndian
from tests.access.signing import assertion, ec_key, jwks
from tests.homes import flags_of
from tests.objects import CT, dataset, part10
from tests.people.doors.mllp_sink import Peer, adt
from tests.serving import Server, huitong, serving

from huitong.base.log import shape_of
from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, association

NAME, NUMBER, ACCESSION, CITIZEN = "PINGYAO^Xinniang", "ZY7730451", "ACC559812", "140107194912310027"
WORDS = {
    "name": NAME, "patient number": NUMBER, "accession number": ACCESSION, "citizen's number": CITIZEN,
    "password": "hunter2-correct-horse", "institution's token": "demo-TAIYUAN", "wrong token": "wr0ng-t0ken-9f8e",
    "card code": "CARDCODE5577:0:AAAA", "session": "s3ss10n-c00k1e", "key id of the store": "k3yid-5ecret",
    "pin": "p1n-889977",
}  # fmt: skip


def _drive(server: Server, folder: Path) -> dict[str, str]:
    """Shows everything everywhere; more secrets, that the server itself has given."""
    more: dict[str, str] = {}
    with httpx.Client(base_url=server.base, timeout=30) as client:
        url = client.get("/.well-known/smart-configuration").json()["token_endpoint"]
        said = assertion(ec_key(), "ris", url)
        form = {
            "grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion": said,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }  # fmt: skip
        more["assertion"], more["access token"] = said, client.post("/auth/token", data=form).json()["access_token"]
        assert client.post("/auth/token", data=form).status_code == 401
        more["forged assertion"] = assertion(ec_key("other"), "ris", url)
        client.post("/auth/token", data={**form, "client_assertion": more["forged assertion"]})
        client.post("/auth/token", data={"grant_type": "password", "password": WORDS["password"]})
        tokens = (more["access token"], WORDS["institution's token"], WORDS["wrong token"])
        for text in tokens:
            for path in _paths():
                headers = {"Authorization": f"Bearer {text}", "Cookie": f"huitong_session={WORDS['session']}"}
                client.get(path, headers=headers)
                client.post(path, headers=headers, content=WORDS["password"])
        scan = {"code": WORDS["card code"], "step": "010101", "terminal_id": "1", "terminal_type": "01"}
        for text in tokens:
            client.post("/card/resolve", json=scan, headers={"Authorization": f"Bearer {text}"})
            client.post("/card/issue", json={"patient_number": NUMBER}, headers={"Authorization": f"Bearer {text}"})
        client.post("/sign-in", data={"name": "li", "password": WORDS["password"]})
    _send(server)
    asyncio.run(_messages(server))
    return more


def _paths() -> list[str]:
    name, found = quote(NAME), []
    found += [f"/dicom-web/studies?PatientName={name}&PatientID={NUMBER}&AccessionNumber={ACCESSION}"]
    found += [f"/dicom-web/studies/{NUMBER}", f"/dicom-web/at/{NUMBER}/studies?limit=x{NUMBER}"]
    found += [
        f"/fhir/Patient/{NUMBER}",
        f"/fhir/Patient?identifier={CITIZEN}&name={name}",
        f"/fhir/{NUMBER}?a={CITIZEN}",
    ]
    found += [f"/fhir/Patient?birthdate={NUMBER}", f"/?q={name}", f"/people?q={CITIZEN}", f"/person/{NUMBER}"]
    found += [f"/health-card/{CITIZEN}", f"/health-card/{CITIZEN}/code", f"/{NUMBER}/{CITIZEN}", f"/card/{CITIZEN}"]
    return found


def _send(server: Server) -> None:
    patient = {"PatientName": NAME, "PatientID": NUMBER, "AccessionNumber": ACCESSION, "OtherPatientIDs": CITIZEN}
    good = part10(dataset(**patient))
    server.stow(good)
    broken = (good[:400], good.replace(b"\x20\x00\x0d\x00UI", b"\x20\x00\x0d\x00US"), b"DICM" + NAME.encode())
    for each in broken:
        server.stow(each, allowed=(200, 202, 400, 409))
    to = Address("127.0.0.1", server.dimse_port)
    with association(to, "TAIYUAN", "HUITONG", [(CT, ExplicitVRLittleEndian)]) as storer:
        storer.store(Part10.of(part10(dataset(**patient, InstanceNumber=2))))


async def _messages(server: Server) -> None:
    pid = f"PID|1||{NUMBER}^^^TAIYUAN^MR~{CITIZEN}^^^^CZ||{NAME}||19491231|F"
    for facility, segments in (
        ("TAIYUAN", (pid,)),
        ("NOBODY", (pid,)),
        ("TAIYUAN", (pid.replace("|19491231|", "|19|"), "PV1|x")),
    ):
        peer = await Peer.connect(server.mllp_port)
        await peer.send(adt(1, *segments, facility=facility))
        await peer.said()
        await peer.close()


def test_no_secret_and_nobodys_number_is_logged_or_counted(tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(jwks(ec_key()))
    data = tmp_path / "data"
    scope = ("--scope", "system/Patient.rs system/ImagingStudy.rs", "--jwks", str(keys))
    added = huitong("client", "add", "ris", "--institution", "TAIYUAN", *scope, "--data", str(data), "--demo")
    assert added.returncode == 0, added.stderr
    flags = ["--log-level", "debug", "--mllp", "0", "--card-hsm-pin", WORDS["pin"]]
    own = flags_of(data) or ["--s3-secret", WORDS["key id of the store"]]
    with serving(data, *flags, *own) as server:
        secrets = {**WORDS, **_drive(server, tmp_path)}
        counted = httpx.get(f"{server.base}/metrics").text
    logged = "".join(server.said)
    for event in ("no token given", "hl7 message refused", "dimse association accepted", "stopped"):
        assert f'"event": "{event}"' in logged, "the server was not driven as it should be"
    for kind, word in secrets.items():
        for written in {word, quote(word), word.replace("^", " ")}:
            assert written not in logged, (kind, [line for line in server.said if written in line][:2])
            assert written not in counted, kind


def test_a_path_is_logged_by_its_shape() -> None:
    shapes = {
        "/dicom-web/studies/1.2.840.1/series/1.2.3.4": "/dicom-web/studies/1.2.840.1/series/1.2.3.4",
        "/dicom-web/at/TAIYUAN/studies": "/dicom-web/at/TAIYUAN/studies",
        f"/person/{NUMBER}": "/person/*",
        f"/health-card/{CITIZEN}": "/health-card/*",
        "/fhir/Patient/$match": "/fhir/Patient/$match",
        "/fhir/Patient/3f2a9c": "/fhir/Patient/*",
        "/王小东/x": "/*/*",
        "/a\nb": "/*",
    }
    assert {path: shape_of(path) for path in shapes} == shapes
    assert len(shape_of("/x" * 5000)) < 100


def test_settings_are_shown_with_stars(tmp_path: Path) -> None:
    shown = huitong("settings", "--data", str(tmp_path), "--card-hsm-pin", WORDS["pin"])
    assert WORDS["pin"] not in shown.stdout + shown.stderr
    assert isinstance(shown, subprocess.CompletedProcess)
    assert re.search(r"card_hsm_pin\s+\*+", shown.stdout)
    assert json.dumps(WORDS)
