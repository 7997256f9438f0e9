"""The door before programs of other projects: dcmtk's and pynetdicom's SCUs, on real sockets."""

import asyncio
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import (
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityWorklistInformationFind,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from tests.imaging.doors.dimse_sink import Sink, door, until

from huitong.base.errors import NotDicom
from huitong.imaging.model import Expected

#: One of each transfer syntax that pydicom's wheel has a file of.
NAMES = (
    "CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm", "JPGExtended.dcm",
    "JPEG2000.dcm", "waveform_ecg.dcm", "test-SR.dcm", "rtplan.dcm", "liver_1frame.dcm",
)  # fmt: skip
PRIVATE_CLASS, PRIVATE_SYNTAX = UID("1.2.826.0.1.3680043.9.9999.1"), UID("1.2.826.0.1.3680043.9.9999.2")

KNOWN_OF_EVERYONE = (
    MaximumLengthNotification, ImplementationClassUIDNotification, ImplementationVersionNameNotification,
)  # fmt: skip

dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")


def test_file(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(path)


test_file.__test__ = False  # type: ignore[attr-defined]


def received(expected: Expected, data: bytes) -> Dataset:
    syntax = UID(expected.transfer_syntax_uid)
    if syntax.is_deflated:
        data = zlib.decompress(data, -zlib.MAX_WBITS)
    return read_dataset(BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


async def run(*command: str | Path, **env: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **env}
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


# -- dcmtk


@dcmtk
@pytest.mark.peer
async def test_echoscu_is_answered_and_hears_why_when_it_is_not():
    async with door(Sink()) as (_, port):
        assert await run("echoscu", "-aec", "HUITONG", "127.0.0.1", str(port)) == (0, "")
        code, text = await run("echoscu", "-aet", "STRANGER", "-aec", "HUITONG", "127.0.0.1", str(port))
        assert code != 0
        assert "Calling AE Title Not Recognized" in text
        code, text = await run("echoscu", "-aec", "SOMEBODY", "127.0.0.1", str(port))
        assert code != 0
        assert "Called AE Title Not Recognized" in text


@dcmtk
@pytest.mark.peer
@pytest.mark.parametrize("env", [{}, {"TCP_NODELAY": "1"}], ids=["default", "TCP_NODELAY"])
@pytest.mark.parametrize("max_pdu_bytes", [16384, 262144])
async def test_storescu_sends_files_and_what_arrives_says_the_same(env, max_pdu_bytes):
    sink = Sink()
    names = ("CT_small.dcm", "waveform_ecg.dcm", "examples_overlay.dcm", "test-SR.dcm")
    async with door(sink, max_pdu_bytes=max_pdu_bytes) as (_, port):
        address = ("127.0.0.1", str(port))
        assert await run("storescu", "-aec", "HUITONG", *address, *map(test_file, names), **env) == (0, "")
    for (_, expected, data), name in zip(sink.kept, names, strict=True):
        sent = dcmread(test_file(name))
        sent.pop("DataSetTrailingPadding", None)  # which dcmtk drops
        assert received(expected, data) == sent
    assert {expected.transfer_syntax_uid for _, expected, _ in sink.kept} == {ExplicitVRLittleEndian}
    assert [e["how"] for e in sink.named("association_ended")] == ["released"]


@dcmtk
@pytest.mark.peer
async def test_storescu_hears_the_status_of_a_bad_instance_and_sends_the_rest():
    files = [test_file(name) for name in ("CT_small.dcm", "test-SR.dcm")]
    sink = Sink(faults={dcmread(files[0]).SOPInstanceUID: NotDicom("of a kind")})
    async with door(sink) as (_, port):
        _, text = await run("storescu", "-v", "-nh", "-aec", "HUITONG", "127.0.0.1", str(port), *files)
    assert "CannotUnderstand" in text
    assert len(sink.kept) == 1


# -- pynetdicom
#
# pynetdicom 3.0.4 as a requestor loses a response that comes at once: its reactor thread, past its checkpoint but not
# yet paused, takes it off the queue as an unexpected message (association.py, `_run_reactor`). So `keep` takes its time
# here, as a disk would, and C-ECHO, which waits for nothing, is left to dcmtk.


@contextmanager
def association(
    port: int, *contexts: tuple[UID | str, list[str]], aet: str = "PYNETDICOM", **kwargs: object
) -> Iterator:
    ae = AE(ae_title=aet)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    for abstract_syntax, transfer_syntaxes in contexts:
        ae.add_requested_context(abstract_syntax, transfer_syntaxes)
    assoc = ae.associate("127.0.0.1", port, ae_title="HUITONG", **kwargs)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def send_all(port: int, names: tuple[str, ...]) -> list[int]:
    datasets = [dcmread(test_file(name)) for name in names]
    contexts = {(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in datasets}
    with association(port, *((sop_class, [syntax]) for sop_class, syntax in sorted(contexts))) as assoc:
        assert assoc.is_established
        return [assoc.send_c_store(ds).Status for ds in datasets]


async def test_pynetdicom_sends_every_transfer_syntax_it_has_a_file_of():
    sink = Sink(delay_s=0.01)
    async with door(sink) as (_, port):
        assert await asyncio.to_thread(send_all, port, NAMES) == [0] * len(NAMES)
    sent = [dcmread(test_file(name)) for name in NAMES]
    assert len({expected.transfer_syntax_uid for _, expected, _ in sink.kept}) >= 10
    for (_, expected, data), ds in zip(sink.kept, sent, strict=True):
        assert expected.transfer_syntax_uid == ds.file_meta.TransferSyntaxUID
        assert (expected.sop_class_uid, expected.sop_instance_uid) == (ds.SOPClassUID, ds.SOPInstanceUID)
        assert received(expected, data) == ds


async def test_many_pynetdicom_associations_at_once():
    sink = Sink(delay_s=0.01)
    names = ("CT_small.dcm", "MR_small_RLE.dcm")
    async with door(sink) as (_, port):
        statuses = await asyncio.gather(*(asyncio.to_thread(send_all, port, names) for _ in range(6)))
    assert statuses == [[0, 0]] * 6
    assert len(sink.kept) == 12
    assert len({data for _, _, data in sink.kept}) == 2


def private_store(port: int) -> int:
    ds = dcmread(test_file("CT_small.dcm"))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PRIVATE_CLASS
    with association(port, (PRIVATE_CLASS, [ExplicitVRLittleEndian])) as assoc:
        return assoc.send_c_store(ds).Status


async def test_a_private_sop_class_is_stored():
    sink = Sink(delay_s=0.01)
    async with door(sink) as (_, port):
        assert await asyncio.to_thread(private_store, port) == 0
    assert sink.kept[0][1].sop_class_uid == PRIVATE_CLASS


def negotiated(port: int) -> tuple[dict[str, str], dict[str, int]]:
    """(abstract syntax -> accepted transfer syntax, abstract syntax -> result of a refusal)."""
    both = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
    refused = (StudyRootQueryRetrieveInformationModelFind, ModalityWorklistInformationFind)
    with association(
        port, (Verification, both), (CTImageStorage, both), (PRIVATE_CLASS, [PRIVATE_SYNTAX]),
        *((uid, both) for uid in (*refused, BasicGrayscalePrintManagementMeta)),
    ) as assoc:  # fmt: skip
        return (
            {c.abstract_syntax: c.transfer_syntax[0] for c in assoc.accepted_contexts},
            {c.abstract_syntax: c.result for c in assoc.rejected_contexts},
        )


async def test_pynetdicom_sees_what_is_accepted_and_why_the_rest_is_not():
    async with door(Sink(delay_s=0.01)) as (_, port):
        accepted, refused = await asyncio.to_thread(negotiated, port)
    assert accepted == {
        Verification: ExplicitVRLittleEndian, CTImageStorage: ExplicitVRLittleEndian, PRIVATE_CLASS: PRIVATE_SYNTAX,
    }  # fmt: skip
    assert refused == {
        StudyRootQueryRetrieveInformationModelFind: 3, ModalityWorklistInformationFind: 3,
        BasicGrayscalePrintManagementMeta: 3,
    }  # fmt: skip


def store_with_every_extension(port: int) -> tuple[int, list[object]]:
    """(status, what the acceptor answered to the extensions)."""
    window, identity, extended = (
        AsynchronousOperationsWindowNegotiation(), UserIdentityNegotiation(), SOPClassExtendedNegotiation(),
    )  # fmt: skip
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 8
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"user", b"passcode"
    identity.positive_response_requested = True
    extended.sop_class_uid, extended.service_class_application_information = CTImageStorage, b"\2\0\3\0\0\0"
    roles = build_role(CTImageStorage, scu_role=True, scp_role=True)
    ds = dcmread(test_file("CT_small.dcm"))
    with association(
        port, (CTImageStorage, [ExplicitVRLittleEndian]), ext_neg=[window, identity, extended, roles]
    ) as assoc:
        answered = [i for i in assoc.acceptor.user_information if not isinstance(i, KNOWN_OF_EVERYONE)]
        return assoc.send_c_store(ds).Status, answered


async def test_every_extension_that_pynetdicom_can_ask_for_is_borne_and_none_is_granted():
    async with door(Sink(delay_s=0.01)) as (_, port):
        assert await asyncio.to_thread(store_with_every_extension, port) == (0, [])


def rejections(port: int, aet: str) -> list[tuple[int, int, int]]:
    """Result, source and reason of what pynetdicom was told, as its reading thread had it.

    Its caller's thread looks whether there is a connection after that thread may have closed it again, and then says
    aborted instead of rejected.
    """
    said: list[tuple[int, int, int]] = []

    def on_pdu(event: evt.Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            said.append((event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic))

    heard = [(evt.EVT_PDU_RECV, on_pdu)]
    with association(port, (Verification, [ImplicitVRLittleEndian]), aet=aet, evt_handlers=heard) as assoc:
        assert not assoc.is_established
    return said


async def test_pynetdicom_sees_that_its_title_is_not_recognized():
    async with door(Sink(delay_s=0.01)) as (_, port):
        assert await asyncio.to_thread(rejections, port, "STRANGER") == [(1, 1, 3)]


def abort_in_the_middle(port: int) -> None:
    """Abort after the first P-DATA-TF of the data set has gone."""
    sent = 0

    def on_pdu(event: evt.Event) -> None:
        nonlocal sent
        sent += type(event.pdu).__name__ == "P_DATA_TF"
        if sent == 3:
            event.assoc.dul.socket.close()

    ds = dcmread(test_file("examples_overlay.dcm"))
    with association(
        port, (ds.SOPClassUID, [ExplicitVRLittleEndian]), evt_handlers=[(evt.EVT_PDU_SENT, on_pdu)]
    ) as assoc:
        assoc.send_c_store(ds)


async def test_a_pynetdicom_sender_that_breaks_off_leaves_nothing():
    sink = Sink(delay_s=0.01)
    async with door(sink, max_pdu_bytes=16384) as (server, port):
        await asyncio.to_thread(abort_in_the_middle, port)
        await until(lambda: server.associations == 0)
        await until(lambda: sink.intakes and sink.intakes[0].abandoned)
    assert not sink.kept
