import asyncio
import itertools

import pytest
from tests.imaging.doors.dimse_sink import CT, EXPLICIT, MemoryIntake, Requestor, Sink, door, until

from huitong.base.errors import IdentityMismatch, NotDicom, StoreFull, StoreUnavailable, TooLarge
from huitong.imaging.model import Expected, Outcome
from huitong.wire.dimse import (
    Abort,
    AssociateAccept,
    AssociateReject,
    ReleaseReply,
    ReleaseRequest,
)
from huitong.wire.dimse.command import CommandField, c_echo_request, encode_command, response_to
from huitong.wire.dimse.messages import command_pdus, data_pdus
from huitong.wire.dimse.pdu import encode_pdu
from huitong.wire.dimse.uids import VERIFICATION

DATA = bytes(range(256)) * 1000


async def released(peer: Requestor) -> None:
    """The association still lives, and ends in order."""
    await peer.write(peer.association.send(ReleaseRequest()))
    assert await peer.event() == ReleaseReply()
    await peer.close()


async def test_an_echo_is_answered():
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(peer.association.send_message(1, c_echo_request(9, VERIFICATION)))
        assert await peer.response() == response_to(c_echo_request(9, VERIFICATION), 0)
        await released(peer)
    assert [e["how"] for e in sink.named("association_ended")] == ["released"]


@pytest.mark.parametrize("outcome", Outcome)
async def test_a_stored_instance_is_answered_with_success_and_is_the_bytes_that_were_sent(outcome):
    sink = Sink(outcome=outcome)
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(5, DATA))
        response = await peer.response()
        assert response == {
            "AffectedSOPClassUID": CT, "CommandField": 0x8001, "MessageIDBeingRespondedTo": 5,
            "CommandDataSetType": 0x0101, "Status": 0, "AffectedSOPInstanceUID": "1.2.5",
        }  # fmt: skip
        await released(peer)
    assert sink.kept == [("CT1@127.0.0.1", Expected(CT, "1.2.5", EXPLICIT, "CT1"), DATA)]
    assert [(e["outcome"], e["size_bytes"]) for e in sink.named("stored")] == [(outcome.name.lower(), len(DATA))]
    assert [intake.abandoned for intake in sink.intakes] == [True]


async def test_nothing_is_answered_before_it_is_kept():
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(1, DATA))
        await until(lambda: sink.intakes and sink.intakes[0].size == len(DATA))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.reader.read(1), 0.1)
        sink.open.set()
        assert (await peer.response())["Status"] == 0
        await released(peer)


async def test_the_stream_may_come_byte_by_byte():
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        for raw in peer.store_bytes(1, DATA[:300]):
            for i in range(len(raw)):
                await peer.write(raw[i : i + 1])
                await asyncio.sleep(0)
        assert (await peer.response())["Status"] == 0
        await released(peer)
    assert sink.kept[0][2] == DATA[:300]


@pytest.mark.parametrize("max_pdu_bytes", [20, 16384, 262144, 1 << 20])
async def test_pdus_of_any_length_carry_the_same_data(max_pdu_bytes):
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        peer.association.peer_max_pdu_bytes = max_pdu_bytes
        await peer.write(*peer.store_bytes(1, DATA))
        assert (await peer.response())["Status"] == 0
        await released(peer)
    assert sink.kept[0][2] == DATA


async def test_requests_sent_without_waiting_are_answered_in_order_and_held_back_while_one_is_kept():
    sink = Sink()
    sink.open.clear()
    sizes = [700_000, 1, 0, 2_000_000, 3]
    async with door(sink, receive_buffer_bytes=65536) as (_, port):
        peer = await Requestor.associate(port)
        raw = list(itertools.chain.from_iterable(peer.store_bytes(n, bytes(size)) for n, size in enumerate(sizes)))
        writing = asyncio.create_task(peer.write(*raw, peer.association.send(ReleaseRequest())))
        await until(lambda: sink.intakes and sink.intakes[0].size == sizes[0])
        await asyncio.sleep(0.05)
        assert len(sink.intakes) == 1
        sink.open.set()
        assert [(await peer.response())["MessageIDBeingRespondedTo"] for _ in sizes] == [0, 1, 2, 3, 4]
        await writing
        assert await peer.event() == ReleaseReply()
        await peer.close()
    assert [len(data) for _, _, data in sink.kept] == sizes


