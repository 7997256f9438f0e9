"""Framing of messages on a stream: VT, message, FS CR (Minimal Lower Layer Protocol, HL7 v2.3.1 appendix C.4).

Octets come in as the network cuts them, frames go out. Borne: octets between frames, a frame without its last CR, one
that was cut off and followed by the next.
"""

from __future__ import annotations

from dataclasses import dataclass

START, END, CR = b"\x0b", b"\x1c", b"\r"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood between VT and FS."""

    content: bytes
    #: Too long: `content` is its beginning.
    too_long: bool = False


def framed(content: bytes) -> bytes:
    """The message as it goes over the wire."""
    return START + content + END + CR


class Framer:
    """Feed it octets, it gives the frames that they complete."""

    #: Of a frame that is too long, what is kept to answer it.
    HEAD_BYTES = 4096

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._inside, self._too_long = False, False
        #: Octets outside of frames, and within frames that never ended.
        self.lost_bytes = 0

    @property
    def midway(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that end within `data`, in their order."""
        frames: list[Frame] = []
        for number, piece in enumerate(data.split(START)):
            if number:
                self._begin()
            frames += self._take(piece)
        return frames

    def _begin(self) -> None:
        """A frame that had begun was cut off by its sender, who starts again."""
        self.lost_bytes += len(self._held)
        self._held.clear()
        self._inside, self._too_long = True, False

    def _take(self, piece: bytes) -> list[Frame]:
        """A piece without VT: it ends a frame at most once, what comes after that belongs to none."""
        if not self._inside:
            self.lost_bytes += len(piece.strip(b"\r\n"))
            return []
        content, end, rest = piece.partition(END)
        self._hold(content)
        if not end:
            return []
        frame = Frame(bytes(self._held), self._too_long)
        self._held.clear()
        self._inside, self._too_long = False, False
        self.lost_bytes += len(rest.strip(b"\r\n"))
        return [frame]

    def _hold(self, content: bytes) -> None:
        if self._too_long:
            return
        self._held += content
        if len(self._held) > self._max_bytes:
            self._too_long = True
            del self._held[self.HEAD_BYTES :]
