"""A hospital's collector of audit events, by clients that we did not write: what its own systems did, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import hl7.client
import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome
from tests.access.signing import assertion, jwks, rsa_key
from tests.people.doors.mllp_sink import adt
from tests.serving import Server, huitong, serving
from tests.system.node import fhir_kit, said_by

TAIYUAN = "urn:huitong:patient:TAIYUAN"
PATIENTS = 5


def token(server: Server, client: str, scope: str) -> str:
    url = httpx.get(f"{server.base}/fhir/.well-known/smart-configuration").json()["token_endpoint"]
    asked = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(rsa_key(), client, url),
    }
    return str(httpx.post(url, data=asked).raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Patients of TAIYUAN, whom a system of TAIYUAN and one of YUNCHENG have read."""
    folder = tmp_path_factory.mktemp("events")
    keys = folder / "jwks.json"
    keys.write_text(jwks(rsa_key()))
    with serving(folder / "data", "--mllp", "0", "--readers", "10.0.0.0/8") as server:
        for institution, more in (("TAIYUAN", " system/AuditEvent.rs"), ("YUNCHENG", "")):
            whose = ("--institution", institution, "--scope", f"system/Patient.rs{more}", "--jwks", str(keys))
            done = huitong("client", "add", institution.lower(), *whose, "--data", str(folder / "data"), "--demo")
            assert done.returncode == 0, done.stderr
        with hl7.client.MLLPClient("127.0.0.1", server.mllp_port) as sender:
            for number in range(PATIENTS):
                pid = f"PID|1||P{number}^^^TAIYUAN^MR||王^小{'东南西北中'[number]}||19491231|M"
                assert b"MSA|AA|" in sender.send_message(adt(1 + number, pid, facility="TAIYUAN"))
        for client in ("taiyuan", "yuncheng"):
            reader = fhirpy(server, token(server, client, "system/Patient.rs"))
            for number in range(PATIENTS):
                (found,) = reader.resources("Patient").search(identifier=f"{TAIYUAN}|P{number}").fetch()
                reader.reference("Patient", found["id"]).to_resource()
        yield server


def fhirpy(server: Server, bearer: str) -> SyncFHIRClient:
    return SyncFHIRClient(f"{server.base}/fhir", authorization=f"Bearer {bearer}")


def test_fhirpy_reads_pages_and_models_them(server: Server) -> None:
    client = fhirpy(server, token(server, "taiyuan", "system/AuditEvent.rs"))
    read = client.resources("AuditEvent").search(subtype="110110", outcome="0").limit(2).fetch_all()
    assert len(read) == PATIENTS
    numbers = [int(each["id"]) for each in read]
    assert numbers == sorted(numbers, reverse=True)
    for each in read:
        event = AuditEvent.model_validate(each.serialize())
        assert event.outcomeDesc == "identify"
        assert event.agent[0].who.identifier.value == "taiyuan"
        assert event.meta.profile[0].endswith("IHE.BasicAudit.PatientRead")
    patient = read[0]["entity"][0]["what"]["reference"].partition("/")[2]
    (of_one,) = client.resources("AuditEvent").search(patient=patient, subtype="110110").fetch()
    assert of_one["id"] == read[0]["id"]
    assert client.reference("AuditEvent", of_one["id"]).to_resource()["recorded"] == of_one["recorded"]
    with pytest.raises(OperationOutcome):
        client.resources("AuditEvent").search(date="yesterday").fetch()


def test_a_system_without_the_scope_reads_nothing_of_it(server: Server) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        token(server, "yuncheng", "system/AuditEvent.rs")
    refused = httpx.get(
        f"{server.base}/fhir/AuditEvent",
        headers={"Authorization": f"Bearer {token(server, 'yuncheng', 'system/Patient.rs')}"},
    )
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")


SCRIPT = """
const [base, bearerToken] = process.argv.slice(1);
(async () => {
  const { Client } = await import('fhir-kit-client');
  const client = new Client({ baseUrl: base, bearerToken });
  const ids = [];
  let page = await client.search({ resourceType: 'AuditEvent', searchParams: { subtype: '110110', _count: 2 } });
  for (let pages = 0; page && pages < 10; pages++) {
    ids.push(...(page.entry || []).map((each) => each.resource.id));
    page = await client.nextPage({ bundle: page });
  }
  const one = await client.read({ resourceType: 'AuditEvent', id: ids[0] });
  const none = await client.read({ resourceType: 'AuditEvent', id: '99999' })
    .catch((error) => [error.response.status, error.response.data.issue[0].code]);
  const wrong = await client.search({ resourceType: 'AuditEvent', searchParams: { date: 'yesterday' } })
    .catch((error) => [error.response.status, error.response.data.issue[0].code]);
  const capable = await client.capabilityStatement();
  const types = capable.rest[0].resource.map((each) => each.type);
  console.log(JSON.stringify({ ids, type: one.type.code, none, wrong, has: types.includes('AuditEvent') }));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.peer
@fhir_kit
def test_fhir_kit_client_reads_pages(server: Server) -> None:
    said = said_by(SCRIPT, f"{server.base}/fhir", token(server, "taiyuan", "system/AuditEvent.rs"))
    assert (len(set(said["ids"])), len(said["ids"])) == (PATIENTS, PATIENTS)
    assert (said["type"], said["none"], said["wrong"]) == ("rest", [404, "not-found"], [400, "invalid"])
    assert said["has"] is True
