from __future__ import annotations

import email
import email.policy
import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.errors import BadRequest
from huitong.wire.multipart import MultipartReader, MultipartWriter, PartBegin, PartData, PartEnd, boundary_of

BOUNDARY = b"0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"

Parts = list[tuple[dict[str, str], bytes]]


def read(chunks: Iterable[bytes], boundary: bytes = BOUNDARY, finish: bool = True) -> Parts:
    """The parts of a body, checking on the way that the events come in their order."""
    reader = MultipartReader(boundary)
    parts: Parts = []
    pieces: list[bytes] | None = None
    for chunk in chunks:
        for event in reader.feed(chunk):
            match event:
                case PartBegin(headers):
                    assert pieces is None
                    pieces = []
                    parts.append((dict(headers), b""))
                case PartData(data):
                    assert pieces is not None
                    pieces.append(bytes(data))
                case PartEnd():
                    assert pieces is not None
                    parts[-1] = (parts[-1][0], b"".join(pieces))
                    pieces = None
    if finish:
        reader.finish()
    return parts


def written(contents: Sequence[bytes], boundary: bytes = BOUNDARY) -> bytes:
    writer = MultipartWriter(boundary)
    heads = [writer.head({"Content-Type": "application/dicom"}, first=n == 0) for n in range(len(contents))]
    return b"".join(head + content for head, content in zip(heads, contents, strict=True)) + writer.tail


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


# Content made of the pieces that a splitter stumbles over.
tricky = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\n--", b"\r\n-", b"B", b"\r\n--Bx", b"\r\n--B x", b"\0", b" "]
    ),
    max_size=12,
).map(b"".join)


@given(st.lists(tricky | st.binary(max_size=200), min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=30))
def test_what_is_written_is_read_back_however_the_stream_is_cut(contents: list[bytes], places: list[int]) -> None:
    boundary = b"B-7"
    body = written(contents, boundary)
    expected = [({"content-type": "application/dicom"}, content) for content in contents]
    assert read([body], boundary) == expected
    assert read(cut(body, places), boundary) == expected


@given(st.lists(tricky, max_size=4).map(b"\r\n--B".join))
def test_a_body_fed_byte_by_byte_gives_the_same_as_fed_at_once(body: bytes) -> None:
    def outcome(chunks: Iterable[bytes]) -> Parts | str:
        try:
            return read(chunks, b"B", finish=False)
        except BadRequest as error:
            return str(error)

    assert outcome([body]) == outcome([body[n : n + 1] for n in range(len(body))])


@given(
    st.lists(tricky, min_size=1, max_size=4),
    st.sampled_from([b"", b"preamble\r\n", b"\r\n", b"a\r\nb\r\n"]),
    st.sampled_from([b"", b"epilogue", b"more\r\n--B\r\n"]),
)
def test_the_parts_are_those_that_the_standard_library_finds(
    contents: list[bytes], preamble: bytes, epilogue: bytes
) -> None:
    # Its parser normalises line ends at the edges of text, so the contents are bracketed.
    contents = [b"<" + content.translate(bytes.maketrans(b"\r\n", b"~~")) + b">" for content in contents]
    body = preamble + written(contents, b"B") + epilogue
    message = email.message_from_bytes(
        b"Content-Type: multipart/related; boundary=B\r\n\r\n" + body, policy=email.policy.HTTP
    )
    oracle = [part.get_payload(decode=True) for part in message.iter_parts()]  # type: ignore[attr-defined]
    assert [content for _, content in read([body], b"B")] == oracle == contents


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary="a b"', b"a b"),
        ("multipart/related; boundary=xyz; type=application/dicom", b"xyz"),
        ("Multipart/Related;BOUNDARY=xyz;Type=application/dicom", b"xyz"),
        ('multipart/related;boundary="q\\"uoted";start=1', b'q"uoted'),
        ("multipart/related; boundary=gc0p4Jq0M:2Yt08j34c0p=(x)/y,z", b"gc0p4Jq0M:2Yt08j34c0p=(x)/y,z"),
        ("multipart/form-data; boundary=xyz; boundary=other", b"xyz"),
    ],
)
def test_the_boundary_is_found_in_any_spelling(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/dicom",
        "multipart/related",
        'multipart/related; boundary=""',
        "multipart/related; boundary=" + "x" * 300,
        'multipart/related; boundary="a\tb"',
        "multipart/related; boundary=é",
        "nonsense",
        "multipart/related, application/dicom; boundary=x",
    ],
)
def test_a_content_type_without_a_usable_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(BadRequest):
        boundary_of(content_type)