@pytest.mark.parametrize(
    ("fault", "status", "comment"),
    [
        (NotDicom("no tags"), 0xC000, "This is not a DICOM object that can be read. no tags"),
        (IdentityMismatch(), 0xA900, "The object is not what the request says it is."),
        (StoreUnavailable(), 0xA700, "The archive cannot write just now; nothing was kept."),
        (StoreFull("磁盘"), 0xA700, "The archive has no room left; nothing was kept. ??"),
        (RuntimeError("secret"), 0x0110, None),
    ],
)
async def test_a_bad_instance_gets_its_status_and_costs_the_others_nothing(fault, status, comment):
    sink = Sink(faults={"1.2.2": fault})
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        answers = []
        for n in (1, 2, 3):
            await peer.write(*peer.store_bytes(n, DATA))
            answers.append(await peer.response())
        await released(peer)
    assert [answer["Status"] for answer in answers] == [0, status, 0]
    assert answers[1].get("ErrorComment") == comment
    assert [expected.sop_instance_uid for _, expected, _ in sink.kept] == ["1.2.1", "1.2.3"]
    assert all(intake.abandoned for intake in sink.intakes)


class Narrow(MemoryIntake):
    """Takes 1000 bytes."""

    def write(self, chunk: memoryview) -> None:
        super().write(chunk)
        if self.size > 1000:
            raise TooLarge("more than 1000 bytes")


async def test_the_rest_of_an_instance_that_is_too_large_is_received_and_dropped():
    sink = Sink(make_intake=Narrow)
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(1, DATA * 4), *peer.store_bytes(2, b"small"))
        assert [(await peer.response())["Status"] for _ in range(2)] == [0xA700, 0]
        await released(peer)
    assert [data for _, _, data in sink.kept] == [b"small"]
    assert sink.intakes[0].abandoned


async def test_an_intake_that_cannot_be_made_refuses_one_instance():
    sink = Sink(intake_fault=StoreFull())
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(1, DATA), *peer.store_bytes(2, DATA))
        assert [(await peer.response())["Status"] for _ in range(2)] == [0xA700, 0]
        await released(peer)


@pytest.mark.parametrize(
    ("context_id", "changes", "status"),
    [
        pytest.param(3, {"CommandField": CommandField.C_FIND}, 0x0211, id="C-FIND on a storage context"),
        pytest.param(3, {"CommandField": CommandField.N_ACTION}, 0x0211, id="N-ACTION on a storage context"),
        pytest.param(3, {"CommandField": 0x0042}, 0x0211, id="a command nobody knows"),
        pytest.param(1, {}, 0x0122, id="C-STORE on a verification context"),
        pytest.param(3, {"AffectedSOPInstanceUID": ""}, 0xA900, id="no SOP instance UID"),
    ],
)
async def test_what_cannot_be_done_is_said_and_the_association_goes_on(context_id, changes, status):
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        request = {
            "AffectedSOPClassUID": CT, "AffectedSOPInstanceUID": "1.2.3", "CommandField": 1, "MessageID": 4,
            "CommandDataSetType": 1, **changes,
        }  # fmt: skip
        await peer.write(peer.association.send_message(context_id, request))
        await peer.write(*peer.association.send_data(context_id, DATA, last=True))
        response = await peer.response()
        assert (response["Status"], response["CommandField"]) == (status, request["CommandField"] | 0x8000)
        await peer.write(*peer.store_bytes(5, DATA))
        assert (await peer.response())["Status"] == 0
        await released(peer)
    assert len(sink.kept) == 1


async def test_a_store_without_a_data_set_is_refused():
    async with door(Sink()) as (_, port):
        peer = await Requestor.associate(port)
        request = {"AffectedSOPClassUID": CT, "CommandField": 1, "MessageID": 4, "CommandDataSetType": 0x0101}
        await peer.write(peer.association.send_message(3, request))
        assert (await peer.response())["Status"] == 0xC000
        await released(peer)


async def test_a_cancel_of_nothing_is_passed_over():
    async with door(Sink()) as (_, port):
        peer = await Requestor.associate(port)
        cancel = {"CommandField": CommandField.C_CANCEL, "MessageIDBeingRespondedTo": 4, "CommandDataSetType": 0x0101}
        await peer.write(peer.association.send_message(3, cancel))
        await released(peer)


