"""Clients that we did not write: what an ADT message registered is read, found, matched and cross-referenced."""

from __future__ import annotations

import json
from collections.abc import Iterator

import hl7.client
import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from tests.people.doors.mllp_sink import adt
from tests.serving import Server, serving
from tests.system.node import fhir_kit, said_by

ID = "11010519491231002X"
CITIZEN = "urn:oid:2.16.156.10011.1.3"
TAIYUAN, YUNCHENG = "urn:huitong:patient:TAIYUAN", "urn:huitong:patient:YUNCHENG"
PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "王", "given": ["小东"]}],
    "gender": "male",
    "birthDate": "1949-12-31",
    "identifier": [{"system": CITIZEN, "value": ID}],
}
MATCH = {
    "resourceType": "Parameters",
    "parameter": [{"name": "resource", "resource": PATIENT}, {"name": "onlyCertainMatches", "valueBoolean": True}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One person under two numbers, told by ADT."""
    with serving(tmp_path_factory.mktemp("data"), "--mllp", "0") as server:
        with hl7.client.MLLPClient("127.0.0.1", server.mllp_port) as client:
            for facility, number in (("TAIYUAN", "P1"), ("YUNCHENG", "Q1")):
                pid = f"PID|1||{number}^^^{facility}^MR~{ID}^^^^NI||王^小东||19491231|M"
                assert b"MSA|AA|" in client.send_message(adt(1, pid, facility=facility))
        yield server


def test_fhirpy_reads_finds_matches_and_cross_references(server: Server) -> None:
    client = SyncFHIRClient(f"{server.base}/fhir")
    (found,) = client.resources("Patient").search(identifier=f"{TAIYUAN}|P1").fetch()
    assert [each["value"] for each in found["identifier"]][1:] == ["P1", "Q1", ID]
    assert client.reference("Patient", found["id"]).to_resource()["birthDate"] == "1949-12-31"
    assert client.resources("Patient").search(family="王", birthdate="1949-12-31", gender="male").count() == 1
    matched = client.execute("Patient/$match", method="post", data=MATCH)
    assert [entry["resource"]["id"] for entry in matched["entry"]] == [found["id"]]
    crossed = client.execute("Patient/$ihe-pix", method="get", params={"sourceIdentifier": f"{YUNCHENG}|Q1"})
    assert crossed["resourceType"] == "Parameters"
    targets = [each for each in crossed["parameter"] if each["name"] == "targetIdentifier"]
    assert [(each["valueIdentifier"]["system"], each["valueIdentifier"]["value"]) for each in targets] == [
        ("urn:huitong:person", found["id"]), (TAIYUAN, "P1"), (CITIZEN, ID)
    ]  # fmt: skip
    (whole,) = [each for each in crossed["parameter"] if each["name"] == "targetId"]
    assert whole["valueReference"]["reference"] == f"Patient/{found['id']}"
    assert len(crossed["parameter"]) == len(targets) + 1
    with pytest.raises(ResourceNotFound):
        client.execute("Patient/$ihe-pix", method="get", params={"sourceIdentifier": f"{YUNCHENG}|X"})
    with pytest.raises(OperationOutcome):
        client.execute("Patient/$ihe-pix", method="get", params={"sourceIdentifier": "urn:other|X"})


SCRIPT = """
const [base, taiyuan, match] = process.argv.slice(1);
(async () => {
  const { Client } = await import('fhir-kit-client');
  const client = new Client({ baseUrl: base });
  const found = await client.search({ resourceType: 'Patient', searchParams: { identifier: `${taiyuan}|P1` } });
  const id = found.entry[0].resource.id;
  const read = await client.read({ resourceType: 'Patient', id });
  const matched = await client.operation({ name: 'match', resourceType: 'Patient', input: JSON.parse(match) });
  const pix = await client.operation({
    name: 'ihe-pix', resourceType: 'Patient', method: 'get', input: { sourceIdentifier: `${taiyuan}|P1` },
  });
  const wrong = await client.operation({
    name: 'ihe-pix', resourceType: 'Patient', method: 'get', input: { sourceIdentifier: `${taiyuan}|P9` },
  }).catch((error) => [error.response.status, error.response.data.issue[0].code]);
  const capable = await client.capabilityStatement();
  console.log(JSON.stringify({
    id, gender: read.gender, matched: matched.entry[0].resource.id,
    grade: matched.entry[0].search.extension[0].valueCode,
    targets: pix.parameter.map((each) => each.name), wrong, version: capable.fhirVersion,
  }));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.peer
@fhir_kit
def test_fhir_kit_client_reads_finds_matches_and_cross_references(server: Server) -> None:
    said = said_by(SCRIPT, f"{server.base}/fhir", TAIYUAN, json.dumps(MATCH))
    assert said["id"].startswith("HT")
    assert said["matched"] == said["id"]
    assert (said["gender"], said["grade"], said["version"]) == ("male", "certain", "4.0.1")
    assert said["targets"] == ["targetIdentifier"] * 3 + ["targetId"]
    assert said["wrong"] == [404, "not-found"]
