"""The MLLP door: framing as it is met, an answer for every message, and never one before its message is kept."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hl7.client
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.people.doors.mllp_sink import PID, Peer, Sink, adt, door

from huitong.base.errors import HuitongError, NotFound, SettingsError, StoreFull, StoreUnavailable
from huitong.base.tls import TlsFiles, server_context
from huitong.wire.hl7 import BadMessage, framed


async def until(condition: object, timeout_s: float = 10.0) -> None:
    for _ in range(round(timeout_s / 0.01)):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def test_a_message_of_another_implementation_is_acknowledged() -> None:
    sink = Sink()
    async with door(sink) as (_, port):

        def send() -> bytes:
            with hl7.client.MLLPClient("127.0.0.1", port) as client:
                return bytes(client.send_message(adt(1)) + client.send_message(adt(2)))

        answers = await asyncio.to_thread(send)
    assert answers.count(b"MSA|AA|M1\r") == answers.count(b"MSA|AA|M2\r") == 1
    assert sink.taken == [("HIS@TAIYUAN@127.0.0.1", "M1"), ("HIS@TAIYUAN@127.0.0.1", "M2")]
    assert [(each["event"], each["code"]) for each in sink.named("answered")] == [("A04", "AA")] * 2


@pytest.mark.parametrize(("charset", "encoding"), [("GB 18030-2000", "gb18030"), ("UNICODE UTF-8", "utf-8")])
async def test_an_answer_is_in_the_characters_of_the_message(charset: str, encoding: str) -> None:
    message = adt(1).decode().replace("|HIS|", "|医院系统|").replace("UNICODE UTF-8", charset).encode(encoding)
    async with door(Sink()) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(message)
        answer = await asyncio.wait_for(peer.reader.readuntil(b"\x1c\r"), 20)
        assert "|HUITONG|PROVINCE|医院系统|TAIYUAN|".encode(encoding) in answer
        assert charset.encode() in answer
        await peer.close()


async def test_every_answer_has_a_number_of_its_own() -> None:
    async with door(Sink()) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1), adt(1))
        numbers = {(await peer.answer()).control_id for _ in range(2)}
        assert len(numbers) == 2
        assert numbers.isdisjoint({"", "M1"})
        await peer.close()


async def test_several_messages_in_one_packet_are_answered_in_their_order() -> None:
    async with door(Sink()) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(*map(adt, range(5)))
        assert [await peer.said() for _ in range(5)] == [("AA", f"M{n}") for n in range(5)]
        await peer.close()


async def test_a_message_that_comes_octet_by_octet_is_one_message() -> None:
    async with door(Sink()) as (_, port):
        peer = await Peer.connect(port)
        for octet in framed(adt(1)):
            peer.writer.write(bytes((octet,)))
            await asyncio.sleep(0)
        assert await peer.said() == ("AA", "M1")
        await peer.close()


async def test_nothing_is_acknowledged_before_it_is_kept() -> None:
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.answer(), 0.3)
        sink.open.set()
        assert await peer.said() == ("AA", "M1")
        await peer.close()


@pytest.mark.parametrize(
    ("error", "code", "condition"),
    [
        (BadMessage("no number", 101, "PID^1^3"), "AE", "101"),
        (NotFound("number"), "AE", "204"),
        (StoreFull(), "AR", "207"),
        (StoreUnavailable("busy"), "AR", "207"),
        (HuitongError("x"), "AR", "207"),
        (ZeroDivisionError("王小东"), "AR", "207"),
    ],
)
async def test_what_is_refused_is_answered_and_the_connection_goes_on(
    error: Exception, code: str, condition: str
) -> None:
    sink = Sink(errors=[error])
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1), adt(2))
        answer = await peer.answer()
        assert (answer.first("MSA").value(1), answer.first("MSA").value(2)) == (code, "M1")
        assert answer.first("ERR").value(3) == condition
        assert "王" not in answer.first("ERR").value(8)
        assert await peer.said() == ("AA", "M2")
        await peer.close()


async def test_a_stranger_is_refused_by_facility_and_by_address() -> None:
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1, facility="ELSEWHERE"))
        assert await peer.said() == ("AR", "M1")
        await peer.close()
        sink.hosts = frozenset()
    async with door(sink) as (_, port):
        assert await (await Peer.connect(port)).gone()
    assert len(sink.named("refused")) == 1
    assert sink.taken == []


async def test_what_is_no_message_is_answered_too() -> None:
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(b"PID|1||", b"BHS|^~\\&|HIS\r" + adt(1), b"", adt(1) + b"MSH|" + adt(2), adt(3))
        assert [await peer.said() for _ in range(5)] == [
            ("AE", ""), ("AR", ""), ("AE", ""), ("AE", "M1"), ("AA", "M3")
        ]  # fmt: skip
        await peer.close()
    assert [number for _, number in sink.taken] == ["M3"]


async def test_a_message_that_is_too_long_is_refused_by_name_and_the_next_is_taken() -> None:
    async with door(Sink(), max_message_bytes=10_000) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1, PID, "NTE|1||" + "x" * 300_000), adt(2))
        answer = await peer.answer()
        assert (answer.first("MSA").value(2), answer.first("ERR").value(3)) == ("M1", "104")
        assert await peer.said() == ("AA", "M2")
        await peer.close()


async def test_a_message_that_was_cut_has_no_effect_and_the_next_is_whole() -> None:
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        peer.writer.write(framed(adt(1))[:60])
        await peer.send(adt(2))
        assert await peer.said() == ("AA", "M2")
        peer.writer.write(framed(adt(3))[:60])
        await peer.close()
        await until(lambda: sink.named("ended"))
    assert [number for _, number in sink.taken] == ["M2"]
    assert sink.named("ended")[0]["how"] == "closed in a message"


async def test_no_answer_is_given_to_who_wants_none() -> None:
    sink = Sink()
    async with door(sink) as (_, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1).replace(b"|2.5||||", b"|2.5|||NE|NE", 1), adt(2))
        assert await peer.said() == ("AA", "M2")
        await peer.close()
    assert len(sink.taken) == 2


async def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    sink = Sink()
    async with door(sink, idle_timeout_s=0.2, frame_timeout_s=5.0) as (_, port):
        assert await (await Peer.connect(port)).gone()
    async with door(sink, idle_timeout_s=5.0, frame_timeout_s=0.2) as (_, port):
        peer = await Peer.connect(port)
        peer.writer.write(b"\x0bMSH|")
        assert await peer.gone()
    assert [each["how"] for each in sink.named("ended")] == ["idle timeout", "cut in a message"]


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_of_one"])
async def test_connections_past_the_limit_are_closed_at_once(limit: str) -> None:
    async with door(Sink(), **{limit: 2}) as (server, port):
        first, second = await Peer.connect(port), await Peer.connect(port)
        await first.send(adt(1))
        await second.send(adt(2))
        assert (await first.said(), await second.said()) == (("AA", "M1"), ("AA", "M2"))
        assert await (await Peer.connect(port)).gone()
        await first.close()
        await until(lambda: server.connections == 1)
        third = await Peer.connect(port)
        await third.send(adt(3))
        assert await third.said() == ("AA", "M3")
        await second.close()
        await third.close()


async def test_two_connections_do_not_wait_for_one_another() -> None:
    sink = Sink()
    async with door(sink) as (_, port):
        slow, quick = await Peer.connect(port), await Peer.connect(port)
        sink.open.clear()
        await slow.send(adt(1))
        await asyncio.sleep(0.1)
        await quick.send(adt(2, facility="ELSEWHERE"))  # refused before anything is taken
        assert await quick.said() == ("AR", "M2")
        sink.open.set()
        assert await slow.said() == ("AA", "M1")
        await slow.close()
        await quick.close()


async def test_the_message_at_hand_is_answered_when_the_server_stops() -> None:
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (server, port):
        busy, idle = await Peer.connect(port), await Peer.connect(port)
        await busy.send(adt(1), adt(2))
        await until(lambda: server.connections == 2)
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(server.stop(10))
        assert await idle.gone()
        sink.open.set()
        assert await busy.said() == ("AA", "M1")
        await stopping
        assert await busy.gone()
    assert [number for _, number in sink.taken] == ["M1"]


async def test_a_server_that_stops_waits_no_longer_than_it_was_told() -> None:
    sink = Sink()
    sink.open.clear()
    async with door(sink) as (server, port):
        peer = await Peer.connect(port)
        await peer.send(adt(1))
        await until(lambda: server.connections == 1)
        await asyncio.sleep(0.1)
        await asyncio.wait_for(server.stop(0.2), 5)
        assert await peer.gone()


# --- TLS ---


def certificate(folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None):  # type: ignore[no-untyped-def]
    """A certificate (its own authority where there is no issuer), and the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(pem + secret)
    return (built, key), file


