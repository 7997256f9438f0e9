"""Sending as hospitals do, over real sockets: C-STORE and MLLP by our own layers, STOW-RS by the standard library."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import pydicom

from huitong.base.errors import OurFault
from huitong.base.setting_kinds import Address
from huitong.wire.dicom.part10 import read_file_meta
from huitong.wire.dimse import (
    NEED_DATA,
    AssociateAccept,
    AssociateRequest,
    Association,
    ContextProposal,
    Message,
    ReleaseReply,
    ReleaseRequest,
    Role,
    UserInformation,
)
from huitong.wire.dimse.command import c_store_request
from huitong.wire.dimse.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from huitong.wire.hl7 import Framer, framed, parse

TIMEOUT_S = 60
T = TypeVar("T")


class SendingFailed(OurFault):
    """What was sent was not accepted."""


@dataclass(frozen=True, slots=True)
class Part10:
    """A DICOM file in memory and what a sender must know of it."""

    content: bytes
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    #: Where the data set begins, behind the file meta information.
    data_set_at: int

    @classmethod
    def of(cls, content: bytes) -> Part10:
        meta = pydicom.dcmread(io.BytesIO(content), specific_tags=["SOPClassUID"], stop_before_pixels=True).file_meta
        return cls(
            content,
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            read_file_meta(content).offset,
        )


class Storer:
    """An association as storage SCU, one operation at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._association = Association(Role.REQUESTOR)
        self._contexts: dict[tuple[str, str], int] = {}
        self._message_id = 0

    def associate(self, calling: str, called: str, kinds: Iterable[tuple[str, str]]) -> None:
        """`kinds` are the (SOP class UID, transfer syntax UID) pairs to be sent, at most 128 (PS3.8 9.3.2.2)."""
        self._contexts = {kind: 2 * number + 1 for number, kind in enumerate(dict.fromkeys(kinds))}
        proposals = tuple(ContextProposal(number, kind[0], (kind[1],)) for kind, number in self._contexts.items())
        who = UserInformation(
            max_pdu_bytes=65536,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        self._socket.sendall(self._association.send(AssociateRequest(called, calling, proposals, who)))
        self._wait_for(AssociateAccept)

    def store(self, file: Part10) -> None:
        """Return when the peer says Success or a warning (PS3.7 9.1.1.1.9); raises SendingFailed."""
        context = self._contexts[file.sop_class_uid, file.transfer_syntax_uid]
        self._message_id = self._message_id % 0xFFFF + 1
        request = c_store_request(self._message_id, file.sop_class_uid, file.sop_instance_uid)
        data = memoryview(file.content)[file.data_set_at :]
        parts = [
            self._association.send_message(context, request),
            *self._association.send_data(context, data, last=True),
        ]
        self._socket.sendall(b"".join(parts))
        status = self._wait_for(Message).command["Status"]
        if status != 0 and status >> 12 != 0xB:
            raise SendingFailed(f"C-STORE status {status:04X}")

    def release(self) -> None:
        self._socket.sendall(self._association.send(ReleaseRequest()))
        self._wait_for(ReleaseReply)

    def _wait_for(self, wanted: type[T]) -> T:
        while True:
            event = self._association.next_event()
            if event is NEED_DATA:
                received = self._socket.recv(65536)
                if not received:
                    raise SendingFailed("the peer closed the connection")
                self._association.receive(received)
            elif isinstance(event, wanted):
                return event
            else:
                raise SendingFailed(f"the peer answered {event}")


@contextmanager
def association(to: Address, calling: str, called: str, kinds: Iterable[tuple[str, str]]) -> Iterator[Storer]:
    """An association for the files of these kinds, released at the end."""
    with socket.create_connection((to.host, to.port), TIMEOUT_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        storer = Storer(sock)
        storer.associate(calling, called, kinds)
        yield storer
        storer.release()


def send_messages(to: Address, messages: Iterable[bytes]) -> None:
    """HL7 v2 messages over one MLLP connection, each when the one before was accepted; raises SendingFailed."""
    framer = Framer(1 << 16)
    with socket.create_connection((to.host, to.port), TIMEOUT_S) as sock:
        for message in messages:
            sock.sendall(framed(message))
            while not (answers := framer.feed(received := sock.recv(65536))):
                if not received:
                    raise SendingFailed("the peer closed the connection")
            acknowledged = next((line for line in parse(answers[0].content).segments if line.name == "MSA"), None)
            if acknowledged is None or acknowledged.value(1) != "AA":
                raise SendingFailed(f"HL7 v2 answer {answers[0].content[:300]!r}")


def stow(to: Address, token: str, files: Iterable[bytes]) -> None:
    """One STOW-RS request (PS3.18 10.5) with these files; raises SendingFailed unless all are kept."""
    boundary = uuid4().hex
    parts = [b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), file) for file in files]
    body = b"".join(parts) + b"--%b--\r\n" % boundary.encode()
    connection = http.client.HTTPConnection(to.host, to.port, timeout=TIMEOUT_S)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    try:
        connection.request("POST", "/dicom-web/studies", body, headers)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise SendingFailed(f"STOW-RS status {answer.status}: {said[:300]!r}")