def test_part_headers_may_come_in_any_order_and_case_and_folded() -> None:
    body = (
        b"--B\r\ncontent-LOCATION:  /x\r\nCONTENT-TYPE: application/dicom;\r\n  transfer-syntax=1.2\r\n\r\nabc"
        b"\r\n--B\r\nMIME-Version: 1.0\r\nContent-Type:a/b\r\nContent-Type: c/d\r\n\r\ndef\r\n--B--"
    )
    assert read([body], b"B") == [
        ({"content-location": "/x", "content-type": "application/dicom; transfer-syntax=1.2"}, b"abc"),
        ({"mime-version": "1.0", "content-type": "a/b"}, b"def"),
    ]


@pytest.mark.parametrize(
    ("body", "contents"),
    [
        (b"--B\r\n\r\nx\r\n--B--", [b"x"]),  # no headers
        (b"--B\r\na: b\r\n\r\n--B--", [b""]),  # no content, one line break for both
        (b"--B\r\na: b\r\n\r\n\r\n--B--", [b""]),  # no content
        (b"--B \t \r\n\r\nx\r\n--B  \r\n\r\ny\r\n--B--", [b"x", b"y"]),  # transport padding
        (b"\r\n--B\r\n\r\nx\r\n--B--\r\n", [b"x"]),
        (b"this is\r\n--Bnot it\r\n--B\r\n\r\nx\r\n--B--\r\nignored\r\n--B\r\n", [b"x"]),
        (b"--B\r\n\r\n\r\n--Bx\r\n--B--", [b"\r\n--Bx"]),  # a longer word is content
        (b"--B--", []),
    ],
)
def test_unusual_but_lawful_bodies_are_read(body: bytes, contents: list[bytes]) -> None:
    for size in (1, 2, 3, 7, 1000):
        chunks = [body[n : n + size] for n in range(0, len(body), size)]
        assert [content for _, content in read(chunks, b"B")] == contents


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "never seen"),
        (b"no multipart at all", "never seen"),
        (b"--B\r\n\r\nx", "before its closing"),
        (b"--B\r\n\r\nx\r\n--B", "before its closing"),
        (b"--B\r\na: b", "before its closing"),
        (b"--B\r\nno colon\r\n\r\nx\r\n--B--", "header line"),
        (b"--B\r\n: empty\r\n\r\nx\r\n--B--", "header line"),
        (b"--B\r\na: " + b"x" * 20_000, "longer than"),
    ],
)
def test_a_body_that_is_broken_says_why(body: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        read([body], b"B")


def test_the_number_of_parts_has_a_limit() -> None:
    reader = MultipartReader(b"B", max_parts=2)
    with pytest.raises(BadRequest, match="too many"):
        list(reader.feed(b"--B\r\n\r\n\r\n--B\r\n\r\n\r\n--B\r\n\r\n"))


def test_a_part_broken_off_never_ends() -> None:
    events = list(MultipartReader(b"B").feed(b"--B\r\n\r\nabc\r\n--B\r\n\r\nde"))
    assert [type(event) for event in events] == [PartBegin, PartData, PartEnd, PartBegin, PartData]


def test_large_content_is_handed_on_without_a_copy() -> None:
    chunk = bytes(1 << 20)
    reader = MultipartReader(b"B")
    list(reader.feed(b"--B\r\n\r\n1"))
    views = [event.data for event in reader.feed(chunk) if isinstance(event, PartData)]
    assert sum(map(len, views)) == len(chunk)
    assert all(view.obj is chunk for view in views)


def test_header_names_are_written_as_ohif_needs_them() -> None:
    head = MultipartWriter(b"B").head({"Content-Type": "image/jphc"}, first=True)
    assert head == b"--B\r\nContent-Type: image/jphc\r\n\r\n"
    assert boundary_of(MultipartWriter(b"B").content_type("image/jphc")) == b"B"