async def test_senders_show_a_certificate_where_it_is_asked_for(tmp_path: Path) -> None:
    authority, authority_file = certificate(tmp_path, "authority")
    _, server_file = certificate(tmp_path, "server", authority)
    _, client_file = certificate(tmp_path, "client", authority)
    _, stranger_file = certificate(tmp_path, "stranger", certificate(tmp_path, "other")[0])
    sink = Sink()
    async with door(sink, tls=server_context(TlsFiles(server_file, None, authority_file), "MLLP")) as (_, port):

        async def send(with_file: Path | None) -> tuple[str, str]:
            context = ssl.create_default_context(cafile=str(authority_file))
            if with_file:
                context.load_cert_chain(with_file)
            peer = await Peer.connect(port, ssl=context, server_hostname="localhost")
            await peer.send(adt(1))
            try:
                return await peer.said()
            finally:
                await peer.close()

        assert await send(client_file) == ("AA", "M1")
        for wrong in (None, stranger_file):
            with pytest.raises((OSError, AssertionError)):
                await send(wrong)
    assert len(sink.taken) == 1


def test_a_certificate_that_is_none_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    for certificate_file in (tmp_path / "x.pem", tmp_path / "absent.pem"):
        with pytest.raises(SettingsError, match="TLS for MLLP"):
            server_context(TlsFiles(certificate_file, None, None), "MLLP")