async def test_a_response_to_nothing_aborts():
    async with door(Sink()) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(peer.association.send_message(3, response_to(c_echo_request(1, VERIFICATION), 0)))
        assert await peer.event() == Abort(0, 0)
        await peer.close()


async def test_a_store_on_a_context_that_was_not_accepted_aborts():
    async with door(Sink()) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(command_pdus(77, encode_command(c_echo_request(1, VERIFICATION)), 0))
        assert await peer.event() == Abort(2, 6)
        await peer.close()


async def test_nonsense_aborts_and_drops_what_was_half_received():
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(peer.store_bytes(1, DATA)[0], *data_pdus(3, DATA, False, 0), b"\x99\0\0\0\0\4abcd" * 10000)
        assert await peer.event() == Abort(2, 1)
        await peer.close()
        await until(lambda: sink.intakes[0].abandoned)
    assert not sink.kept
    assert [e["how"] for e in sink.named("association_ended")] == ["protocol error"]


@pytest.mark.parametrize("goodbye", [b"", encode_pdu(Abort())])
async def test_what_a_peer_leaves_half_sent_is_abandoned(goodbye):
    sink = Sink()
    async with door(sink) as (server, port):
        peer = await Requestor.associate(port)
        await peer.write(peer.store_bytes(1, DATA)[0], *data_pdus(3, DATA, False, 0), goodbye)
        await until(lambda: sink.intakes and sink.intakes[0].size == len(DATA))
        await peer.close()
        await until(lambda: sink.intakes[0].abandoned)
        await until(lambda: server.associations == 0)
    assert not sink.kept


async def test_an_instance_is_kept_even_if_its_sender_is_gone_by_then():
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(1, DATA))
        await until(lambda: sink.intakes and sink.intakes[0].size == len(DATA))
        peer.writer.transport.abort()
        await asyncio.sleep(0.05)
        sink.open.set()
        await until(lambda: sink.kept)
        assert [e["status"] for e in sink.named("stored")] == [0]


@pytest.mark.parametrize(
    ("calling_aet", "called_aet", "rejection"),
    [
        ("STRANGER", "HUITONG", AssociateReject(1, 1, 3)),
        ("CT1", "ORTHANC", AssociateReject(1, 1, 7)),
    ],
)
async def test_strangers_and_wrong_numbers_are_rejected_with_the_reason(calling_aet, called_aet, rejection):
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port, calling_aet, called_aet)
        assert peer.answer == rejection
        await peer.close()
    assert len(sink.named("association_rejected")) == 1


async def test_the_called_title_may_be_left_unchecked():
    async with door(Sink(), check_called_aet=False) as (_, port):
        peer = await Requestor.associate(port, called_aet="ANY-SCP")
        assert isinstance(peer.answer, AssociateAccept)
        await released(peer)


@pytest.mark.parametrize("limit", ["max_associations", "max_associations_of_one"])
async def test_one_association_too_many_is_rejected_for_the_moment(limit):
    async with door(Sink(), **{limit: 1}) as (_, port):
        first, second = await Requestor.associate(port), await Requestor.associate(port)
        assert second.answer == AssociateReject(2, 3, 2)
        await second.close()
        await released(first)
        third = await Requestor.associate(port)
        assert isinstance(third.answer, AssociateAccept)
        await released(third)


async def test_who_fails_to_be_identified_by_our_own_fault_may_come_again():
    sink = Sink(known=None)  # type: ignore[arg-type]  so that looking it up fails
    async with door(sink) as (_, port):
        peer = await Requestor.associate(port)
        assert peer.answer == AssociateReject(2, 1, 1)
        await peer.close()


async def test_who_says_nothing_is_closed_and_a_trickle_does_not_help():
    async with door(Sink(), artim_timeout_s=0.2) as (_, port):
        silent, trickling = await Requestor.connect(port), await Requestor.connect(port)
        for byte in b"\1\0\0\0\1\0\0\1":
            await trickling.write(bytes((byte,)))
            await asyncio.sleep(0.02)
        assert await silent.event() is None
        assert await trickling.event() is None
        await silent.close()
        await trickling.close()


