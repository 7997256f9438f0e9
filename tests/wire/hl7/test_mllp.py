"""Frames come out whole however the network cut them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.hl7 import Frame, Framer, framed

CONTENT = st.binary(max_size=20).map(lambda each: each.translate(None, b"\x0b\x1c"))


@given(st.lists(CONTENT, max_size=5), st.lists(st.integers(0, 150), max_size=6))
def test_frames_come_out_whole_however_they_were_cut(contents: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(framed, contents))
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    framer = Framer(1000)
    frames = [frame for start, end in pairwise(bounds) for frame in framer.feed(stream[start:end])]
    assert frames == [Frame(content) for content in contents]
    assert (framer.midway, framer.lost_bytes) == (False, 0)


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_octets_are_borne_and_what_follows_is_found(pieces: list[bytes]) -> None:
    framer = Framer(16)
    for piece in pieces:
        assert all(len(frame.content) <= Framer.HEAD_BYTES for frame in framer.feed(piece))
    assert framer.feed(b"\x0bMSH\x1c\r")[-1] == Frame(b"MSH")


def test_a_frame_that_was_cut_off_costs_itself_alone() -> None:
    framer = Framer(100)
    assert framer.feed(b"\x0bMSH|cut\x0bMSH|whole\x1c\r") == [Frame(b"MSH|whole")]
    assert framer.lost_bytes == len(b"MSH|cut")


def test_several_frames_in_one_packet_and_junk_between_them() -> None:
    framer = Framer(100)
    assert framer.feed(b"junk\x0ba\x1c\r\r\n\x0bb\x1c\x0bc\x1c") == [Frame(b"a"), Frame(b"b"), Frame(b"c")]
    assert framer.lost_bytes == 4


def test_a_frame_that_is_too_long_is_told_by_its_beginning_and_held_no_further() -> None:
    framer = Framer(10_000)
    for _ in range(100):
        assert framer.feed(b"x" * 1000 if framer.midway else b"\x0b" + b"x" * 1000) == []
        assert len(framer._held) <= 11_000
    assert framer.feed(b"\x1c\r\x0bnext\x1c\r") == [Frame(b"x" * 4096, too_long=True), Frame(b"next")]
