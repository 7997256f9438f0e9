from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from huitong.imaging.doors.answers import Piece, Pieces, Span, matches, whole_or_range
from huitong.imaging.model import OnDisk

DATA = bytes(range(256)) * 4000


@dataclass
class FileSlice:
    """Part of a file, as the store gives it."""

    fd: int
    offset: int
    length: int

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        most = self.length - offset if length is None else min(length, self.length - offset)
        return os.pread(self.fd, most, self.offset + offset)

    def at_hand(self, offset: int, length: int) -> bool:
        return True

    def on_disk(self, offset: int, length: int) -> OnDisk:
        return OnDisk(self.fd, self.offset + offset, self)

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def fd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tmp_path_factory.mktemp("answers") / "data"
    path.write_bytes(DATA)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def content(fd: int) -> tuple[list[Piece], bytes]:
    """Pieces of every kind, and what they amount to."""
    part = FileSlice(fd, 1000, 900_000)
    pieces: list[Piece] = [
        b"head",
        Span(part, 10, 700_000),
        b"",
        Span(part, 5, 100),
        b"between",
        Span(part, 0, 0),
        b"tail",
    ]
    inner = DATA[1000:]
    return pieces, b"head" + inner[10:700_010] + inner[5:105] + b"between" + b"tail"


async def ask(answer: Callable[[Request], Response], method: str = "GET", **headers: str) -> httpx.Response:
    app = Starlette(routes=[Route("/", answer, methods=["GET"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(
            method, "/", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


async def test_pieces_are_joined_where_the_server_has_no_zero_copy(fd: int) -> None:
    pieces, whole = content(fd)
    answer = await ask(lambda _: Pieces(pieces, len(whole), {"Content-Type": "a/b"}))
    assert answer.content == whole
    assert answer.headers["content-length"] == str(len(whole))


async def test_pieces_may_be_made_while_they_are_sent() -> None:
    async def made() -> AsyncIterator[Piece]:
        for number in range(3):
            yield b"%d," % number

    assert (await ask(lambda _: Pieces(made(), None, {}))).content == b"0,1,2,"
    assert (await ask(lambda _: Pieces([], 0, {}))).content == b""


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=2-9", slice(2, 10)),
        ("bytes=700000-700020", slice(700_000, 700_021)),
        ("Bytes = 5-", slice(5, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-99999999", slice(None)),
        ("bytes=9-99999999", slice(9, None)),
    ],
)
async def test_a_range_is_given_as_such(fd: int, field: str, expected: slice) -> None:
    pieces, whole = content(fd)
    answer = await ask(lambda request: whole_or_range(request, pieces, "a/b", "e", {}), Range=field)
    assert answer.status_code == 206
    assert answer.content == whole[expected]
    start, stop, _ = expected.indices(len(whole))
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "field", ["bytes=0-1,3-4", "bytes=9-2", "bytes=-", "items=0-1", "bytes=a-b", f"bytes={9:05000}-", ""]
)
async def test_what_is_no_single_range_gets_the_whole(fd: int, field: str) -> None:
    pieces, whole = content(fd)
    answer = await ask(lambda request: whole_or_range(request, pieces, "a/b", "e", {}), Range=field)
    assert answer.status_code == 200
    assert answer.content == whole
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("field", ["bytes=99999999-", "bytes=-0"])
async def test_bytes_that_are_not_there_are_refused(fd: int, field: str) -> None:
    pieces, whole = content(fd)
    answer = await ask(lambda request: whole_or_range(request, pieces, "a/b", "e", {}), Range=field)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_range_of_something_else_is_not_given(fd: int) -> None:
    pieces, whole = content(fd)

    def answer(request: Request) -> Response:
        return whole_or_range(request, pieces, "a/b", "e", {})

    assert (await ask(answer, Range="bytes=0-1", If_Range='"other"')).content == whole
    assert (await ask(answer, Range="bytes=0-1", If_Range='"e"')).content == whole[:2]


async def test_what_the_client_has_is_not_sent_again(fd: int) -> None:
    pieces, _ = content(fd)

    def answer(request: Request) -> Response:
        return whole_or_range(request, pieces, "a/b", "e", {"Cache-Control": "private"})

    again = await ask(answer, If_None_Match='W/"x", "e"')
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == '"e"'
    assert again.headers["cache-control"] == "private"
    assert (await ask(answer, If_None_Match='"x"')).status_code == 200


async def test_head_tells_the_length_and_sends_nothing(fd: int) -> None:
    pieces, whole = content(fd)
    answer = await ask(lambda request: whole_or_range(request, pieces, "a/b", "e", {}), "HEAD")
    assert answer.content == b""
    assert answer.headers["content-length"] == str(len(whole))


@given(st.lists(st.text("abc-", min_size=1), min_size=1), st.text("abc-", min_size=1))
def test_validators_are_compared_as_a_list(listed: list[str], etag: str) -> None:
    field = ", ".join(f'"{one}"' for one in listed)
    assert matches(field, etag) == (etag in listed)
    assert matches("*", etag)
