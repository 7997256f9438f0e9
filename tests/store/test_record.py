"""The record format: what is packed reads back, and damage of any byte of the head shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huitong.store import record

heads = st.builds(
    record.Head,
    envelope_bytes=st.just(0),
    payload_bytes=st.integers(0, 2**63 - 1),
    tail_bytes=st.integers(0, 2**32 - 1),
    tail_crc=st.integers(0, 2**32 - 1),
    head_bytes=st.integers(0, 2**32 - 1),
    head_sha256=st.binary(min_size=32, max_size=32),
    body_sha256=st.binary(min_size=32, max_size=32),
    pack_id=st.binary(min_size=16, max_size=16),
)
fields = st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=20), st.integers(-(2**53), 2**53)), max_size=5)


def packed(head: record.Head, envelope: dict[str, object]) -> tuple[record.Head, bytes]:
    text = record.envelope(envelope)
    sized = record.Head(len(text), *(getattr(head, name) for name in list(record.Head.__slots__)[1:]))
    return sized, record.pack_head(sized, text)


@given(heads, fields)
def test_a_head_reads_back_as_it_was_packed(head: record.Head, envelope: dict[str, object]) -> None:
    sized, data = packed(head, envelope)
    assert record.read_head(data) == (sized, envelope)


@given(heads, fields, st.data())
def test_any_changed_byte_is_noticed(head: record.Head, envelope: dict[str, object], data: st.DataObject) -> None:
    _, good = packed(head, envelope)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    assert record.read_head(bytes(bad)) is None


@given(heads, fields, st.integers(0, 200))
def test_a_cut_head_is_no_head(head: record.Head, envelope: dict[str, object], kept: int) -> None:
    _, good = packed(head, envelope)
    if kept < len(good):
        assert record.read_head(good[:kept]) is None


@given(heads, st.sampled_from([b"[]      ", b"null    ", b"not json"]))
def test_an_envelope_that_is_no_object_is_no_record(head: record.Head, text: bytes) -> None:
    sized = record.Head(len(text), *(getattr(head, name) for name in list(record.Head.__slots__)[1:]))
    assert record.read_head(record.pack_head(sized, text)) is None


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    record.read_head(data)
