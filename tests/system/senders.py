"""Senders that remember what was acknowledged to them, until the server is gone."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from uuid import uuid4

from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests.objects import CT, dataset, part10

from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, SendingFailed, association


class Sender(threading.Thread):
    """Sends one object after another as fast as it is answered; `acknowledged` maps SOP Instance UID to its file."""

    def __init__(self, seed: int, port: int, institution: str) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.port, self.institution = port, institution
        self.acknowledged: dict[str, tuple[str, str, bytes]] = {}
        #: When that was known here, as time.time().
        self.known_at: dict[str, float] = {}
        self.study, self.series = generate_uid(), generate_uid()
        self.trouble: str | None = None

    def new(self) -> tuple[str, bytes]:
        rows = self.random.choice((8, 64, 512))
        uid = generate_uid()
        pixels = self.random.randbytes(rows * 512 * 2)
        ds = dataset(
            SOPInstanceUID=uid, StudyInstanceUID=self.study, SeriesInstanceUID=self.series, Rows=rows, Columns=512,
            InstanceNumber=len(self.acknowledged) + 1, PixelData=pixels,
        )  # fmt: skip
        return uid, part10(ds)

    def note(self, uid: str, file: bytes) -> None:
        self.known_at[uid] = time.time()
        self.acknowledged[uid] = (self.study, self.series, file)


class StowSender(Sender):
    """Three objects a request; counts those that the answer names as kept, also where it refuses others (202)."""

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while True:
                self._send(connection, [self.new() for _ in range(3)])
        except (OSError, http.client.HTTPException):
            return  # the server is gone: what was under way was never acknowledged
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, objects: list[tuple[str, bytes]]) -> None:
        boundary = uuid4().hex
        parts = [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + o + b"\r\n" for _, o in objects]
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Authorization": f"Bearer demo-{self.institution}",
            "Accept": "application/dicom+json",
        }
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        connection.request("POST", "/dicom-web/studies", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            self.trouble = f"{answer.status} {said[:300]!r}"
        if answer.status not in (200, 202):
            return
        kept = {ref["00081155"]["Value"][0] for ref in json.loads(said)["00081199"]["Value"]}
        for uid, file in objects:
            if uid in kept:
                self.note(uid, file)


class StoreSender(Sender):
    """C-STORE, one object after another. By our own requestor: it notices at once when the server is gone."""

    def run(self) -> None:
        to = Address("127.0.0.1", self.port)
        try:
            with association(to, self.institution, "HUITONG", [(CT, ExplicitVRLittleEndian)]) as storer:
                while True:
                    uid, file = self.new()
                    storer.store(Part10.of(file))
                    self.note(uid, file)
        except (OSError, SendingFailed) as e:
            if "status" in str(e):
                self.trouble = str(e)


def data_set(file: bytes) -> bytes:
    """From its first element on: over C-STORE the file meta information is ours."""
    return file[file.index(b"\x08\x00\x05\x00CS", 132) :]