async def test_an_idle_association_is_aborted_and_then_closed():
    sink = Sink()
    async with door(sink, idle_timeout_s=0.1, artim_timeout_s=0.1) as (server, port):
        peer = await Requestor.associate(port)
        await peer.write(peer.store_bytes(1, DATA)[0], *data_pdus(3, DATA, False, 0))
        assert await peer.event() == Abort(0, 0)
        assert await peer.event() is None
        assert server.associations == 0
        await peer.close()
    assert sink.intakes[0].abandoned
    assert [e["how"] for e in sink.named("association_ended")] == ["idle timeout"]


async def test_waiting_for_the_disk_is_not_idleness():
    sink = Sink()
    sink.open.clear()
    async with door(sink, idle_timeout_s=0.1) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(*peer.store_bytes(1, DATA))
        await asyncio.sleep(0.3)
        sink.open.set()
        assert (await peer.response())["Status"] == 0
        await released(peer)


async def test_who_does_not_close_after_the_release_is_closed():
    async with door(Sink(), artim_timeout_s=0.1) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(encode_pdu(ReleaseRequest()))
        assert await peer.reader.readexactly(10) == encode_pdu(ReleaseReply())
        assert await asyncio.wait_for(peer.reader.read(1), 2) == b""
        await peer.close()


async def flood(peer: Requestor, raw: bytes) -> None:
    """Write until the other side takes no more, which is a TimeoutError, or until that is not going to happen."""
    for _ in range(2000):
        await asyncio.wait_for(peer.write(raw), 0.5)


async def test_a_peer_that_takes_no_answers_is_not_read_any_more():
    sink = Sink()
    async with door(sink) as (server, port):
        peer = await Requestor.associate(port)
        echo = peer.association.send_message(1, c_echo_request(9, VERIFICATION)) * 1000
        peer.writer.transport.set_write_buffer_limits(0)
        peer.writer.transport.pause_reading()
        with pytest.raises(TimeoutError):
            await flood(peer, echo)
        answered = len(sink.named("answered"))
        await asyncio.sleep(0.2)
        assert len(sink.named("answered")) == answered
        peer.writer.transport.abort()
        await until(lambda: server.associations == 0)


async def test_stopping_answers_what_is_at_hand_and_then_aborts():
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (server, port):
        busy, resting, dumb = [await Requestor.associate(port) for _ in range(3)]
        silent = await Requestor.connect(port)
        await busy.write(*busy.store_bytes(1, DATA))
        await dumb.write(dumb.store_bytes(1, DATA)[0])
        await until(lambda: len(sink.intakes) == 2 and sink.intakes[0].size == len(DATA))
        stopping = asyncio.create_task(server.stop(grace_s=1))
        assert await resting.event() == Abort(0, 0)
        assert await silent.event() is None
        with pytest.raises(ConnectionRefusedError):
            await Requestor.connect(port)
        sink.open.set()
        assert (await busy.response())["Status"] == 0
        assert await busy.event() == Abort(0, 0)
        for peer in (busy, resting, silent):
            await peer.close()
        await stopping
        dumb.writer.transport.abort()
    assert len(sink.kept) == 1
    assert sink.intakes[1].abandoned


async def test_stopping_does_not_wait_for_who_has_released_but_not_closed():
    async with door(Sink()) as (server, port):
        peer = await Requestor.associate(port)
        await peer.write(encode_pdu(ReleaseRequest()))
        assert await peer.reader.readexactly(10) == encode_pdu(ReleaseReply())
        await asyncio.wait_for(server.stop(grace_s=20), 2)
        await peer.close()


async def test_a_crowd_of_strangers_is_not_let_in_without_end():
    async with door(Sink(), max_associations=1) as (_, port):
        crowd = [await Requestor.connect(port) for _ in range(70)]
        await until(lambda: sum(peer.reader.at_eof() for peer in crowd) == 5)
        for peer in crowd:
            peer.writer.transport.abort()
        # And it does not keep those out who come after it.
        await asyncio.sleep(0.05)
        await released(await Requestor.associate(port))


async def test_a_release_reply_that_answers_nothing_aborts():
    # The door never asks for release, so it never meets a collision; the state machine's tests have both sides of it.
    async with door(Sink()) as (_, port):
        peer = await Requestor.associate(port)
        await peer.write(encode_pdu(ReleaseReply()))
        assert await peer.event() == Abort(2, 2)
        await peer.close()
