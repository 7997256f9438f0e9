"""Answers are judged by what was sent: neither fewer nor more nor others pass."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bench.corpus import Corpus, Instance
from bench.http_client import Answer, Http, parts_of, related
from bench.retrieve import frame_cases, gzip_metadata_cases, instance_cases, metadata_cases, series_cases
from bench.search import first_page_cases, patient_id_cases

from huitong.base.setting_kinds import Address

CORPUS = Corpus(base_slices=2)
SERIES = [CORPUS.series(0, 3)]


def _multipart(*parts: bytes) -> Answer:
    kind, body = related(parts)
    return Answer(200, len(body), {"content-type": kind}, body)


def _json(value: object, **headers: str) -> Answer:
    body = json.dumps(value).encode()
    return Answer(200, len(body), headers, body)


def _row(one: Instance) -> dict[str, object]:
    return {
        "00080018": {"vr": "UI", "Value": [one.sop_instance_uid]},
        "00200032": {"vr": "DS", "Value": [0, 0, 0]},
        "00280010": {"vr": "US", "Value": [512]},
    }


def test_parts_come_out_as_they_went_in() -> None:
    files = [b"one\r\n--", b"", b"\r\n\r\nthree"]
    assert parts_of(_multipart(*files)) == files


def test_an_instance_passes_and_another_does_not() -> None:
    case = instance_cases(SERIES)[0]
    by_uid = {one.sop_instance_uid: one for one in SERIES[0]}
    asked = by_uid.pop(case.path.rpartition("/")[2])
    assert case.judge(_multipart(asked.content)) == ""
    for other in by_uid.values():
        assert case.judge(_multipart(other.content))
    assert case.judge(_multipart(asked.head + asked.pixels[:-2] + b"\1\1"))
    assert case.judge(_multipart(asked.content, asked.content))


def test_a_frame_is_its_pixels() -> None:
    case = frame_cases(SERIES)[0]
    asked = next(one for one in SERIES[0] if one.sop_instance_uid in case.path)
    assert case.judge(_multipart(asked.pixels)) == ""
    assert case.judge(_multipart(asked.pixels[:-1]))


def test_a_series_passes_in_any_order_only_when_whole() -> None:
    case = series_cases(SERIES)[0]
    first, second, third = (one.content for one in SERIES[0])
    assert case.judge(_multipart(third, first, second)) == ""
    assert case.judge(_multipart(first, second))
    assert case.judge(_multipart(first, second, second))


def test_metadata_names_every_instance_once() -> None:
    case = metadata_cases(SERIES)[0]
    rows = [_row(one) for one in SERIES[0]]
    assert case.judge(_json(rows)) == ""
    assert case.judge(_json(rows[:-1]))
    assert case.judge(_json([rows[0], *rows[:-1]]))
    packed = _json(rows)
    packed = Answer(200, 0, {"content-encoding": "gzip"}, gzip.compress(packed.body))
    assert gzip_metadata_cases(SERIES)[0].judge(packed) == ""


def test_a_search_has_to_find_all_that_match_and_no_more() -> None:
    studies = CORPUS.index_studies(60)
    case = patient_id_cases(studies)[0]
    match = [study for study in studies if study.patient_id == case.path.rpartition("=")[2]]
    assert match
    rows = [{"0020000D": {"vr": "UI", "Value": [study.uid]}} for study in match]
    other = next(study for study in studies if study not in match)
    more = {"0020000D": {"vr": "UI", "Value": [other.uid]}}
    assert case.judge(_json(rows)) == ""
    assert case.judge(_json(rows[:-1]))
    assert case.judge(_json([*rows, more]))


def test_a_page_is_full_of_known_studies_and_none_stands_twice() -> None:
    studies = CORPUS.index_studies(60)
    case = first_page_cases(studies)[0]
    rows = [{"0020000D": {"vr": "UI", "Value": [study.uid]}} for study in studies]
    assert case.judge(_json(rows[20:45])) == ""
    assert case.judge(_json(rows[:24]))
    assert case.judge(_json([*rows[:24], rows[0]]))
    assert case.judge(_json([*rows[:24], {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]))


@contextmanager
def _answering(*answers: list[bytes]) -> Iterator[Address]:
    """A server that gives each connection its answers, one for each thing received, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for each in answers:
            connection, _ = listener.accept()
            with connection:
                for answer in each:
                    connection.recv(1 << 16)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Address("127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join(10)
        listener.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n6;x=y\r\ndefghi\r\n0\r\n\r\n"
LONG = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000)
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"


def test_bodies_are_read_to_their_end_however_it_is_told() -> None:
    with _answering([CHUNKED, LONG, ENDLESS], [CHUNKED]) as address:
        http = Http(address)
        assert http.ask(b"?", keep=True).body == b"abcdefghi"
        assert http.ask(b"?").size_bytes == 3_000_000
        assert http.ask(b"?", keep=True).body == b"until the end"
        assert http.ask(b"?").size_bytes == 9  # on a new connection
        http.close()


def test_a_connection_closed_while_idle_is_opened_anew_and_one_broken_off_is_an_error() -> None:
    with _answering([CHUNKED], [LONG[:-1]]) as address:
        http = Http(address)
        assert http.ask(b"?").status == 200
        with pytest.raises(ConnectionError, match="broken off"):
            http.ask(b"?")
        http.close()
